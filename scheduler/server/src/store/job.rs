//! What the store takes and gives about jobs.

use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::JobSpec;
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
    },
    /// Goes on planning from now.
    Resume,
    /// Ends the job; also cancels its runs that have not started.
    Delete,
}

impl JobChange {
    /// The event that it is recorded as, with its note.
    pub(super) fn event(&self) -> (JobEventKind, String) {
        match self {
            Self::Update { back_to: None, .. } => (JobEventKind::Updated, String::new()),
            Self::Update { back_to: Some(version), .. } => {
                (JobEventKind::RolledBack, format!("to version {version}"))
            }
            Self::Pause { reason } => (JobEventKind::Paused, reason.clone()),
            Self::Resume => (JobEventKind::Resumed, String::new()),
            Self::Delete => (JobEventKind::Deleted, String::new()),
        }
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
