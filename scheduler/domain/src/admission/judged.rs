//! What is decided about due runs.

use serde::Serialize;

use crate::id::RunId;
use crate::word::words;

/// What is decided about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// One for each candidate.
    pub judgements: Vec<Judgement>,
    /// Runs outside of the batch, or retries in it, that have to give way; to be ended before any is admitted.
    pub ends: Vec<End>,
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
    /// It is queued, and takes the place of this number where it needs one.
    Admit {
        /// Counted from 1; `None` for a run without a key, and for a retry, which has its place.
        place: Option<u32>,
    },
    /// It ends here, for good.
    Skip(SkipReason),
    /// It is cancelled, because this younger run of its job fell due with it.
    Replace(RunId),
    /// It waits for something to end, and is judged again then.
    Block(BlockReason),
    /// It stays scheduled and is judged again soon.
    Wait(WaitReason),
}

/// A run that gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Which.
    pub run: RunId,
    /// To which.
    pub by: RunId,
    /// How.
    pub how: How,
}

/// How a run gives way to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Its end is asked for.
    Cancelled,
    /// It ends at once.
    Killed,
    /// It was blocked and ends at once.
    Replaced,
}

impl End {
    /// The text kept as the reason of its end.
    pub fn reason(&self) -> String {
        match self.how {
            How::Cancelled => format!("overlap: run {} is due", self.by),
            How::Killed => format!("overlap: run {} took its place", self.by),
            How::Replaced => replaced_by(self.by),
        }
    }
}

/// The text kept as the reason of a run that another one replaced.
pub fn replaced_by(run: RunId) -> String {
    format!("overlap: replaced by run {run}")
}

/// Why a run is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Earlier runs of the job are unfinished.
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

/// What a blocked run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// The end of an earlier run of the job.
    Overlap,
    /// A place under its concurrency key.
    ConcurrencyKey,
    /// That its task queue goes on.
    TaskQueuePaused,
}

words!(
    BlockReason, "reason to be blocked",
    Overlap => "overlap",
    ConcurrencyKey => "concurrency_key",
    TaskQueuePaused => "task_queue_paused",
);

/// Why a due run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The task queue has live workers, and none of them serves the kind.
    NoWorker,
    /// The task queue has as many queued runs as its workers are worth.
    WindowFull,
    /// What stands in its way may be ending, or is judged by another scheduler at this moment.
    Unclear,
}

impl WaitReason {
    /// The name used in SQL and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoWorker => "no_worker",
            Self::WindowFull => "window_full",
            Self::Unclear => "unclear",
        }
    }
}
