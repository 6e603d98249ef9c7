//! An attempt: one try at a run, and how it ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::retry::{GiveUp, RetryDecision, RetryPolicy};
use crate::run::RunState;
use crate::word::words;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The handler returned.
    Succeeded,
    /// The handler gave up.
    Failed,
    /// `start_to_close` passed.
    TimedOut,
    /// Its session ended silently.
    Lost,
    /// It was asked to stop, and did.
    Cancelled,
    /// Given back unfinished, or never taken up.
    Released,
}

words!(
    AttemptOutcome, "outcome of an attempt",
    Succeeded => "succeeded",
    Failed => "failed",
    TimedOut => "timed_out",
    Lost => "lost",
    Cancelled => "cancelled",
    Released => "released",
);

impl AttemptOutcome {
    /// Whether such an end uses up one of the run's tries.
    pub fn uses_try(self) -> bool {
        match self {
            Self::Failed | Self::TimedOut | Self::Lost => true,
            Self::Succeeded | Self::Cancelled | Self::Released => false,
        }
    }
}

/// What the end of an attempt brings with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttemptReport {
    /// JSON text, on success.
    pub result: String,
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for `non_retryable`.
    pub error_kind: String,
    /// No further try, whatever is left.
    pub non_retryable: bool,
    /// Wins over the policy's back-off.
    pub retry_after: Option<Duration>,
    /// The last 4 KiB of what it printed.
    pub output_tail: String,
}

/// What the end of an attempt depends on.
#[derive(Debug, Clone, Copy)]
pub struct EndInput<'a> {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What came with it; the default when the reaper ended it. For a release, `retry_after` is the wait asked for.
    pub report: &'a AttemptReport,
    /// The run's policy.
    pub policy: &'a RetryPolicy,
    /// How many tries the run had used before this attempt ended.
    pub tries_used: u32,
    /// A cancel of the run was requested.
    pub cancel_requested: bool,
    /// Uniform in `0.0..1.0`, for the jitter.
    pub random: f64,
}

/// What becomes of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The run is over.
    Final {
        /// Its last state: succeeded, failed or cancelled.
        state: RunState,
        /// Why no further try follows; only when it failed.
        reason: Option<GiveUp>,
    },
    /// The run is scheduled again.
    Again {
        /// After this long.
        delay: Duration,
        /// Whether the attempt used up a try.
        counts_try: bool,
    },
}

/// Decides what the end of an attempt makes of its run: one rule for reports and for the reaper.
///
/// Once a cancel was requested every end but success is `cancelled`. A release, or a stop that nobody asked for, uses
/// no try.
pub fn attempt_end(input: EndInput<'_>) -> AttemptEnd {
    let EndInput { outcome, report, policy, tries_used, cancel_requested, random } = input;
    match outcome {
        AttemptOutcome::Succeeded => AttemptEnd::Final { state: RunState::Succeeded, reason: None },
        AttemptOutcome::Failed
        | AttemptOutcome::TimedOut
        | AttemptOutcome::Lost
        | AttemptOutcome::Cancelled
        | AttemptOutcome::Released
            if cancel_requested =>
        {
            AttemptEnd::Final { state: RunState::Cancelled, reason: None }
        }
        AttemptOutcome::Released | AttemptOutcome::Cancelled => {
            let delay = report.retry_after.unwrap_or_default().min(RetryPolicy::MOST_DELAY);
            AttemptEnd::Again { delay, counts_try: false }
        }
        AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Lost => {
            match policy.after(tries_used.saturating_add(1), report, random) {
                RetryDecision::Retry { delay } => AttemptEnd::Again { delay, counts_try: true },
                RetryDecision::GiveUp { reason } => {
                    AttemptEnd::Final { state: RunState::Failed, reason: Some(reason) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
