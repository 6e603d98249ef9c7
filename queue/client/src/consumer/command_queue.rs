//! The commands that wait to be written to one connection.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use punctual_queue_wire::{command::Command, identify::IdentifyAnswer};
use tokio::sync::Notify;

use crate::address::NodeAddress;

/// An ordered queue of commands that can be added to from anywhere without waiting.
///
/// It needs no bound of its own: FIN and REQ are at most one for each message in flight, a ready count replaces the
/// one before it, and a node that takes nothing for the connection's deadline ends the connection.
#[derive(Debug)]
pub(super) struct CommandQueue {
    node: NodeAddress,
    max_ready: u32,
    message_timeout: Duration,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: BytesMut,
    /// Where the last command begins, if it is a ready count.
    last_ready: Option<usize>,
    closed: bool,
}

impl CommandQueue {
    /// For a connection on which the node granted this.
    pub(super) fn new(node: NodeAddress, granted: &IdentifyAnswer) -> Self {
        Self {
            node,
            max_ready: granted.max_rdy_count,
            message_timeout: Duration::from_millis(granted.msg_timeout),
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    pub(super) fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// How long a message of this connection may be in flight.
    pub(super) fn message_timeout(&self) -> Duration {
        self.message_timeout
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Adds a command; without effect once closed.
    pub(super) fn push(&self, command: &Command) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        waiting.last_ready = None;
        command.encode(&mut waiting.bytes);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Adds a ready count, in place of one that is last in the queue.
    pub(super) fn set_ready(&self, count: u32) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        let start = waiting.last_ready.unwrap_or(waiting.bytes.len());
        waiting.bytes.truncate(start);
        waiting.last_ready = Some(start);
        Command::Rdy(count.min(self.max_ready)).encode(&mut waiting.bytes);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> BytesMut {
        let mut waiting = self.lock();
        waiting.last_ready = None;
        waiting.bytes.split()
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Waits until something was added since the last wait.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use punctual_queue_wire::message::MessageId;

    use super::*;

    fn queue() -> CommandQueue {
        let granted = IdentifyAnswer { max_rdy_count: 100, ..IdentifyAnswer::default() };
        CommandQueue::new(NodeAddress::new("127.0.0.1:4150"), &granted)
    }

    #[test]
    fn commands_are_taken_in_the_order_they_were_added() {
        let queue = queue();
        queue.set_ready(5);
        queue.set_ready(0);
        queue.push(&Command::Fin(MessageId::from_number(1)));
        queue.set_ready(1);
        assert_eq!(&queue.take()[..], b"RDY 0\nFIN 0000000000000001\nRDY 1\n");
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_ready_count_that_was_taken_is_not_replaced() {
        let queue = queue();
        queue.set_ready(5);
        assert_eq!(&queue.take()[..], b"RDY 5\n");
        queue.set_ready(0);
        assert_eq!(&queue.take()[..], b"RDY 0\n");
    }

    #[test]
    fn a_ready_count_stays_within_the_nodes_limit() {
        let queue = queue();
        queue.set_ready(1_000);
        assert_eq!(&queue.take()[..], b"RDY 100\n");
    }

    #[test]
    fn nothing_is_added_once_closed() {
        let queue = queue();
        queue.close();
        queue.push(&Command::Nop);
        queue.set_ready(1);
        assert!(queue.take().is_empty() && !queue.is_open());
    }
}
