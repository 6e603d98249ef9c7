//! A nudge between the parts of one scheduler: something may have fallen due.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the planner and the publisher of this process before their next look. Losing a nudge costs one tick.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    planner: Arc<Notify>,
    publisher: Arc<Notify>,
}

impl Wake {
    /// A job changed or a run was created.
    pub fn all(&self) {
        self.planner.notify_one();
        self.publisher.notify_one();
    }

    /// Runs were planned or taken back.
    pub fn publisher(&self) {
        self.publisher.notify_one();
    }

    pub(crate) async fn planner_woken(&self) {
        self.planner.notified().await;
    }

    pub(crate) async fn publisher_woken(&self) {
        self.publisher.notified().await;
    }
}
