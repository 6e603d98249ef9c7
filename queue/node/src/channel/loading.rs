//! Bringing messages from the log into the channel's memory.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use punctual_queue_log::position::Position;

use super::{Channel, Given, Place};
use crate::message::{Batch, Sequence, StoredMessage};

/// How many messages that were put off are read again at a time.
const RELOAD_MESSAGES: usize = 256;

/// How long to wait before reading again what could not be read.
const LOAD_RETRY: Duration = Duration::from_secs(1);

/// What is being read for the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loading {
    Next,
    Again,
    Age,
}

/// What the channel wants read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Load {
    /// Messages `from` a place on that precede `end`.
    Next { from: Position, end: Sequence },
    /// These, from the records they stand in; the first of them at least, and of the others what comes along.
    Again(Vec<(Sequence, Position)>),
    /// When this message was published, which stands at a place or behind it.
    Age { from: Position, of: Sequence },
}

/// What was read from the log in answer to [`Load::Next`].
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) batches: Vec<Batch>,
    /// Where to go on.
    pub(crate) next: Position,
    /// Everything before this number that is still there is among the batches or came before.
    pub(crate) read_to: Option<Sequence>,
    /// What these hold on to in memory, about.
    pub(crate) bytes: u64,
    /// Something could not be read: numbers that are missing stood there.
    pub(crate) damaged: bool,
}

impl Channel {
    /// What should be read now; it is then under way until [`loaded`](Self::loaded),
    /// [`reloaded`](Self::reloaded), [`age_loaded`](Self::age_loaded) or [`load_failed`](Self::load_failed).
    pub(crate) fn take_load(&mut self, now: Instant) -> Option<Load> {
        if self.wants_again(now) {
            self.loading = Some(Loading::Again);
            let unread = self.again.iter().filter(|given| given.is_unread());
            let wanted = unread.take(RELOAD_MESSAGES).map(|given| (given.sequence, given.position));
            return Some(Load::Again(wanted.collect()));
        }
        if self.wants_next(now) {
            self.loading = Some(Loading::Next);
            return Some(Load::Next { from: self.load_from, end: self.end });
        }
        self.load_age()
    }

    pub(crate) fn loaded(&mut self, loaded: Loaded, now: Instant) {
        self.loading = None;
        self.load_not_before = None;
        self.load_from = loaded.next;
        self.arrive(loaded.bytes);
        for batch in &loaded.batches {
            self.missing(self.loaded_to..batch.first, loaded.damaged);
            self.take_in(batch, now);
        }
        if let Some(read_to) = loaded.read_to {
            self.missing(self.loaded_to..read_to, loaded.damaged);
            self.loaded_to = self.loaded_to.max(read_to);
        }
    }

    /// What was read in answer to [`Load::Again`]. Those of `asked` that are missing cannot be read any more; what was
    /// wanted and is not among these is asked for again.
    pub(crate) fn reloaded(&mut self, asked: &[(Sequence, Position)], messages: Vec<StoredMessage>) {
        self.loading = None;
        self.load_not_before = None;
        let found: BTreeSet<_> = messages.iter().map(|message| message.sequence).collect();
        let lost: BTreeSet<_> = asked
            .iter()
            .map(|(sequence, _)| *sequence)
            .filter(|sequence| !found.contains(sequence))
            .collect();
        self.take_in_again(messages);
        self.again.retain(|given| !given.is_unread() || !lost.contains(&given.sequence));
        for sequence in lost {
            self.attempts.remove(&sequence);
            self.missing(sequence..sequence.plus(1), true);
        }
    }

    pub(crate) fn load_failed(&mut self, now: Instant) {
        self.loading = None;
        self.load_not_before = Some(now + LOAD_RETRY);
    }

    /// Records have moved within the log, as `map` says. Nothing may be under way that is read from there.
    pub(crate) fn moved(&mut self, map: impl Fn(Position) -> Position) {
        for message in self.ready.iter_mut() {
            message.position = map(message.position);
        }
        for given in self.in_flight.all_given_mut().chain(&mut self.again) {
            given.position = map(given.position);
        }
        let dying = self.dying.values_mut().map(|dying| &mut dying.place);
        for place in self.deferred.values_mut().flatten().chain(dying) {
            place.position = map(place.position);
        }
        self.load_from = map(self.load_from);
    }

    fn may_load(&mut self, now: Instant) -> bool {
        self.loading.is_none()
            && self.load_not_before.is_none_or(|not_before| not_before <= now)
            && self.is_wanted()
    }

    pub(super) fn wants_next(&mut self, now: Instant) -> bool {
        self.loaded_to < self.end && self.ready.is_low() && self.may_load(now)
    }

    pub(super) fn wants_again(&mut self, now: Instant) -> bool {
        self.again.front().is_some_and(Given::is_unread) && self.may_load(now)
    }

    /// Makes a batch's messages ready, or puts them off until they are due; those it is done with are left out.
    pub(super) fn take_in(&mut self, batch: &Batch, now: Instant) {
        let batch_due = batch.due.filter(|due| *due > now);
        for message in batch.messages() {
            if message.sequence < self.loaded_to || self.progress.contains(message.sequence) {
                continue;
            }
            let put_off =
                (!self.put_off.is_empty()).then(|| self.put_off.remove(&message.sequence)).flatten();
            match put_off.or(batch_due) {
                None => self.ready.push(message),
                Some(due) => {
                    let StoredMessage { position, timestamp_ns, .. } = message;
                    let place = Place { position, timestamp_ns };
                    self.deferred.insert((due, message.sequence), Some(place));
                }
            }
        }
        self.loaded_to = self.loaded_to.max(batch.end());
    }

    /// Messages that are not in the log although their numbers were given out.
    fn missing(&mut self, numbers: Range<Sequence>, damaged: bool) {
        if !self.put_off.is_empty() {
            let gone = self.put_off.extract_if(|sequence, _| numbers.contains(sequence));
            for (sequence, until) in gone {
                self.deferred.remove(&(until, sequence));
            }
        }
        let missing = self.progress.add_range(numbers);
        if damaged {
            self.counts.corrupt += missing;
        }
    }
}
