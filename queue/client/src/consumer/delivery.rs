//! A message in a consumer's hands.

use std::{sync::Arc, time::Duration};

use punctual_queue_wire::{command::Command, message::Message};

use super::outbox::Outbox;
use crate::address::NodeAddress;

/// A delivered message. Dropped without an answer, it is delivered again once its time-out has passed.
///
/// What is asked of it goes to the node in the order it was asked, together with the other commands of that
/// connection. Once the connection is lost it has no effect: the node delivers the message again.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    outbox: Arc<Outbox>,
}

impl Delivery {
    pub(super) fn new(message: Message, outbox: Arc<Outbox>) -> Self {
        Self { message, outbox }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The node that delivered it.
    pub fn node(&self) -> &NodeAddress {
        self.outbox.node()
    }

    /// Whether the connection it came by still stands, so that answers have an effect.
    pub fn is_connected(&self) -> bool {
        self.outbox.is_open()
    }

    /// It is done and never delivered again.
    pub fn finish(self) {
        self.outbox.push(&Command::Fin(self.message.id));
    }

    /// It is to be delivered again after `delay`, in whole milliseconds, to any consumer. Nodes cut the delay down
    /// to an hour.
    pub fn requeue(self, delay: Duration) {
        self.outbox.push(&Command::Req { id: self.message.id, delay });
    }

    /// Its time-out starts anew, as far as the node allows (15 minutes after delivery on a stock nsqd).
    pub fn touch(&self) {
        self.outbox.push(&Command::Touch(self.message.id));
    }
}
