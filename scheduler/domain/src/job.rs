//! A job: its definition as people write it, and what the server keeps beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::validate::{MAX_PAYLOAD_BYTES, validate_payload};
pub use crate::misfire::{CatchUp, Misfire};

use crate::after::AfterOn;
use crate::concurrency::{Concurrency, KeyClaim};
use crate::id::JobId;
use crate::name::{JobName, Kind, Namespace, TaskQueue};
use crate::priority::Priority;
use crate::retention::Retention;
use crate::retry::RetryPolicy;
use crate::run::RunState;
use crate::schedule::{ScheduleSpec, When};
use crate::timeouts::Timeouts;
use crate::word::words;

mod validate;

/// What a job is, apart from its name: the part that makes a new version when it changes. Kept as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// When it runs, OR-ed; empty means only when triggered.
    pub schedule: Vec<ScheduleSpec>,
    /// What it runs.
    pub task: Task,
    /// Where its runs wait for a worker.
    pub task_queue: TaskQueue,
    /// For finding it again.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What happens when an instant falls due while as many earlier runs as may go on at a time are unfinished.
    pub overlap: Overlap,
    /// How many of its runs may go on at a time, where `overlap` sets a limit at all; at least 1.
    #[serde(default = "one_at_a_time")]
    pub max_running: u32,
    /// How many of those runs may go on at a time that share a key with them, of whatever job.
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    /// Which of the runs that wait in its task queue go first.
    #[serde(default)]
    pub priority: Priority,
    /// What happens to instants that could not be planned in time.
    pub misfire: Misfire,
    /// When they count as missed, and how far they are made up for.
    #[serde(default, skip_serializing_if = "CatchUp::is_default")]
    pub catchup: CatchUp,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// How long the history of its runs is kept.
    #[serde(default, skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

/// A job that another one runs after, and where its definition says so.
#[derive(Debug, Clone, Copy)]
pub struct Upstream<'a> {
    /// Which schedule, and which name in it.
    pub place: (usize, usize),
    /// Its name.
    pub job: &'a JobName,
    /// Which ends start a run.
    pub on: AfterOn,
    /// The schedule, for its bounds.
    pub schedule: &'a ScheduleSpec,
}

impl Upstream<'_> {
    /// The path of its name in a job file.
    pub fn field(&self) -> String {
        format!("schedule[{}].after.jobs[{}]", self.place.0, self.place.1)
    }

    /// Whether an end in this state at this instant starts a run.
    pub fn starts(&self, ended: RunState, at: DateTime<Utc>) -> bool {
        self.on.starts(ended)
            && self.schedule.start.is_none_or(|start| start <= at)
            && self.schedule.end.is_none_or(|end| at < end)
    }
}

impl JobSpec {
    /// No job has more runs at a time under a policy that limits them.
    pub const MOST_RUNNING: u32 = 1_000;

    /// The jobs that it runs after.
    pub fn upstreams(&self) -> impl Iterator<Item = Upstream<'_>> {
        self.schedule.iter().enumerate().flat_map(|(place, schedule)| {
            let (jobs, on) = match &schedule.when {
                When::After { jobs, on } => (&jobs[..], *on),
                When::Cron(_) | When::Every { .. } | When::At(_) | When::Delay(_) | When::Rrule(_) => {
                    (&[][..], AfterOn::default())
                }
            };
            let named = jobs.iter().enumerate();
            named.map(move |(index, job)| Upstream { place: (place, index), job, on, schedule })
        })
    }

    /// The place that a run with this payload needs, if any.
    pub fn key_claim(&self, payload: &str) -> Option<KeyClaim> {
        self.concurrency.as_ref().map(|concurrency| concurrency.claim(payload, &self.labels))
    }
}

/// What a run executes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A program, run by a worker that allows it.
    Exec(ExecTask),
    /// A handler that some worker registered.
    Handler {
        /// Its name.
        kind: Kind,
        /// JSON text for it; may be empty.
        payload: String,
    },
}

impl Task {
    /// The kind a worker must have a handler for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Exec(_) => Kind::exec(),
            Self::Handler { kind, .. } => kind.clone(),
        }
    }

    /// What the worker gets: JSON text.
    pub fn payload(&self) -> String {
        match self {
            // A struct of strings always serialises.
            Self::Exec(exec) => serde_json::to_string(exec).unwrap_or_default(),
            Self::Handler { payload, .. } => payload.clone(),
        }
    }
}

/// A program to run, never through a shell. Its JSON is the payload of kind `exec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecTask {
    /// The program and its arguments; at least one, no NUL.
    pub argv: Vec<String>,
    /// Added to the worker's own small environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where it runs; empty means the worker's working directory.
    #[serde(default)]
    pub working_dir: String,
}

/// The `max_running` of a job that says nothing.
pub fn one_at_a_time() -> u32 {
    1
}

/// What happens when an instant falls due while earlier runs of the job are unfinished, as many as `max_running`. Those
/// are unfinished that were admitted and are not final: queued, running, or waiting for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Runs side by side.
    Allow,
    /// Records the instant as skipped.
    #[default]
    Skip,
    /// Waits for an earlier one to end; while one waits already, the instant is skipped.
    QueueOne,
    /// Waits for an earlier one to end, and starts in due order.
    QueueAll,
    /// Asks the oldest to end and waits for that. An older one that waits gives way.
    CancelRunning,
    /// Ends the oldest at once and runs in its place.
    KillRunning,
}

impl Overlap {
    /// Whether a run of the policy makes older ones give way.
    pub fn replaces(self) -> bool {
        match self {
            Self::CancelRunning | Self::KillRunning => true,
            Self::Allow | Self::Skip | Self::QueueOne | Self::QueueAll => false,
        }
    }
}

words!(
    Overlap, "overlap policy",
    Allow => "allow",
    Skip => "skip",
    QueueOne => "queue_one",
    QueueAll => "queue_all",
    CancelRunning => "cancel_running",
    KillRunning => "kill_running",
);
words!(
    JobState, "state of a job",
    Active => "active",
    Paused => "paused",
    Exhausted => "exhausted",
    Errored => "errored",
    Deleted => "deleted",
);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its instants become runs.
    Active,
    /// Planning is stopped.
    Paused,
    /// The schedule has no further instant.
    Exhausted,
    /// The schedule cannot be evaluated.
    Errored,
    /// Gone, but for its history.
    Deleted,
}

/// A pause of a job. Why is the reason of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
    /// When it ends by itself.
    pub until: Option<DateTime<Utc>>,
}

/// A job as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name, unique in the namespace while it is not deleted.
    pub name: JobName,
    /// Of the definition; counts from 1.
    pub version: u32,
    /// Counts every change of definition or state; the `etag` is made from it.
    pub revision: u64,
    /// The definition in force.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// Why it is paused or errored.
    pub state_reason: String,
    /// Set while it is paused.
    pub pause: Option<Pause>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When definition or state last changed.
    pub updated_at: DateTime<Utc>,
    /// The next instant not yet planned.
    pub next_due_at: Option<DateTime<Utc>>,
}
