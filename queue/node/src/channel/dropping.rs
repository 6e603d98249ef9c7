//! Messages that go without being finished.

use super::Channel;
use crate::message::Sequence;

impl Channel {
    /// Drops everything: what waits, what is in flight and what was put off. Returns up to which number.
    pub(crate) fn empty(&mut self) -> Sequence {
        let (waiting, in_flight, deferred) = (self.depth(), self.in_flight.len(), self.deferred.len());
        self.counts.emptied += waiting + (in_flight + deferred) as u64;
        self.ready.clear();
        self.again.clear();
        self.in_flight.clear();
        self.deferred.clear();
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
        self.ready.retain(|message| message.sequence >= before);
        self.again.retain(|again| again.sequence >= before);
        self.deferred.retain(|(_, sequence), _| *sequence >= before);
        self.put_off.retain(|sequence, _| *sequence >= before);
        self.attempts.retain(|sequence, _| *sequence >= before);
        self.loaded_to = self.loaded_to.max(before);
    }
}
