//! What is to be seen of a channel: by people, and by whoever writes a checkpoint.

use std::time::{Duration, Instant};

use super::{Channel, Consumers, Counts, Progress};
use crate::message::Sequence;

impl Channel {
    /// Messages that wait to be delivered, again or for the first time.
    pub(crate) fn depth(&self) -> u64 {
        let loaded = (self.ready.len() + self.again.len() + self.dying.len()) as u64;
        let on_disk = (self.end.0 - self.loaded_to.0)
            .saturating_sub(self.progress.count_within(self.loaded_to..self.end))
            .saturating_sub(self.put_off.len() as u64);
        loaded + on_disk
    }

    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn deferred_count(&self) -> usize {
        self.deferred.len()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How often the messages were delivered that it is not done with; those never delivered are left out.
    pub(crate) fn all_attempts(&self) -> Vec<(Sequence, u16)> {
        let in_flight = self.in_flight.iter().map(|held| (held.given.sequence, held.attempts));
        let waiting = self.attempts.iter().map(|(sequence, attempts)| (*sequence, *attempts));
        in_flight.chain(waiting).collect()
    }

    /// The messages that consumers put off, and for how much longer. Those that were published with a delay are left
    /// out: the log says it of them.
    pub(crate) fn all_put_off(&self, now: Instant) -> Vec<(Sequence, Duration)> {
        let deferred = self.deferred.keys().filter(|(_, sequence)| self.attempts.contains_key(sequence));
        deferred.map(|(until, sequence)| (*sequence, until.saturating_duration_since(now))).collect()
    }
}
