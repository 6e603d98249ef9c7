//! A message in a consumer's hands.

use std::{future::Future, pin::pin, time::Duration};

use punctual_queue_wire::{command::Command, message::Message};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::roster::Hold;
use crate::address::NodeAddress;

/// How often a message is touched while its time-out runs once.
const TOUCHES_PER_TIMEOUT: u32 = 3;

/// A delivered message. Dropped without an answer, it is delivered again once its time-out has passed.
///
/// What is asked of it goes to the node in the order it was asked, together with the other commands of that
/// connection. Once the connection is lost it has no effect: the node delivers the message again.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    hold: Hold,
}

impl Delivery {
    pub(super) fn new(message: Message, hold: Hold) -> Self {
        Self { message, hold }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The node that delivered it.
    pub fn node(&self) -> &NodeAddress {
        self.hold.queue().node()
    }

    /// How long its node lets it be in flight, from the delivery or the last touch.
    pub fn timeout(&self) -> Duration {
        self.hold.queue().message_timeout()
    }

    /// Whether the connection it came by still stands, so that answers have an effect.
    pub fn is_connected(&self) -> bool {
        self.hold.queue().is_open()
    }

    /// It is done and never delivered again. To a consumer that backs off, this is a success.
    pub fn finish(self) {
        self.hold.succeeded();
        self.hold.queue().push(&Command::Fin(self.message.id));
    }

    /// It is to be delivered again after `delay`, in whole milliseconds, to any consumer. Nodes cut the delay down
    /// to an hour, unless they are set up otherwise. The consumer does not back off.
    pub fn requeue(self, delay: Duration) {
        self.hold.queue().push(&Command::Req { id: self.message.id, delay });
    }

    /// As [`requeue`](Self::requeue), and the consumer backs off, if it does at all: see
    /// [`BackoffOptions`](super::BackoffOptions). For when it is likely that other messages would fail too.
    pub fn fail(self, delay: Duration) {
        // First, because what is requeued makes room for the next message.
        self.hold.failed();
        self.hold.queue().push(&Command::Req { id: self.message.id, delay });
    }

    /// Its time-out starts anew, as far as the node allows (15 minutes after delivery on a stock nsqd).
    pub fn touch(&self) {
        self.hold.queue().push(&Command::Touch(self.message.id));
    }

    /// Does `work` and [touches](Self::touch) the message whenever a third of its time-out has passed, so that it is
    /// not delivered to another meanwhile. Work that takes longer than the node lets a message be in flight is
    /// repeated there all the same; `work` is not told.
    pub async fn touch_during<T>(&self, work: impl Future<Output = T>) -> T {
        let every = (self.hold.queue().message_timeout() / TOUCHES_PER_TIMEOUT).max(Duration::from_millis(1));
        let mut touches = interval_at(Instant::now() + every, every);
        touches.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = touches.tick() => self.touch(),
            }
        }
    }
}
