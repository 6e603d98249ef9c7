//! What is to be seen of a topic itself.

use super::{Core, Topic, TopicSettings};
use crate::channel::Oldest;
use crate::drain::Left;

/// What `/stats` says of a topic itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopicCounts {
    pub(crate) depth: u64,
    /// The oldest message of these.
    pub(crate) oldest: Oldest,
    pub(crate) message_count: u64,
    pub(crate) message_bytes: u64,
    pub(crate) expired: u64,
    pub(crate) overflowed: u64,
    pub(crate) settings: TopicSettings,
    pub(crate) paused: bool,
}

impl Topic {
    pub(crate) fn counts(&self) -> TopicCounts {
        self.distribute();
        let core = self.core.lock();
        let depth = core.waits();
        let oldest = match core.waiting_since_ns {
            _ if depth == 0 => Oldest::None,
            0 => Oldest::Unread, // the record that would say it cannot be read
            at_ns => Oldest::PublishedAt(at_ns),
        };
        TopicCounts {
            depth,
            oldest,
            message_count: core.message_count,
            message_bytes: core.message_bytes,
            expired: core.expired,
            overflowed: core.overflowed,
            settings: core.settings,
            paused: core.paused,
        }
    }

    /// Whether the node drains and nothing is left here.
    pub(crate) fn is_drained(&self) -> bool {
        self.context.drain.is_on() && Left::of_topic(self).is_nothing()
    }

    /// How old the oldest of some messages is, in milliseconds; 0 when there is none.
    pub(crate) fn age_ms(&self, oldest: Oldest) -> Option<u64> {
        match oldest {
            Oldest::None => Some(0),
            Oldest::PublishedAt(at_ns) => {
                Some(u64::try_from(self.context.unix_ns().saturating_sub(at_ns)).unwrap_or(0) / 1_000_000)
            }
            Oldest::Unread => None,
        }
    }
}

impl Core {
    /// How many messages wait in the topic itself.
    pub(super) fn waits(&self) -> u64 {
        self.committed_end.0 - self.announced_end.0
    }
}
