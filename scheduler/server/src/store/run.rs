//! What the store takes and gives about runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::concurrency::Concurrency;
use punctual_scheduler_domain::id::{AttemptNumber, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{Overlap, Task};
use punctual_scheduler_domain::name::{JobName, Kind, Namespace, TaskQueue, TaskQueuePath};
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::timeouts::Timeouts;

use super::{NodeId, RequestId, RunLinks};

/// The runs of one kind and one priority in one task queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub i32);

/// A run that no schedule made.
#[derive(Debug, Clone)]
pub enum NewRun {
    /// Of a job, due now.
    Trigger {
        /// Its id, made by the caller.
        id: RunId,
        /// Where.
        namespace: Namespace,
        /// Of which job.
        job: JobName,
        /// In place of the job's payload: JSON text.
        payload: Option<String>,
        /// What else is otherwise than the job has it.
        options: TriggerOptions,
        /// Recognises a repeat.
        request: Option<RequestId>,
    },
    /// Of no job.
    OneOff(Box<OneOffRun>),
}

/// What a trigger may have otherwise than its job; `None` is as the job has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TriggerOptions {
    /// What happens while earlier runs of the job are unfinished.
    pub overlap: Option<Overlap>,
    /// Which of the runs that wait in the task queue go first.
    pub priority: Option<Priority>,
}

/// A run that belongs to no job.
#[derive(Debug, Clone)]
pub struct OneOffRun {
    /// Its id, made by the caller.
    pub id: RunId,
    /// Where.
    pub namespace: Namespace,
    /// Where it waits.
    pub task_queue: TaskQueue,
    /// What it executes.
    pub task: Task,
    /// Not before this; `None` means now.
    pub run_at: Option<DateTime<Utc>>,
    /// Which of the runs that wait in the task queue go first.
    pub priority: Priority,
    /// How many runs with its key go on at a time.
    pub concurrency: Option<Concurrency>,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Its idempotency key.
    pub request: Option<RequestId>,
    /// A node to queue it on at once, when the caller saw room in its task queue and will publish it.
    pub node: Option<NodeId>,
}

/// A run just created, or found by its idempotency key.
#[derive(Debug, Clone)]
pub struct CreatedRun {
    /// The run.
    pub id: RunId,
    /// When it was written down; `None` when it was there before.
    pub created_at: Option<DateTime<Utc>>,
    /// Set when it was created queued: publish this now.
    pub dispatch: Option<Dispatch>,
}

/// A doorbell to be sent: the run is `queued` on `node` under this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The run.
    pub run: RunId,
    /// Rises each time it is queued.
    pub dispatch_seq: u32,
    /// Where it is to be published.
    pub node: NodeId,
    /// For the topic.
    pub namespace: Namespace,
    /// For the topic.
    pub task_queue: TaskQueue,
    /// The job's name; empty for a one-off run.
    pub job: String,
    /// Which handler it needs.
    pub kind: Kind,
    /// Not to be published before this.
    pub run_at: DateTime<Utc>,
}

/// A run whose publish to a node was refused or unknown.
#[derive(Debug, Clone, Copy)]
pub struct Redispatch {
    /// The run.
    pub run: RunId,
    /// The number that was tried.
    pub dispatch_seq: u32,
    /// Where to try next.
    pub node: NodeId,
}

/// A lane with scheduled runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    /// Which.
    pub lane: LaneId,
    /// Of which namespace.
    pub namespace: Namespace,
    /// Of which task queue.
    pub task_queue: TaskQueue,
    /// Of which kind.
    pub kind: Kind,
    /// Of which priority.
    pub priority: Priority,
    /// Its task queue is paused.
    pub paused: bool,
    /// When its first run may be queued; may be past.
    pub first_run_at: DateTime<Utc>,
}

impl DueLane {
    /// The task queue its runs wait in.
    pub fn queue(&self) -> TaskQueuePath {
        TaskQueuePath { namespace: self.namespace.clone(), task_queue: self.task_queue.clone() }
    }
}

/// What the publisher may admit, and where to.
#[derive(Debug, Clone)]
pub struct AdmitRequest {
    /// Who publishes.
    pub publisher: ReplicaId,
    /// Whose runs.
    pub shards: Vec<Shard>,
    /// The lanes to look at, as [`due_lanes`](super::Store::due_lanes) found them.
    pub lanes: Vec<DueLane>,
    /// Usable nodes, by which share; runs are dealt out in turn. Not empty.
    pub nodes: Vec<NodeId>,
    /// Runs of jobs that allow overlap may be admitted this long ahead of their time.
    pub ahead: Duration,
    /// At most this many in one transaction.
    pub limit: u32,
}

/// What became of due runs.
#[derive(Debug, Clone, Default)]
pub struct Admitted {
    /// To be published.
    pub dispatches: Vec<Dispatch>,
    /// How many were skipped.
    pub skipped: u32,
    /// How many were blocked: they wait for something to end.
    pub blocked: u32,
    /// How many others were ended to make room, or asked to end.
    pub ended: u32,
    /// How many stay scheduled because their task queue's window is full, nobody serves their kind, or what stands in
    /// their way may be ending.
    pub waiting: u32,
    /// Whether more are due than one call takes.
    pub more: bool,
}

/// A run as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Which.
    pub id: RunId,
    /// Where.
    pub namespace: Namespace,
    /// The job's name; empty for a one-off run.
    pub job: String,
    /// 0 for a one-off run.
    pub job_version: u32,
    /// What made it.
    pub origin: RunOrigin,
    /// Where it stands.
    pub state: RunState,
    /// Why it was skipped, expired or cancelled, or what it waits for while it is blocked.
    pub reason: String,
    /// The nominal instant.
    pub due_at: DateTime<Utc>,
    /// When it may next be queued; for an ended run, its nominal instant.
    pub run_at: DateTime<Utc>,
    /// Where it waits.
    pub task_queue: TaskQueue,
    /// Which handler it needs.
    pub kind: Kind,
    /// Which of the runs that wait there go first.
    pub priority: Priority,
    /// Its concurrency key; empty when it has none.
    pub concurrency_key: String,
    /// How many attempts were granted.
    pub attempts: u32,
    /// How many of them used up a try.
    pub tries_used: u32,
    /// When it was written down.
    pub created_at: DateTime<Utc>,
    /// When its latest attempt was granted.
    pub started_at: Option<DateTime<Utc>>,
    /// When it became final.
    pub ended_at: Option<DateTime<Utc>>,
    /// What last went wrong.
    pub error: String,
    /// What the handler returned.
    pub result: String,
    /// 0 to 1, as last reported.
    pub progress: f64,
    /// Said with it.
    pub progress_note: String,
    /// Whether its end was asked for.
    pub cancel_requested: bool,
    /// What it has to do with other runs.
    pub links: RunLinks,
}

/// One attempt as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Which.
    pub number: AttemptNumber,
    /// `None` while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// Name of the worker.
    pub worker: String,
    /// Which start of it.
    pub session: SessionId,
    /// When it was granted.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What went wrong.
    pub error: String,
    /// Of which kind that was.
    pub error_kind: String,
    /// The last it printed.
    pub output_tail: String,
}

/// Which runs somebody is interested in.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// Where.
    pub namespace: Namespace,
    /// Only of this job, deleted ones included.
    pub job: Option<JobName>,
    /// Only this one.
    pub run: Option<RunId>,
}

/// A page of runs.
#[derive(Debug, Clone)]
pub struct RunSelection {
    /// Which.
    pub filter: RunFilter,
    /// Only in these states; empty means any.
    pub states: Vec<RunState>,
    /// Only older than this one: the last of the page before.
    pub before: Option<RunId>,
    /// At most.
    pub limit: u32,
}

/// What a watcher sees.
#[derive(Debug, Clone)]
pub struct RunChanges {
    /// Every live run that matches, up to 1,000, and every run that ended since.
    pub runs: Vec<Run>,
    /// Ask from here next time. A run may be seen twice, never missed.
    pub next_since: DateTime<Utc>,
}
