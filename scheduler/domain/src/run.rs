//! A run: one due occurrence of a job, or a one-off task. Where it stands, and what becomes of it at each event.

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptOutcome;
use crate::id::AttemptNumber;
use crate::word::words;

pub mod cases;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for its time, or for a retry.
    Scheduled,
    /// Waits for something else to end.
    Blocked,
    /// Handed to a queue node.
    Queued,
    /// A worker holds its current attempt.
    Running,
    /// Done.
    Succeeded,
    /// No try left, or the error was not retryable.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Took too long to start or to end.
    Expired,
    /// Never started, for a reason that is recorded.
    Skipped,
}

impl RunState {
    /// Whether it never changes again.
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Blocked | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired | Self::Skipped => true,
        }
    }
}

/// Where a run comes from; it decides which key makes it unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOrigin {
    /// An instant of its job's schedule; unique by (job, due time, shard).
    Schedule,
    /// Somebody asked for a run of the job.
    Trigger,
    /// Has no job; unique by its idempotency key.
    OneOff,
    /// An instant of its job's schedule that was asked for again; unique by (backfill, due time, shard).
    Backfill,
    /// A run of another job has ended; unique by (that run, job).
    After,
    /// A final run that is run again.
    Rerun,
}

words!(
    RunState, "state of a run",
    Scheduled => "scheduled",
    Blocked => "blocked",
    Queued => "queued",
    Running => "running",
    Succeeded => "succeeded",
    Failed => "failed",
    Cancelled => "cancelled",
    Expired => "expired",
    Skipped => "skipped",
);
words!(
    RunOrigin, "origin of a run",
    Schedule => "schedule",
    Trigger => "trigger",
    OneOff => "one_off",
    Backfill => "backfill",
    After => "after",
    Rerun => "rerun",
);

/// What a transition depends on: the columns that every guarded statement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFacts {
    /// Where it stands.
    pub state: RunState,
    /// The attempt granted last, which is the one held while running; `None` while none ever was.
    pub attempt: Option<AttemptNumber>,
    /// How often it was queued.
    pub dispatch_seq: u32,
    /// A cancel was requested while it was running.
    pub cancel_requested: bool,
}

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// The publisher let it through at its due time, chose a node and raised `dispatch_seq`.
    Admitted,
    /// The publisher judged that it must not run (overlap, paused).
    Skipped,
    /// The publisher judged that it must wait for something else to end.
    Blocked,
    /// What it waited for has ended.
    Unblocked,
    /// The node refused the message or did not answer: another was chosen, `dispatch_seq` raised.
    Redispatched,
    /// The dispatch came to nothing: its node is lost, no node took it, or nobody started it in time.
    DispatchLost {
        /// The `dispatch_seq` that is given up.
        dispatch_seq: u32,
    },
    /// A worker asks for the attempt that a dispatch announced.
    AttemptStarted {
        /// The number it would get.
        attempt: AttemptNumber,
        /// The `dispatch_seq` of the message.
        dispatch_seq: u32,
    },
    /// An attempt came to its end: reported by its holder, or acted on by the reaper.
    AttemptEnded {
        /// Which one.
        attempt: AttemptNumber,
        /// How.
        outcome: AttemptOutcome,
        /// Whether another try follows a bad end: tries are left and the error is retryable.
        retry: bool,
    },
    /// Somebody asked for its end.
    CancelRequested,
    /// A later run of the job takes its place at once; whoever holds it learns of that afterwards.
    Killed,
    /// The holder did not confirm the cancel in time.
    CancelGraceOver {
        /// Whose holder.
        attempt: AttemptNumber,
    },
    /// `schedule_to_start` passed.
    StartDeadlinePassed,
    /// `schedule_to_close` passed.
    CloseDeadlinePassed,
}

/// What an event does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It moves to this state; for [`RunEvent::Redispatched`] the one it is in, with a new dispatch.
    To(RunState),
    /// It stays where it is, and the request to cancel is recorded.
    CancelPending,
    /// The event is late, repeated, or about a past attempt or dispatch: nothing changes.
    Stale,
}

impl RunFacts {
    /// A run as it is created: waiting for its time.
    pub const NEW: Self =
        Self { state: RunState::Scheduled, attempt: None, dispatch_seq: 0, cancel_requested: false };

    /// Decides what `event` does. The store's statements carry the same guards, so that of two schedulers that act
    /// on one run at most one wins.
    pub fn on(self, event: RunEvent) -> Transition {
        use RunState::{Blocked, Cancelled, Expired, Failed, Queued, Running, Scheduled, Skipped, Succeeded};
        use Transition::{CancelPending, Stale, To};
        match (self.state, event) {
            // Delivery is at least once and reports may come late: whatever comes after the end changes nothing.
            (Succeeded | Failed | Cancelled | Expired | Skipped, _any) => Stale,

            (Scheduled, RunEvent::Admitted) => To(Queued),
            // A retry was admitted before: its run has begun and is never skipped.
            (Scheduled, RunEvent::Skipped) if self.dispatch_seq == 0 => To(Skipped),
            (Scheduled, RunEvent::Blocked) => To(Blocked),
            (Blocked, RunEvent::Unblocked) => To(Scheduled),
            (Queued, RunEvent::Redispatched) => To(Queued),
            (Queued, RunEvent::DispatchLost { dispatch_seq }) if dispatch_seq == self.dispatch_seq => {
                To(Scheduled)
            }
            (Queued, RunEvent::AttemptStarted { attempt, dispatch_seq })
                if dispatch_seq == self.dispatch_seq && attempt == AttemptNumber::after(self.attempt) =>
            {
                To(Running)
            }
            (Running, RunEvent::AttemptEnded { attempt, outcome, retry })
                if self.attempt == Some(attempt) =>
            {
                To(self.after_attempt(outcome, retry))
            }
            (Scheduled | Blocked | Queued, RunEvent::CancelRequested) => To(Cancelled),
            (Running, RunEvent::CancelRequested) => CancelPending,
            (Scheduled | Blocked | Queued | Running, RunEvent::Killed) => To(Cancelled),
            (Running, RunEvent::CancelGraceOver { attempt })
                if self.cancel_requested && self.attempt == Some(attempt) =>
            {
                To(Cancelled)
            }
            // It bounds the wait for the first start: once an attempt was granted it has done its work.
            (Scheduled | Blocked | Queued, RunEvent::StartDeadlinePassed) if self.attempt.is_none() => {
                To(Expired)
            }
            (Running, RunEvent::CloseDeadlinePassed) if self.cancel_requested => To(Cancelled),
            (Scheduled | Blocked | Queued | Running, RunEvent::CloseDeadlinePassed) => To(Expired),

            // Queued is written before the message goes out, so a message that finds the run scheduled or blocked
            // is from an earlier dispatch; so is one with another number.
            (Scheduled | Blocked | Queued | Running, RunEvent::AttemptStarted { .. }) => Stale,
            (Scheduled | Blocked | Queued | Running, RunEvent::DispatchLost { .. }) => Stale,
            // News of a past attempt.
            (Scheduled | Blocked | Queued | Running, RunEvent::AttemptEnded { .. }) => Stale,
            (Scheduled | Blocked | Queued | Running, RunEvent::CancelGraceOver { .. }) => Stale,
            // Another scheduler was faster.
            (Blocked | Queued | Running, RunEvent::Admitted | RunEvent::Blocked) => Stale,
            (Scheduled | Blocked | Queued | Running, RunEvent::Skipped) => Stale,
            (Scheduled | Queued | Running, RunEvent::Unblocked) => Stale,
            (Scheduled | Blocked | Running, RunEvent::Redispatched) => Stale,
            (Scheduled | Blocked | Queued | Running, RunEvent::StartDeadlinePassed) => Stale,
        }
    }

    /// Where the end of the current attempt leaves the run.
    fn after_attempt(self, outcome: AttemptOutcome, retry: bool) -> RunState {
        match outcome {
            AttemptOutcome::Succeeded => RunState::Succeeded,
            AttemptOutcome::Failed
            | AttemptOutcome::TimedOut
            | AttemptOutcome::Lost
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Released
                if self.cancel_requested =>
            {
                RunState::Cancelled
            }
            // A handler that stopped though nobody asked for it gave the attempt back.
            AttemptOutcome::Released | AttemptOutcome::Cancelled => RunState::Scheduled,
            AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Lost if retry => {
                RunState::Scheduled
            }
            AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Lost => RunState::Failed,
        }
    }
}

#[cfg(test)]
mod tests;
