//! From columns to our own types. What the database holds was checked when it went in; what cannot be read back was
//! written by a later release or by hand, and is reported as such.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::{BackfillId, JobId, RunId};
use punctual_scheduler_domain::job::{Job, Pause};
use punctual_scheduler_domain::priority::Priority;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::store::{NamedCalendar, RunLinks, StoreError};

/// A row of `job_by_name.sql` and its siblings.
pub(super) struct JobRow {
    pub(super) id: Uuid,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: i32,
    pub(super) revision: i64,
    pub(super) state: String,
    pub(super) state_reason: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) paused_at: Option<DateTime<Utc>>,
    pub(super) paused_by: String,
    pub(super) paused_until: Option<DateTime<Utc>>,
    pub(super) spec: serde_json::Value,
    pub(super) next_due_at: Option<DateTime<Utc>>,
}

impl JobRow {
    pub(super) fn into_job(self) -> Result<Job, StoreError> {
        Ok(Job {
            id: JobId(self.id),
            namespace: parsed("namespace", &self.namespace)?,
            spec: definition(&format!("job {} version {}", self.name, self.version), self.spec)?,
            name: parsed("job name", &self.name)?,
            version: count(self.version),
            revision: u64::try_from(self.revision).unwrap_or(0),
            state: parsed("job state", &self.state)?,
            state_reason: self.state_reason,
            pause: self.paused_at.map(|at| Pause { at, by: self.paused_by, until: self.paused_until }),
            created_at: self.created_at,
            updated_at: self.updated_at,
            next_due_at: self.next_due_at,
        })
    }
}

/// A row of `list_calendars.sql`.
pub(super) struct CalendarRow {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) spec: serde_json::Value,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl CalendarRow {
    pub(super) fn into_calendar(self) -> Result<NamedCalendar, StoreError> {
        Ok(NamedCalendar {
            namespace: parsed("namespace", &self.namespace)?,
            spec: definition(&format!("calendar {}", self.name), self.spec)?,
            name: parsed("calendar name", &self.name)?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A name or state that the database's constraints admitted.
pub(super) fn parsed<T>(what: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| unreadable(format!("{what} {text:?}"), error))
}

/// A definition kept as JSON.
pub(super) fn definition<T: DeserializeOwned>(what: &str, value: serde_json::Value) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|source| StoreError::Definition { what: what.to_owned(), source })
}

/// A priority that the database's constraints admitted.
pub(super) fn priority(value: i16) -> Priority {
    u32::try_from(value).ok().and_then(|number| Priority::new(number).ok()).unwrap_or_default()
}

/// A counter that never goes below zero.
pub(super) fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// What a run has to do with others.
pub(super) fn links(backfill: Option<Uuid>, upstream_run: Option<Uuid>, retry_of: Option<Uuid>) -> RunLinks {
    RunLinks {
        backfill: backfill.map(BackfillId),
        upstream_run: upstream_run.map(RunId),
        retry_of: retry_of.map(RunId),
    }
}

fn unreadable(what: String, error: impl Display) -> StoreError {
    StoreError::Definition { what, source: serde::de::Error::custom(error) }
}
