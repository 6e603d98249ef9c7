//! What the store takes and gives about jobs.

use chrono::{DateTime, Utc};
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
        /// Who changed it.
        author: String,
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
