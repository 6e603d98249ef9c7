//! Pauses.

use chrono::{DateTime, Utc};

use super::fields::Fields;
use super::run::MAX_REASON;
use super::time::instant;
use crate::api::error::ApiError;
use crate::store::JobChange;

/// The most characters of who it was.
const MAX_BY: usize = 200;

/// A pause as a request asks for it.
pub(in crate::api) fn read_pause(
    reason: String,
    by: String,
    until: Option<prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Result<JobChange, ApiError> {
    let mut fields = Fields::new();
    let reason = fields.text("reason", reason, MAX_REASON);
    let by = fields.text("by", by, MAX_BY);
    let until = fields.take("until", until.as_ref().map(instant).transpose()).flatten();
    if let Some(until) = until.filter(|until| *until <= now) {
        let (until, now) = (until.to_rfc3339(), now.to_rfc3339());
        fields.refuse("until", format!("{until} is past: it is {now} on the database's clock"));
    }
    fields.finish(Some(JobChange::Pause { reason, by, until }))
}
