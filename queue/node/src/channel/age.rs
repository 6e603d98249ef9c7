//! How old the oldest message is that a channel has to deliver.
//!
//! Known without the disk of all that is in memory, and of the first message that is not: whoever publishes it says so,
//! unless the channel has just been recovered, or lost some. Then the log is read once, when somebody wants to know.

use super::Channel;
use super::loading::{Load, Loading};
use crate::message::{Batch, Sequence};

/// When the oldest of some messages was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oldest {
    /// There is no message.
    None,
    /// Nanoseconds since the Unix epoch.
    PublishedAt(i64),
    /// It is being found out.
    Unread,
}

/// What is known of the first message that was not read from the log yet.
#[derive(Debug, Default)]
pub(super) struct FirstUnread {
    /// Its number, and when it was published.
    known: Option<(Sequence, i64)>,
    /// Somebody wants to know it of this one.
    asked: Option<Sequence>,
}

impl Channel {
    /// The oldest message that waits or is in flight. Those that are put off do not count: nobody is to have them yet.
    pub(crate) fn oldest(&mut self) -> Oldest {
        let in_flight = self.in_flight.iter().map(|held| held.given.timestamp_ns);
        let again = self.again.iter().map(|given| given.timestamp_ns);
        let dying = self.dying.values().map(|dying| dying.place.timestamp_ns);
        let ready = self.ready.front().map(|message| message.timestamp_ns);
        // What was not read comes after all that was.
        if let Some(oldest) = in_flight.chain(again).chain(dying).chain(ready).min() {
            return Oldest::PublishedAt(oldest);
        }
        let Some(unread) = self.first_unread() else { return Oldest::None };
        match self.first_unread.known {
            Some((known, published_ns)) if known == unread => Oldest::PublishedAt(published_ns),
            Some(_) | None => {
                self.first_unread.asked = Some(unread);
                Oldest::Unread
            }
        }
    }

    /// The first message that is not in memory, not done with, and not put off.
    pub(super) fn first_unread(&self) -> Option<Sequence> {
        let mut first = self.progress.first_open(self.loaded_to);
        while self.put_off.contains_key(&first) {
            first = self.progress.first_open(first.plus(1));
        }
        (first < self.end).then_some(first)
    }

    /// A batch came that is left in the log, as the first.
    pub(super) fn left_unread(&mut self, batch: &Batch) {
        self.first_unread.known = Some((batch.first, batch.timestamp_ns));
    }

    pub(super) fn wants_age(&self) -> bool {
        self.first_unread.asked.is_some() && self.loading.is_none()
    }

    pub(super) fn load_age(&mut self) -> Option<Load> {
        let of = self.first_unread.asked.filter(|_| self.wants_age())?;
        self.loading = Some(Loading::Age);
        Some(Load::Age { from: self.load_from, of })
    }

    /// What was read in answer to [`Load::Age`]: `None` when there is no such message.
    pub(crate) fn age_loaded(&mut self, of: Sequence, published_ns: Option<i64>) {
        self.loading = None;
        self.first_unread.asked = None;
        self.first_unread.known = published_ns.map(|published_ns| (of, published_ns));
    }
}
