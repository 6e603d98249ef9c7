//! What NSQ does not know of: messages that go without being finished or emptied, and such as come back.

use std::time::{Duration, Instant};

use super::model::{Model, Place};
use super::*;

/// When what the dead letters' topic did not take is tried again.
const BURIED_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Stage {
    pub(super) fn delete_channel(&mut self) {
        self.clients = Default::default();
        (self.under_way, self.letters) = (None, Vec::new());
        self.channel = Channel::new(Origin {
            max_message_timeout: Duration::from_secs(MAX_MESSAGE_TIMEOUT),
            ..origin(Progress::starting_at(self.announced), self.announced)
        });
        self.model.deleted();
    }

    pub(super) fn expire(&mut self, kept: u64) {
        let before = Sequence(self.end().0.saturating_sub(kept));
        self.channel.expire(before);
        self.model.expired(before);
    }

    /// Of those that wait, so many are left, unless more are on their way elsewhere.
    pub(super) fn limit(&mut self, max: u64) {
        let (before, counted) = (self.channel.depth(), self.channel.counts().overflowed);
        assert!(!self.channel.drop_oldest(max, self.now), "there are not that many");
        let left = before.min(max.max(self.model.dying_count()));
        assert_eq!(self.channel.depth(), left);
        assert_eq!(self.channel.counts().overflowed - counted, before - left);
        self.model.overflowed(before - left, self.channel.progress());
    }

    pub(super) fn set_dead_letters(&mut self, max_attempts: u16) {
        let to = "dead".parse().unwrap();
        let max_attempts = NonZeroU16::new(max_attempts);
        self.channel.set_dead_letters(max_attempts.map(|max_attempts| DeadLetters { max_attempts, to }));
        self.model.max_attempts = max_attempts;
    }

    /// The node takes what is dying.
    pub(super) fn let_die(&mut self) {
        for letter in self.channel.take_dead() {
            self.model.dies(letter.message.sequence, letter.attempts);
            self.letters.push(letter);
        }
        // Where too many are dying at once, the others wait for their turn.
        for (until, sequence) in self.channel.deferred.keys() {
            self.model.dies_later(*sequence, *until);
        }
    }

    pub(super) fn bury(&mut self, taken: bool) {
        for letter in std::mem::take(&mut self.letters) {
            let sequence = letter.message.sequence;
            if taken {
                self.channel.buried(sequence, self.now);
                self.model.buried(sequence);
            } else {
                self.channel.not_buried(sequence, self.now);
                self.model.not_buried(sequence, self.now + BURIED_AGAIN_AFTER);
            }
        }
    }

    pub(super) fn seek(&mut self, back: u64) {
        if self.under_way.is_some() {
            self.read(100); // the node waits until nothing is
        }
        let to = Sequence(self.end().0.saturating_sub(back).max(Sequence::FIRST.0));
        let log = &self.log;
        self.channel.seek(to, |number| {
            let batch = log.iter().rfind(|batch| batch.first <= number);
            batch.map_or(Position::START, |batch| batch.position)
        });
        self.model.sought(to, self.now);
    }
}

impl Model {
    fn deleted(&mut self) {
        self.all_become(Place::is_the_channels, Place::Dropped);
        let (places, attempts) = (std::mem::take(&mut self.places), std::mem::take(&mut self.attempts));
        *self = Self { places, attempts, dues: std::mem::take(&mut self.dues), ..Self::default() };
    }

    fn expired(&mut self, before: Sequence) {
        for place in self.places.range_mut(..before).map(|(_, place)| place) {
            if place.is_the_channels() && !matches!(place, Place::InFlight { .. }) {
                *place = Place::Dropped;
                self.counts.expired += 1;
            }
        }
    }

    fn overflowed(&mut self, count: u64, progress: &Progress) {
        let mut dropped = 0;
        for (sequence, place) in &mut self.places {
            // One that is not read yet may be put off, which nobody knows.
            if matches!(place, Place::Waiting | Place::PutOff(_)) && progress.contains(*sequence) {
                *place = Place::Dropped;
                dropped += 1;
            }
        }
        assert_eq!(dropped, count, "dropped for want of room");
        self.counts.overflowed += count;
    }

    fn dying_count(&self) -> u64 {
        self.count(|place| place == Place::Dying)
    }

    fn dies(&mut self, sequence: Sequence, attempts: u16) {
        assert_eq!(attempts, self.attempts[&sequence], "attempts of message {sequence}");
        assert!(self.is_dead(sequence), "message {sequence} dies too early");
        let before = self.places.insert(sequence, Place::Dying);
        assert_eq!(before, Some(Place::Waiting), "message {sequence}: only what waits dies");
    }

    fn dies_later(&mut self, sequence: Sequence, until: Instant) {
        if self.places[&sequence] == Place::Waiting && self.is_dead(sequence) {
            self.places.insert(sequence, Place::PutOff(until));
        }
    }

    fn buried(&mut self, sequence: Sequence) {
        if self.places[&sequence] == Place::Dying {
            self.places.insert(sequence, Place::Dropped);
            self.counts.dead_lettered += 1;
        }
    }

    fn not_buried(&mut self, sequence: Sequence, until: Instant) {
        if self.places[&sequence] == Place::Dying {
            self.places.insert(sequence, Place::PutOff(until));
        }
    }

    /// What was done with from there on is the channel's once more, and nothing is in flight or dying.
    fn sought(&mut self, to: Sequence, now: Instant) {
        self.all_become(|place| matches!(place, Place::InFlight { .. } | Place::Dying), Place::Waiting);
        for (sequence, place) in self.places.range_mut(to..) {
            if !matches!(place, Place::Topic(_)) {
                self.counts.published += u64::from(place.is_done());
                let due = self.dues.get(sequence).copied();
                *place = Place::of(due.filter(|due| *due > now));
                self.attempts.remove(sequence);
            }
        }
    }
}
