//! Where a channel leaves messages for a connection.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::channel::Delivery;

/// Messages for one consumer. Their number is bounded by what it may have in flight.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    deliveries: Mutex<Vec<Delivery>>,
    news: Notify,
    closed: AtomicBool,
}

impl Mailbox {
    pub(super) fn put(&self, delivery: Delivery) {
        let mut deliveries = self.deliveries.lock();
        deliveries.push(delivery);
        if deliveries.len() == 1 {
            self.news.notify_one();
        }
    }

    /// The channel is gone; the connection should go too.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// All that has come since the last call.
    pub(crate) fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.deliveries.lock())
    }

    /// Returns when there is something to take, or the mailbox was closed. May be dropped and called again.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }
}
