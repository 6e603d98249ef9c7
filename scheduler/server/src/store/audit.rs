//! What the store takes and gives about what was done to jobs.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::JobEvent;
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan::MissedRange;

/// One version of a job, which never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct JobVersion {
    /// Counts from 1.
    pub version: u32,
    /// The definition.
    pub spec: JobSpec,
    /// Who made it.
    pub author: String,
    /// When it came into force.
    pub created_at: DateTime<Utc>,
}

/// An event, and where the next page of a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Sorts events in the order in which they were written.
    pub id: i64,
    /// Of which job: one made anew under an old name is another.
    pub job: JobId,
    /// What was done.
    pub event: JobEvent,
}

/// A run that a job's schedule has at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstantRun {
    /// Which.
    pub run: RunId,
    /// The address of the queue node that it waits at, while it is queued.
    pub node: Option<String>,
}

/// Which jobs' records to read.
#[derive(Debug, Clone)]
pub enum RecordsOf {
    /// Every job that bears or bore this name, the latest first.
    Name(Namespace, JobName),
    /// All jobs that there were within the time, in the order of their ids, after this one.
    AllAfter(Option<JobId>),
}

/// What is on record of jobs, for a stretch of time.
#[derive(Debug, Clone)]
pub struct RecordSelection {
    /// Which jobs.
    pub of: RecordsOf,
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant beyond.
    pub until: DateTime<Utc>,
    /// Jobs at most.
    pub limit: u32,
}

/// What is on record of one job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Which.
    pub id: JobId,
    /// Where.
    pub namespace: Namespace,
    /// Under which name.
    pub name: JobName,
    /// Where it stands now.
    pub state: JobState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When definition or state last changed: later than its last event where a release without events changed it.
    pub updated_at: DateTime<Utc>,
    /// The first instant not yet planned.
    pub next_due_at: Option<DateTime<Utc>>,
    /// All that was done to it, oldest first.
    pub events: Vec<JobEvent>,
    /// The instants within the time that the ledger has, in order, each once.
    pub ledger: Vec<DateTime<Utc>>,
    /// The missed ranges that reach into the time, in order.
    pub missed: Vec<MissedRange>,
}
