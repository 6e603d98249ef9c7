//! Which due runs go out: judged once, when they fall due, on what is true then.

mod batch;
mod judged;
mod key;
mod overlap;
mod window;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

pub use self::judged::{
    BlockReason, End, How, Judged, Judgement, SkipReason, Verdict, WaitReason, replaced_by,
};
pub use self::key::KeyStanding;
pub use self::overlap::JobStanding;
pub use self::window::{LONGEST_REDELIVERY, redelivery_after, window};

use self::batch::Batch;
use crate::concurrency::{KeyClaim, KeyPath};
use crate::id::{JobId, RunId};
use crate::job::Overlap;
use crate::name::{Kind, TaskQueuePath};
use crate::priority::Priority;

/// The order of runs that stand in one line: older ones are less.
pub type Age = (DateTime<Utc>, DateTime<Utc>, RunId);

/// A run that is due.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which.
    pub run: RunId,
    /// Of which job; `None` for a one-off run.
    pub job: Option<JobId>,
    /// The nominal instant.
    pub due_at: DateTime<Utc>,
    /// When it was to be queued: `due_at`, or the end of a back-off.
    pub run_at: DateTime<Utc>,
    /// The higher goes first.
    pub priority: Priority,
    /// What to do while earlier runs of the job are unfinished. A one-off run has [`Overlap::Allow`].
    pub overlap: Overlap,
    /// How many of them may be, itself included.
    pub max_running: u32,
    /// How often it was queued already; above 0 it is a retry, whose overlap and key were judged before.
    pub dispatch_seq: u32,
    /// Where it would wait for a worker.
    pub queue: TaskQueuePath,
    /// What it needs a handler for.
    pub kind: Kind,
    /// The place it needs.
    pub key: Option<KeyClaim>,
    /// How many other runs of the job were admitted before this batch and are not final, counted up to `max_running`.
    pub unfinished: u32,
    /// A run of the job that may not overlap is blocked.
    pub job_blocked: bool,
    /// One of those is older than this one.
    pub older_blocked: bool,
}

impl Candidate {
    /// Its place in line.
    pub fn age(&self) -> Age {
        (self.due_at, self.run_at, self.run)
    }

    /// A retry was judged when it was first admitted.
    pub fn is_retry(&self) -> bool {
        self.dispatch_seq > 0
    }

    /// Whether its overlap is to be judged.
    pub fn is_bound(&self) -> bool {
        self.overlap != Overlap::Allow && !self.is_retry()
    }

    /// Whether it is judged by its job's [`JobStanding`].
    pub fn needs_standing(&self) -> bool {
        let replaces = self.overlap.replaces() && self.older_blocked;
        self.is_bound() && (self.unfinished >= self.max_running || replaces)
    }

    /// The key of which it needs a place.
    pub fn key_path(&self) -> Option<KeyPath> {
        let key = self.key.as_ref().filter(|_| !self.is_retry())?.key.clone();
        Some(KeyPath { namespace: self.queue.namespace.clone(), key })
    }
}

/// What a task queue can take now; by default nothing, of any priority.
#[derive(Debug, Clone)]
pub struct QueueBudget {
    /// How many more runs may be queued: this scheduler's share of the window less what it has queued.
    pub free: usize,
    /// The kinds its live workers have handlers for; `None` while it has no live worker, and then any kind goes.
    pub kinds: Option<HashSet<Kind>>,
    /// Nothing of it is admitted.
    pub paused: bool,
    /// What is of less priority waits: more may be due above it than was looked at.
    pub floor: Priority,
}

impl Default for QueueBudget {
    fn default() -> Self {
        Self { free: 0, kinds: None, paused: false, floor: Priority::LOWEST }
    }
}

/// What is known of what stands in the way of a batch.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    /// Of each job of which a run is at its limit. What is left out is taken for unclear.
    pub jobs: HashMap<JobId, JobStanding>,
    /// Of each key that a run needs a place of. What is left out is judged by somebody else now.
    pub keys: HashMap<KeyPath, KeyStanding>,
}

/// Judges `candidates`, all of them due. Every candidate gets exactly one verdict, in the order of `candidates`.
///
/// Within a task queue the window goes to the higher priority first, then to the earlier due. A task queue without a
/// budget takes nothing. Overlap, keys and pauses are judged here and only here. What depends on a run that may be
/// ending at this moment waits until that is known, and so does what depends on an older run that waits.
pub fn judge(
    candidates: &[Candidate],
    budgets: &HashMap<TaskQueuePath, QueueBudget>,
    standings: &Standings,
) -> Judged {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|index| {
        let candidate = &candidates[*index];
        (Reverse(candidate.priority), candidate.age())
    });
    let mut batch = Batch::of(candidates, budgets, standings);
    let mut verdicts = vec![Verdict::Wait(WaitReason::WindowFull); candidates.len()];
    for index in order {
        verdicts[index] = batch.judge(&candidates[index]);
    }
    let judged = candidates.iter().zip(verdicts);
    let judgements = judged.map(|(candidate, verdict)| Judgement { run: candidate.run, verdict }).collect();
    Judged { judgements, ends: batch.into_ends() }
}

#[cfg(test)]
mod tests;
