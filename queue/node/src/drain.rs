//! Drain mode: before a node is taken away, it takes no more messages and lets consumers have what it has.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::topic::Topic;
use crate::topics::Topics;

/// Whether the node drains. Not kept on the disk: a node that starts is meant to serve.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicBool);

/// What is left of the node's messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Left {
    /// Messages that wait, in topics and in each of their channels.
    pub(crate) depth: u64,
    pub(crate) in_flight: u64,
    pub(crate) deferred: u64,
}

impl Drain {
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

impl Left {
    pub(crate) fn of(topics: &Topics) -> Self {
        topics.all().iter().fold(Self::default(), |left, topic| left.and(Self::of_topic(topic)))
    }

    pub(crate) fn of_topic(topic: &Topic) -> Self {
        let own = Self { depth: topic.counts().depth, ..Self::default() };
        topic.channels().iter().fold(own, |left, channel| {
            left.and(channel.look(|channel| Self {
                depth: channel.depth(),
                in_flight: channel.in_flight_count() as u64,
                deferred: channel.deferred_count() as u64,
            }))
        })
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth + other.depth,
            in_flight: self.in_flight + other.in_flight,
            deferred: self.deferred + other.deferred,
        }
    }
}
