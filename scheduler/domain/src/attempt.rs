//! An attempt: one try at a run, and how it ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
