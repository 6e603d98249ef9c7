//! A channel: one subscriber group's way through a topic's messages.
//!
//! Pure: it takes the time and what was read from the log, and says what to deliver and what to read next. Messages
//! that are only on the disk take no memory here.

mod age;
mod consumers;
mod counts;
mod dead_letters;
mod delivery;
mod dropping;
mod finished;
mod given;
mod in_flight;
mod loading;
mod nearness;
mod peek;
mod progress;
mod ready;
mod seeking;
mod seen;
mod timeouts;
mod unsaved;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use punctual_queue_log::position::Position;
use punctual_queue_wire::error::NotHeld;

use crate::message::{Batch, Sequence};
use age::FirstUnread;
pub(crate) use age::Oldest;
pub(crate) use consumers::{ConnectionId, Consumer, Consumers, UNWRITTEN_BYTES};
pub(crate) use counts::Counts;
use dead_letters::Dying;
pub(crate) use dead_letters::{DeadLetter, DeadLetters};
pub(crate) use delivery::Delivery;
use finished::Finished;
use given::{Arrivals, Given, Place};
use in_flight::InFlight;
use loading::Loading;
pub(crate) use loading::{Load, Loaded};
pub(crate) use nearness::Nearness;
pub(crate) use peek::{Glimpse, MessageState};
pub(crate) use progress::{Progress, ranges_of};
use ready::Ready;
use unsaved::Unsaved;
pub(crate) use unsaved::Unwritten;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Channel {
    progress: Progress,
    /// The number after the last message that is the channel's to deliver.
    end: Sequence,
    /// All before this were read from the log, or came directly from a publish.
    loaded_to: Sequence,
    /// Where the log holds `loaded_to`, or somewhat before.
    load_from: Position,
    first_unread: FirstUnread,
    ready: Ready,
    /// Messages to be delivered again.
    again: VecDeque<Given>,
    arrivals: Arrivals,
    in_flight: InFlight,
    /// Messages that are not due yet; without a place until they are read from the log, after a restart.
    deferred: BTreeMap<(Instant, Sequence), Option<Place>>,
    /// When those without a place are due.
    put_off: HashMap<Sequence, Instant>,
    /// How often messages were delivered that are neither done nor in flight; absent for never.
    attempts: HashMap<Sequence, u16>,
    consumers: Consumers,
    paused: bool,
    dead_letters: Option<DeadLetters>,
    dying: BTreeMap<Sequence, Dying>,
    max_message_timeout: Duration,
    loading: Option<Loading>,
    load_not_before: Option<Instant>,
    serve_again_next: bool,
    unsaved: Unsaved,
    counts: Counts,
    finished: Finished,
    /// When the channel's keeper means to look at it next.
    planned: Option<Instant>,
}

/// What a channel is built from: freshly made, or recovered.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) progress: Progress,
    pub(crate) attempts: HashMap<Sequence, u16>,
    /// Messages that consumers put off, and until when.
    pub(crate) put_off: HashMap<Sequence, Instant>,
    pub(crate) paused: bool,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) end: Sequence,
    pub(crate) load_from: Position,
    pub(crate) max_message_timeout: Duration,
}

impl Channel {
    pub(crate) fn new(origin: Origin) -> Self {
        let loaded_to = origin.progress.floor();
        Self {
            progress: origin.progress,
            end: origin.end.max(loaded_to),
            loaded_to,
            load_from: origin.load_from,
            first_unread: FirstUnread::default(),
            ready: Ready::default(),
            again: VecDeque::new(),
            arrivals: Arrivals::default(),
            in_flight: InFlight::default(),
            deferred: origin.put_off.iter().map(|(sequence, until)| ((*until, *sequence), None)).collect(),
            put_off: origin.put_off,
            attempts: origin.attempts,
            consumers: Consumers::default(),
            paused: origin.paused,
            dead_letters: origin.dead_letters,
            dying: BTreeMap::new(),
            max_message_timeout: origin.max_message_timeout,
            loading: None,
            load_not_before: None,
            serve_again_next: false,
            unsaved: Unsaved::default(),
            counts: Counts::default(),
            finished: Finished::default(),
            planned: None,
        }
    }

    // What happens in the topic.

    /// `batch` is on the disk; `previous_end` is the number after the last message before it. Numbers in between
    /// were given to messages that the disk refused.
    pub(crate) fn published(&mut self, batch: &Batch, previous_end: Sequence, now: Instant) {
        if batch.end() <= self.end {
            return; // numbered before the channel began
        }
        let caught_up = self.loaded_to >= self.end && self.loading != Some(Loading::Next);
        self.progress.add_range(self.end.max(previous_end)..batch.first);
        self.end = batch.end();
        self.counts.published += batch.bodies.len() as u64;
        if caught_up {
            self.load_from = batch.position;
            self.loaded_to = batch.first;
            let is_wanted = !self.ready.is_full() && self.is_wanted();
            if is_wanted || batch.due.is_some() {
                self.arrive(batch.bodies.packed().len() as u64);
                self.take_in(batch, now);
            } else {
                self.left_unread(batch);
            }
        }
    }

    /// The channel was just made, and what it begins with counts as published to it.
    pub(crate) fn count_backlog(&mut self) {
        self.counts.published += self.depth();
    }

    /// Messages up to `end` are the channel's to deliver, published while their topic was paused.
    pub(crate) fn released(&mut self, end: Sequence) {
        if end > self.end {
            self.counts.published += end.0 - self.end.0;
            self.end = end;
        }
    }

    /// Messages up to `end` were dropped before they were the channel's.
    pub(crate) fn skipped(&mut self, end: Sequence) {
        if end > self.end {
            self.progress.add_range(self.end..end);
            if self.loaded_to == self.end {
                self.loaded_to = end;
            }
            self.end = end;
        }
    }

    // What consumers do.

    pub(crate) fn subscribe(&mut self, id: ConnectionId, consumer: Consumer) {
        self.consumers.add(id, consumer);
    }

    /// The consumer is gone. What it held is delivered again, unless it is left to time out.
    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, hold: bool) {
        if self.consumers.remove(id).is_none() || hold {
            return;
        }
        for held in self.in_flight.take_all_of(id) {
            self.give_again(held);
        }
    }

    pub(crate) fn set_ready_count(&mut self, id: ConnectionId, count: u32) {
        self.consumers.update(id, |consumer| consumer.ready_count = count);
    }

    /// Bodies of so many bytes were written to the consumer, of those that were delivered to it.
    pub(crate) fn written(&mut self, id: ConnectionId, bytes: usize) {
        self.consumers.update(id, |consumer| consumer.wrote(bytes));
    }

    pub(crate) fn finish(
        &mut self,
        id: ConnectionId,
        sequence: Sequence,
        now: Instant,
    ) -> Result<(), NotHeld> {
        let held = self.in_flight.take(id, sequence)?;
        self.finished.note(held.given.timestamp_ns);
        self.consumers.update(id, |consumer| {
            consumer.gave_back_one();
            consumer.finish_count += 1;
        });
        self.counts.finished += 1;
        self.done_with(sequence, now);
        Ok(())
    }

    pub(crate) fn requeue(
        &mut self,
        id: ConnectionId,
        sequence: Sequence,
        delay: Duration,
        now: Instant,
    ) -> Result<(), NotHeld> {
        let held = self.in_flight.take(id, sequence)?;
        self.consumers.update(id, |consumer| {
            consumer.gave_back_one();
            consumer.requeue_count += 1;
        });
        self.counts.requeued += 1;
        if delay.is_zero() || self.is_dead_after(held.attempts) {
            self.give_again(held);
        } else {
            self.attempts.insert(sequence, held.attempts);
            self.deferred.insert((now + delay, sequence), Some(held.given.place()));
            self.unsaved.put_off(sequence, now + delay, now);
        }
        Ok(())
    }

    pub(crate) fn touch(
        &mut self,
        id: ConnectionId,
        sequence: Sequence,
        now: Instant,
    ) -> Result<(), NotHeld> {
        let timeout = self.consumers.get(id).map_or(Duration::ZERO, |consumer| consumer.message_timeout);
        self.in_flight.touch(id, sequence, timeout, now)
    }

    // What operators do.

    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    // What goes to the log.

    /// What the log should know by now of what was finished and delivered.
    pub(crate) fn take_unwritten(&mut self, now: Instant) -> Option<Unwritten> {
        let (in_flight, waiting) = (&self.in_flight, &self.attempts);
        let attempts = |sequence| in_flight.attempts(sequence).or_else(|| waiting.get(&sequence).copied());
        let waits = |sequence, until| until > now && self.deferred.contains_key(&(until, sequence));
        self.unsaved.take(now, attempts, waits)
    }

    /// The message is the channel's no more.
    fn done_with(&mut self, sequence: Sequence, now: Instant) {
        self.progress.add(sequence);
        self.unsaved.finished(sequence, now);
    }
}

#[cfg(test)]
mod tests;
