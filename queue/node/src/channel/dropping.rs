//! Messages that go without being finished.

use std::time::Instant;

use super::Channel;
use crate::message::Sequence;

/// How many messages are dropped at a time for want of room: each is noted by itself.
const DROPPED_AT_ONCE: u64 = 4096;

impl Channel {
    /// Drops the oldest messages that wait until `max` do, or some thousands were dropped; says whether more are to be.
    /// They are as good as finished.
    pub(crate) fn drop_oldest(&mut self, max: u64, now: Instant) -> bool {
        let excess = self.depth().saturating_sub(max);
        for _ in 0..excess.min(DROPPED_AT_ONCE) {
            let Some(sequence) = self.take_oldest() else { return false };
            self.attempts.remove(&sequence);
            self.counts.overflowed += 1;
            self.done_with(sequence, now);
        }
        excess > DROPPED_AT_ONCE
    }

    fn take_oldest(&mut self) -> Option<Sequence> {
        let again = self.again.pop_front().map(|given| given.sequence);
        let ready = || self.ready.pop().map(|message| message.sequence);
        again.or_else(ready).or_else(|| self.first_unread())
    }

    /// Drops everything: what waits, what is in flight and what was put off. Returns up to which number.
    pub(crate) fn empty(&mut self) -> Sequence {
        let (waiting, in_flight, deferred) = (self.depth(), self.in_flight.len(), self.deferred.len());
        self.counts.emptied += waiting + (in_flight + deferred) as u64;
        self.ready.clear();
        self.again.clear();
        self.in_flight.clear();
        self.deferred.clear();
        self.dying.clear();
        self.put_off.clear();
        self.attempts.clear();
        self.unsaved.clear();
        self.consumers.clear_in_flight();
        self.progress.add_range(self.progress.floor()..self.end);
        self.loaded_to = self.end;
        self.end
    }

    /// Drops what precedes `before` but for what is in flight.
    pub(crate) fn expire(&mut self, before: Sequence) {
        let before = before.min(self.end);
        if before <= self.progress.floor() {
            return;
        }
        let numbers = self.in_flight.iter().map(|held| held.given.sequence);
        let mut in_flight: Vec<_> = numbers.filter(|held| *held < before).collect();
        in_flight.sort_unstable();
        let mut start = self.progress.floor();
        for held in in_flight {
            self.counts.expired += self.progress.add_range(start..held);
            start = held.plus(1);
        }
        self.counts.expired += self.progress.add_range(start..before);
        self.ready.drop_before(before);
        self.again.retain(|again| again.sequence >= before);
        self.deferred.retain(|(_, sequence), _| *sequence >= before);
        self.dying.retain(|sequence, _| *sequence >= before);
        self.put_off.retain(|sequence, _| *sequence >= before);
        self.attempts.retain(|sequence, _| *sequence >= before);
        self.loaded_to = self.loaded_to.max(before);
    }
}
