//! One thing that was done to a job.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::job::JobState;
use crate::word::words;

/// What was done to a job, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// When, by the database's clock. Instants up to this one, inclusive, are as before it, unless `since` says otherwise.
    pub at: DateTime<Utc>,
    /// The first instant that it holds for, where that is not after `at`: of a resume that makes up for the pause.
    pub since: Option<DateTime<Utc>>,
    /// What.
    pub kind: JobEventKind,
    /// Who, as they named themselves; `scheduler` for what planning found out, empty where it was not recorded.
    pub actor: String,
    /// The version in force from then on.
    pub version: u32,
    /// The reason of a pause or an error, or the version that was gone back to.
    pub note: String,
}

/// What can be done to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEventKind {
    /// It was made.
    Created,
    /// It got a new definition.
    Updated,
    /// It got an earlier definition again, as a new version.
    RolledBack,
    /// Its planning was stopped.
    Paused,
    /// Its planning goes on.
    Resumed,
    /// It is gone, but for its history.
    Deleted,
    /// Its schedule could not be evaluated.
    Errored,
    /// Its schedule had no further instant.
    Exhausted,
}

words!(
    JobEventKind, "event of a job",
    Created => "created",
    Updated => "updated",
    RolledBack => "rolled_back",
    Paused => "paused",
    Resumed => "resumed",
    Deleted => "deleted",
    Errored => "errored",
    Exhausted => "exhausted",
);

impl JobEvent {
    /// The first instant, to the microsecond, that it holds for.
    pub fn holds_from(&self) -> DateTime<Utc> {
        let after = || self.at.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(self.at);
        self.since.unwrap_or_else(after)
    }
}

impl JobEventKind {
    /// The actor of what planning finds out.
    pub const SCHEDULER: &str = "scheduler";

    /// The event by which a job comes to a state that planning, and not a person, puts it into.
    pub fn of_planning(state: JobState) -> Option<Self> {
        match state {
            JobState::Errored => Some(Self::Errored),
            JobState::Exhausted => Some(Self::Exhausted),
            JobState::Active | JobState::Paused | JobState::Deleted => None,
        }
    }

    /// The state after the event, given the one before.
    pub fn leads_to(self, before: JobState) -> JobState {
        match self {
            Self::Created | Self::Resumed => JobState::Active,
            // A paused job stays paused when it is changed; any other is planned anew.
            Self::Updated | Self::RolledBack if before == JobState::Paused => JobState::Paused,
            Self::Updated | Self::RolledBack => JobState::Active,
            Self::Paused => JobState::Paused,
            Self::Deleted => JobState::Deleted,
            Self::Errored => JobState::Errored,
            Self::Exhausted => JobState::Exhausted,
        }
    }
}
