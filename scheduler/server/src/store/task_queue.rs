//! What the store takes and gives about task queues.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::name::TaskQueuePath;

/// A task queue as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQueue {
    /// Which.
    pub path: TaskQueuePath,
    /// Since when nothing of it is admitted; `None` while it is.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why, for people.
    pub pause_reason: String,
    /// Runs that are with queue nodes and were not started.
    pub queued: u32,
    /// Places of the live workers that serve it.
    pub places: u32,
}

impl TaskQueue {
    /// One of which nothing is known.
    pub(super) fn idle(path: TaskQueuePath) -> Self {
        Self { path, paused_at: None, pause_reason: String::new(), queued: 0, places: 0 }
    }
}

/// A change of a task queue.
#[derive(Debug, Clone)]
pub enum TaskQueueChange {
    /// What falls due in it is blocked. What is queued or running goes on.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// What was blocked goes on.
    Resume,
}
