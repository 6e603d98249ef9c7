//! How often a run is tried and how long it waits in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries in all, 1 to 1,000.
    pub max_tries: u32,
    /// How the wait grows.
    pub backoff: Backoff,
    /// Waits a random time between zero and the delay, so that failures do not come back in step.
    pub jitter: bool,
    /// Kinds of error that end the run at once.
    #[serde(default)]
    pub non_retryable: Vec<String>,
}

/// How the wait between tries grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// initial × factor^(tries − 1), at most cap.
    Exponential {
        /// After the first try.
        initial: Duration,
        /// 1.0 to 10.0.
        factor: f64,
        /// No wait is longer.
        cap: Duration,
    },
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 3,
            backoff: Backoff::Exponential {
                initial: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(300),
            },
            jitter: true,
            non_retryable: Vec::new(),
        }
    }
}
