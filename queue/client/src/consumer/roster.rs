//! The connections that deliver, and the ready count they share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::outbox::Outbox;

/// Every connection that is subscribed and not closing.
#[derive(Debug, Default)]
pub(super) struct Roster {
    current: Mutex<Current>,
    connections: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Current {
    ready: u32,
    outboxes: Vec<Arc<Outbox>>,
}

impl Roster {
    /// Adds a connection, which starts with the current ready count. It is struck off when the place is dropped.
    pub(super) fn join(self: &Arc<Self>, outbox: Arc<Outbox>) -> Place {
        let mut current = self.lock();
        // Under the same lock as a change of the count, so that the connection cannot miss one.
        outbox.set_ready(current.ready);
        current.outboxes.push(outbox.clone());
        self.connections.send_replace(current.outboxes.len());
        Place { roster: self.clone(), outbox }
    }

    pub(super) fn set_ready(&self, count: u32) {
        let mut current = self.lock();
        if current.ready == count {
            return;
        }
        current.ready = count;
        for outbox in &current.outboxes {
            outbox.set_ready(count);
        }
    }

    pub(super) fn connections(&self) -> watch::Receiver<usize> {
        self.connections.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place on the roster.
#[derive(Debug)]
pub(super) struct Place {
    roster: Arc<Roster>,
    outbox: Arc<Outbox>,
}

impl Place {
    /// Strikes the connection off: it delivers nothing more.
    pub(super) fn leave(&self) {
        let mut current = self.roster.lock();
        current.outboxes.retain(|outbox| !Arc::ptr_eq(outbox, &self.outbox));
        self.roster.connections.send_replace(current.outboxes.len());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.outbox.close();
        self.leave();
    }
}
