//! The limits on a run's time, kept apart because they answer different questions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits on a run's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From due to the first start; `None`: as long as it takes.
    pub schedule_to_start: Option<Duration>,
    /// From due to the end, tries and waits included; `None`: as long as it takes.
    pub schedule_to_close: Option<Duration>,
    /// One attempt.
    pub start_to_close: Duration,
    /// From the request to cancel until the attempt is given up.
    pub cancel_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            schedule_to_start: None,
            schedule_to_close: None,
            start_to_close: Duration::from_secs(3600),
            cancel_grace: Duration::from_secs(10),
        }
    }
}
