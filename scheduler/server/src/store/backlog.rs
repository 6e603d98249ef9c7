//! What waits, for people and autoscalers.

use std::collections::HashMap;
use std::time::Duration;

use punctual_scheduler_domain::name::TaskQueuePath;

/// How far planning and workers are behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// By how much the oldest instant that should have been planned is overdue. Zero while planning keeps up.
    pub schedule_lag: Duration,
    /// Runs that are due and have not started, in every task queue that ever had one. Counts of one kind in one
    /// task queue end at [`Backlog::MOST_PER_LANE`].
    pub waiting: HashMap<TaskQueuePath, u64>,
}

impl Backlog {
    /// Where counting ends, so that a look at a huge backlog does not add to it.
    pub const MOST_PER_LANE: u32 = 100_000;
}
