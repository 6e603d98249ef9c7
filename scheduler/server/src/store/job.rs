//! What the store takes and gives about jobs.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{JobSpec, Pause};
use punctual_scheduler_domain::name::{JobName, Namespace};

/// Counts every change of a job's definition or state; people see it as the etag.
pub type Revision = u64;

/// A job to be written down.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its identity, made by the caller.
    pub id: JobId,
    /// Where.
    pub namespace: Namespace,
    /// Under which name.
    pub name: JobName,
    /// What it is.
    pub spec: JobSpec,
    /// Who made it, for the version's record.
    pub author: String,
}

/// A change of one job.
#[derive(Debug, Clone)]
pub enum JobChange {
    /// Replaces the definition.
    Update {
        /// The new one.
        spec: Box<JobSpec>,
        /// The version whose definition this is, where that is gone back to.
        back_to: Option<u32>,
    },
    /// Stops planning.
    Pause {
        /// Why, for people.
        reason: String,
        /// Who wants it.
        by: String,
        /// When it ends by itself.
        until: Option<DateTime<Utc>>,
    },
    /// Goes on planning.
    Resume {
        /// From the pause on, so that what fell due since is judged by the misfire policy; else from now.
        catch_up: bool,
    },
    /// Ends the job; also cancels its runs that have not started.
    Delete,
}

/// How something that is done to a job goes on record.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: JobEventKind,
    pub(super) by: String,
    pub(super) note: String,
    /// The first instant that it holds for, where that is not after now.
    pub(super) since: Option<DateTime<Utc>>,
}

impl Entry {
    /// What planning found out.
    pub(super) fn found(kind: JobEventKind, why: &str) -> Self {
        Self { kind, by: JobEventKind::SCHEDULER.to_owned(), note: why.to_owned(), since: None }
    }

    /// A pause that ended by itself: what fell due since then is planned.
    pub(super) fn pause_is_over(until: DateTime<Utc>) -> Self {
        let over = Self::found(JobEventKind::Resumed, "the pause is over");
        Self { since: Some(until), ..over }
    }
}

impl JobChange {
    /// How it goes on record when `by` asks for it, of a job that is paused like this.
    pub(super) fn entry(&self, by: &str, pause: Option<&Pause>) -> Entry {
        let (kind, note) = match self {
            Self::Update { back_to: None, .. } => (JobEventKind::Updated, String::new()),
            Self::Update { back_to: Some(version), .. } => {
                (JobEventKind::RolledBack, format!("to version {version}"))
            }
            Self::Pause { reason, .. } => (JobEventKind::Paused, reason.clone()),
            Self::Resume { catch_up: false } => (JobEventKind::Resumed, String::new()),
            Self::Resume { catch_up: true } => (JobEventKind::Resumed, "catching up".to_owned()),
            Self::Delete => (JobEventKind::Deleted, String::new()),
        };
        let since = match self {
            Self::Resume { catch_up: true } => pause.map(|pause| pause.at + TimeDelta::microseconds(1)),
            _ => None,
        };
        Entry { kind, by: by.to_owned(), note, since }
    }
}

/// What one call of the planner did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanOutcome {
    /// Jobs whose cursor moved; 0 means that no more are due for planning.
    pub jobs: u32,
    /// Runs written down.
    pub runs: u32,
    /// Instants recorded as missed.
    pub missed: u64,
}

impl PlanOutcome {
    /// Once it has written this many runs, a call takes no further job: some tens of milliseconds of work. The last
    /// job may bring it past that.
    pub const MOST_RUNS: usize = 5_000;
}
