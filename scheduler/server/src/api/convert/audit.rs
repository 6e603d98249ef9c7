//! What was done to jobs, and what became of their instants.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_proto::{json, v1};
use punctual_scheduler_domain::audit::{JobEvent, JobEventKind, Reconciled, diff};
use punctual_scheduler_domain::explain::LEDGER_KEPT;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobSpec, JobState};
use serde_json::Value;

use super::fields::Fields;
use super::job::{JobKey, job_to_proto};
use super::time::{instant, timestamp_to_proto};
use crate::api::error::ApiError;
use crate::store::JobVersion;

/// Instants that one answer lists of each kind.
const MOST_LISTED: usize = 1_000;

/// A version, and how it differs from the one before.
pub(in crate::api) fn version_to_proto(
    key: &JobKey,
    version: &JobVersion,
    before: Option<&JobVersion>,
) -> v1::JobVersion {
    let definition = definition_to_proto(key, &version.spec);
    let changes = before.map(|before| changes(&definition_to_proto(key, &before.spec), &definition));
    v1::JobVersion {
        version: version.version,
        author: version.author.clone(),
        created_at: Some(timestamp_to_proto(version.created_at)),
        definition: Some(definition),
        changes: changes.unwrap_or_default(),
    }
}

/// A definition, without what the server keeps about its job.
pub(super) fn definition_to_proto(key: &JobKey, spec: &JobSpec) -> v1::Job {
    let job = Job {
        id: JobId(uuid::Uuid::nil()),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        version: 0,
        revision: 0,
        spec: spec.clone(),
        state: JobState::Active,
        state_reason: String::new(),
        pause: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        next_due_at: None,
    };
    v1::Job {
        etag: String::new(),
        state: v1::JobState::Unspecified.into(),
        created_at: None,
        updated_at: None,
        ..job_to_proto(&job)
    }
}

fn changes(old: &v1::Job, new: &v1::Job) -> Vec<v1::FieldChange> {
    let text = |value: Option<Value>| value.map(|value| value.to_string()).unwrap_or_default();
    diff(&json::to_value(old), &json::to_value(new))
        .into_iter()
        .map(|change| v1::FieldChange { field: change.field, from: text(change.from), to: text(change.to) })
        .collect()
}

pub(in crate::api) fn event_to_proto(event: &JobEvent) -> v1::JobEvent {
    let kind = match event.kind {
        JobEventKind::Created => v1::JobEventKind::Created,
        JobEventKind::Updated => v1::JobEventKind::Updated,
        JobEventKind::RolledBack => v1::JobEventKind::RolledBack,
        JobEventKind::Paused => v1::JobEventKind::Paused,
        JobEventKind::Resumed => v1::JobEventKind::Resumed,
        JobEventKind::Deleted => v1::JobEventKind::Deleted,
        JobEventKind::Errored => v1::JobEventKind::Errored,
        JobEventKind::Exhausted => v1::JobEventKind::Exhausted,
    };
    v1::JobEvent {
        at: Some(timestamp_to_proto(event.at)),
        kind: kind.into(),
        actor: event.actor.clone(),
        version: event.version,
        note: event.note.clone(),
        since: event.since.map(timestamp_to_proto),
    }
}

/// An instant that has to be given.
pub(in crate::api) fn read_instant(
    field: &str,
    given: Option<&prost_types::Timestamp>,
) -> Result<DateTime<Utc>, ApiError> {
    let Some(given) = given else { return Err(ApiError::field(field, "is missing")) };
    instant(given).map_err(|error| ApiError::field(field, error))
}

/// The time from `from` to `until`, which is at most `now`. Nothing is on record of what is older than the ledger.
pub(in crate::api) fn read_window(
    from: Option<&prost_types::Timestamp>,
    until: Option<&prost_types::Timestamp>,
    now: DateTime<Utc>,
    default: TimeDelta,
) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
    let mut fields = Fields::new();
    let from = fields.take("from", from.map(instant).transpose()).flatten();
    let until = fields.take("until", until.map(instant).transpose()).flatten();
    let until = until.map_or(now, |until| until.min(now));
    let from = from.unwrap_or(until - default);
    if from >= until {
        fields.refuse("from", "is not before `until`, or not in the past");
    } else if TimeDelta::from_std(LEDGER_KEPT).is_ok_and(|kept| from < now - kept) {
        fields.refuse("from", "is more than 8 days ago: the ledger is not kept for longer");
    }
    fields.finish(Some((from, until)))
}

pub(in crate::api) fn reconciled_to_proto(
    found: &Reconciled,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> v1::ReconcileJobResponse {
    let listed = |instants: &[DateTime<Utc>]| {
        instants.iter().take(MOST_LISTED).map(|at| timestamp_to_proto(*at)).collect()
    };
    v1::ReconcileJobResponse {
        from: Some(timestamp_to_proto(from)),
        until: Some(timestamp_to_proto(until)),
        expected: found.expected,
        found: found.found,
        absent: listed(&found.absent),
        unexpected: listed(&found.unexpected),
        unreadable: found.unreadable.clone(),
        cut_at: found.cut_at.map(timestamp_to_proto),
    }
}
