//! What time does to a channel, and when.

use std::time::Instant;

use super::{Channel, Consumer, Given};

impl Channel {
    /// Delivers again what was in flight too long, and what was put off until now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(held) = self.in_flight.take_overdue(now) {
            self.counts.timed_out += 1;
            self.consumers.update(held.owner, Consumer::gave_back_one);
            self.give_again(held);
        }
        self.load_not_before = self.load_not_before.filter(|not_before| *not_before > now);
        while let Some(entry) = self.deferred.first_entry()
            && entry.key().0 <= now
        {
            let ((_, sequence), place) = entry.remove_entry();
            match place {
                Some(place) => self.again.push_back(Given::unread(sequence, place)),
                // From now on it is like any other that waits to be read.
                None => drop(self.put_off.remove(&sequence)),
            }
        }
    }

    /// When the channel next has something to do without anyone asking.
    pub(crate) fn next_timeout(&mut self) -> Option<Instant> {
        let deadline = self.in_flight.first_deadline();
        self.first_of(deadline)
    }

    fn first_of(&self, deadline: Option<Instant>) -> Option<Instant> {
        let due = self.deferred.first_key_value().map(|((due, _), _)| *due);
        [deadline, due, self.unsaved.due(), self.load_not_before].into_iter().flatten().min()
    }

    /// Whether the keeper is needed before the time it planned.
    pub(crate) fn needs_keeper(&mut self, now: Instant) -> bool {
        let next = self.first_of(self.in_flight.before_first_deadline());
        let sooner = next.is_some_and(|next| self.planned.is_none_or(|planned| next < planned));
        sooner || self.has_dead() || self.wants_age() || self.wants_next(now) || self.wants_again(now)
    }

    /// The keeper will be back at the channel's next time-out; returns when that is.
    pub(crate) fn plan(&mut self) -> Option<Instant> {
        self.planned = self.next_timeout();
        self.planned
    }
}
