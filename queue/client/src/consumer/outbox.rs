//! The commands that wait to be written to one connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use punctual_queue_wire::command::Command;
use tokio::sync::Notify;

use crate::address::NodeAddress;

/// An ordered queue of commands that can be added to from anywhere without waiting.
///
/// It needs no bound of its own: FIN and REQ are at most one for each message in flight, a ready count replaces the
/// one before it, and a node that takes nothing for the connection's deadline ends the connection.
#[derive(Debug)]
pub(super) struct Outbox {
    node: NodeAddress,
    max_ready: u32,
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    /// Where the last command begins, if it is a ready count.
    last_ready: Option<usize>,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(node: NodeAddress, max_ready: u32) -> Self {
        Self { node, max_ready, queue: Mutex::default(), filled: Notify::new() }
    }

    pub(super) fn node(&self) -> &NodeAddress {
        &self.node
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Adds a command; without effect once closed.
    pub(super) fn push(&self, command: &Command) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        queue.last_ready = None;
        command.encode(&mut queue.bytes);
        drop(queue);
        self.filled.notify_one();
    }

    /// Adds a ready count, in place of one that is last in the queue.
    pub(super) fn set_ready(&self, count: u32) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        let start = queue.last_ready.unwrap_or(queue.bytes.len());
        queue.bytes.truncate(start);
        queue.last_ready = Some(start);
        Command::Rdy(count.min(self.max_ready)).encode(&mut queue.bytes);
        drop(queue);
        self.filled.notify_one();
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> BytesMut {
        let mut queue = self.lock();
        queue.last_ready = None;
        queue.bytes.split()
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Waits until something was added since the last wait.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use punctual_queue_wire::message::MessageId;

    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(NodeAddress::new("127.0.0.1:4150"), 100)
    }

    #[test]
    fn commands_are_taken_in_the_order_they_were_added() {
        let outbox = outbox();
        outbox.set_ready(5);
        outbox.set_ready(0);
        outbox.push(&Command::Fin(MessageId::from_number(1)));
        outbox.set_ready(1);
        assert_eq!(&outbox.take()[..], b"RDY 0\nFIN 0000000000000001\nRDY 1\n");
        assert!(outbox.take().is_empty());
    }

    #[test]
    fn a_ready_count_that_was_taken_is_not_replaced() {
        let outbox = outbox();
        outbox.set_ready(5);
        assert_eq!(&outbox.take()[..], b"RDY 5\n");
        outbox.set_ready(0);
        assert_eq!(&outbox.take()[..], b"RDY 0\n");
    }

    #[test]
    fn a_ready_count_stays_within_the_nodes_limit() {
        let outbox = outbox();
        outbox.set_ready(1_000);
        assert_eq!(&outbox.take()[..], b"RDY 100\n");
    }

    #[test]
    fn nothing_is_added_once_closed() {
        let outbox = outbox();
        outbox.close();
        outbox.push(&Command::Nop);
        outbox.set_ready(1);
        assert!(outbox.take().is_empty() && !outbox.is_open());
    }
}
