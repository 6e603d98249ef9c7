//! Which due runs go out: judged once, when they fall due, on what is true then.

mod batch;
mod window;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

pub use self::window::{LONGEST_REDELIVERY, redelivery_after, window};

use self::batch::Batch;
use crate::id::{JobId, RunId};
use crate::job::Overlap;
use crate::name::{Kind, TaskQueuePath};

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
    /// 0 to 9; the higher goes first.
    pub priority: i16,
    /// What to do while an earlier run of the job is unfinished. A one-off run has [`Overlap::Allow`].
    pub overlap: Overlap,
    /// How often it was queued already; above 0 it is a retry, whose overlap was judged before.
    pub dispatch_seq: u32,
    /// Where it would wait for a worker.
    pub queue: TaskQueuePath,
    /// What it needs a handler for.
    pub kind: Kind,
    /// Another run of the job was admitted before this batch and is not final.
    pub unfinished: bool,
}

/// What a task queue can take now.
#[derive(Debug, Clone, Default)]
pub struct QueueBudget {
    /// How many more runs may be queued: this scheduler's share of the window less what it has queued.
    pub free: usize,
    /// The kinds its live workers have handlers for; `None` while it has no live worker, and then any kind goes.
    pub kinds: Option<HashSet<Kind>>,
}

/// What is decided about one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Which run.
    pub run: RunId,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a due run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is queued.
    Admit,
    /// It ends here, for good.
    Skip(SkipReason),
    /// It stays scheduled and is judged again later.
    Wait(WaitReason),
}

/// Why a run is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// An earlier run of the job is unfinished.
    Overlap,
}

impl SkipReason {
    /// The word kept as the run's reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
        }
    }
}

/// Why a due run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The task queue has live workers, and none of them serves the kind.
    NoWorker,
    /// The task queue has as many queued runs as its workers are worth.
    WindowFull,
}

impl WaitReason {
    /// The name used in SQL and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::WindowFull => "window_full",
        }
    }
}

/// Judges `candidates`, all of them due. Every candidate gets exactly one verdict, in the order of `candidates`.
///
/// Within a task queue the window goes to the higher priority first, then to the earlier due. A task queue without a
/// budget takes nothing. Overlap is judged here and only here: a run under [`Overlap::Skip`] is skipped while an older
/// run of its job is unfinished or is admitted now, and waits while an older one waits, since which of the two runs
/// is not decided yet.
pub fn judge(candidates: &[Candidate], budgets: &HashMap<TaskQueuePath, QueueBudget>) -> Vec<Judgement> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|index| {
        let candidate = &candidates[*index];
        (Reverse(candidate.priority), candidate.age())
    });
    let mut batch = Batch::of(candidates, budgets);
    let mut verdicts = vec![Verdict::Wait(WaitReason::WindowFull); candidates.len()];
    for index in order {
        verdicts[index] = batch.judge(&candidates[index]);
    }
    let judged = candidates.iter().zip(verdicts);
    judged.map(|(candidate, verdict)| Judgement { run: candidate.run, verdict }).collect()
}

#[cfg(test)]
mod tests;
