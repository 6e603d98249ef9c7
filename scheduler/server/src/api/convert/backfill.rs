//! Backfills.

use chrono::{DateTime, Utc};
use punctual_proto::v1;
use punctual_scheduler_domain::backfill::BackfillState;
use punctual_scheduler_domain::id::BackfillId;
use punctual_scheduler_domain::job::Overlap;

use super::fields::Fields;
use super::job::{JobKey, read_job_key};
use super::policy::{overlap_to_proto, read_overlap};
use super::run::{read_run_filter, state_to_proto as run_state_to_proto};
use super::time::{instant, timestamp_to_proto};
use crate::api::error::ApiError;
use crate::api::page;
use crate::store::{Backfill, BackfillSelection};

/// The policy of a backfill when nothing is said: every run of it runs, one after the other.
const DEFAULT_OVERLAP: Overlap = Overlap::QueueAll;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub(in crate::api) struct Asked {
    pub(in crate::api) job: JobKey,
    pub(in crate::api) from: DateTime<Utc>,
    pub(in crate::api) until: DateTime<Utc>,
    pub(in crate::api) overlap: Overlap,
}

/// Reads what is asked for; `now` is where the future begins, whose instants have not had their run yet.
pub(in crate::api) fn read_backfill(
    request: &v1::CreateBackfillRequest,
    now: DateTime<Utc>,
) -> Result<Asked, ApiError> {
    let mut fields = Fields::new();
    let job = match read_job_key(&request.namespace, &request.job) {
        Ok(job) => Some(job),
        Err(ApiError::Invalid(found)) => {
            // A request calls the job's name so.
            for error in found {
                let field = if error.field == "name" { "job".to_owned() } else { error.field };
                fields.refuse(field, error.message);
            }
            None
        }
        Err(error) => return Err(error),
    };
    let from = bound(&mut fields, "from", request.from.as_ref());
    let until = bound(&mut fields, "until", request.until.as_ref());
    if let (Some(from), Some(until)) = (from, until) {
        if from >= until {
            fields.refuse("until", "is not after `from`");
        } else if until > now {
            fields.refuse("until", "is in the future, which the schedule itself will give its runs");
        }
    }
    let overlap = match request.overlap {
        0 => Some(DEFAULT_OVERLAP),
        given => read_overlap(&mut fields, "overlap", given),
    };
    let asked = job.zip(from).zip(until).zip(overlap);
    fields.finish(asked.map(|(((job, from), until), overlap)| Asked { job, from, until, overlap }))
}

fn bound(fields: &mut Fields, field: &str, given: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    match given {
        Some(given) => fields.take(field, instant(given)),
        None => {
            fields.refuse(field, "is missing");
            None
        }
    }
}

pub(in crate::api) fn read_backfill_id(id: &str) -> Result<BackfillId, ApiError> {
    id.parse().map_err(|_| ApiError::field("id", "is not a backfill's id, which is a UUID"))
}

/// A page of backfills, with one more than it has so that the end is seen.
pub(in crate::api) fn read_backfills(
    request: &v1::ListBackfillsRequest,
) -> Result<(BackfillSelection, u32), ApiError> {
    let filter = read_run_filter(&request.namespace, &request.job, "")?;
    let size = page::size(request.page_size)?;
    let before = page::read_token(&request.page_token)?;
    let (namespace, job) = (filter.namespace, filter.job);
    Ok((BackfillSelection { namespace, job, before, limit: size + 1 }, size))
}

pub(in crate::api) fn backfill_to_proto(backfill: Backfill) -> v1::Backfill {
    let ended = backfill.ended.into_iter();
    v1::Backfill {
        id: backfill.id.to_string(),
        namespace: backfill.namespace.to_string(),
        job: backfill.job,
        job_version: backfill.job_version,
        from: Some(timestamp_to_proto(backfill.from)),
        until: Some(timestamp_to_proto(backfill.until)),
        overlap: overlap_to_proto(backfill.overlap).into(),
        state: state_to_proto(backfill.state).into(),
        state_reason: backfill.state_reason,
        instants: backfill.instants,
        planned: backfill.planned,
        live: backfill.live,
        ended: ended
            .map(|(state, runs)| v1::BackfillEnded { state: run_state_to_proto(state).into(), runs })
            .collect(),
        created_at: Some(timestamp_to_proto(backfill.created_at)),
    }
}

fn state_to_proto(state: BackfillState) -> v1::BackfillState {
    match state {
        BackfillState::Planning => v1::BackfillState::Planning,
        BackfillState::Running => v1::BackfillState::Running,
        BackfillState::Done => v1::BackfillState::Done,
        BackfillState::Cancelled => v1::BackfillState::Cancelled,
        BackfillState::Errored => v1::BackfillState::Errored,
    }
}
