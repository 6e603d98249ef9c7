//! What NSQ promises of a channel, kept in the open: where each message is, and what each consumer may have.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use punctual_queue_wire::error::NotHeld;

use crate::channel::{Channel, ConnectionId, Counts, Nearness, Progress};
use crate::message::Sequence;

/// Where a message is, as far as the outside can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// In its topic, which is paused.
    Topic(Option<Instant>),
    Waiting,
    /// Not to be had before.
    PutOff(Instant),
    InFlight {
        owner: ConnectionId,
        deadline: Instant,
        latest: Instant,
    },
    /// On its way to the dead letters.
    Dying,
    Finished,
    /// Gone without being finished, for whatever reason.
    Dropped,
}

/// How a message is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub(super) due: Option<Instant>,
    /// The topic is paused.
    pub(super) withheld: bool,
}

/// What a consumer asked for, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    ready: u32,
    timeout: Duration,
    samples: bool,
    got: u64,
    finished: u64,
    requeued: u64,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) places: BTreeMap<Sequence, Place>,
    /// When those are due that were published with a delay.
    pub(super) dues: BTreeMap<Sequence, Instant>,
    /// How often each was delivered.
    pub(super) attempts: BTreeMap<Sequence, u16>,
    pub(super) max_attempts: Option<NonZeroU16>,
    pub(super) consumers: BTreeMap<ConnectionId, Terms>,
    pub(super) paused: bool,
    pub(super) counts: Counts,
    /// What was open when the process started.
    pub(super) found: u64,
}

impl Place {
    pub(super) fn of(due: Option<Instant>) -> Self {
        due.map_or(Self::Waiting, Self::PutOff)
    }

    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Finished | Self::Dropped)
    }

    pub(super) fn is_the_channels(self) -> bool {
        !self.is_done() && !matches!(self, Self::Topic(_))
    }

    fn is_in_flight_at(self, id: ConnectionId) -> bool {
        matches!(self, Self::InFlight { owner, .. } if owner == id)
    }
}

impl Model {
    pub(super) fn published(&mut self, sequence: Sequence, put: Put) {
        let place = if put.withheld { Place::Topic(put.due) } else { Place::of(put.due) };
        self.places.insert(sequence, place);
        self.dues.extend(put.due.map(|due| (sequence, due)));
        self.counts.published += u64::from(!put.withheld);
    }

    /// The topic goes on.
    pub(super) fn released(&mut self, now: Instant) {
        for place in self.places.values_mut() {
            if let Place::Topic(due) = *place {
                *place = Place::of(due.filter(|due| *due > now));
                self.counts.published += 1;
            }
        }
    }

    pub(super) fn connected(&mut self, id: ConnectionId, timeout: Duration, samples: bool) {
        let terms = Terms { ready: 0, timeout, samples, got: 0, finished: 0, requeued: 0 };
        self.consumers.insert(id, terms);
    }

    pub(super) fn disconnected(&mut self, id: ConnectionId, hold: bool) {
        self.consumers.remove(&id);
        if !hold {
            self.all_become(|place| place.is_in_flight_at(id), Place::Waiting);
        }
    }

    pub(super) fn ready(&mut self, id: ConnectionId, count: u32) {
        self.terms(id).ready = count;
    }

    pub(super) fn delivered(
        &mut self,
        sequence: Sequence,
        owner: ConnectionId,
        attempts: u16,
        now: Instant,
        latest: Instant,
    ) {
        assert!(!self.paused, "a paused channel delivers nothing");
        let held = self.in_flight_at(owner);
        let terms = self.terms(owner);
        assert!(held < terms.ready as usize, "{owner:?} has {held} and wants {}", terms.ready);
        terms.got += 1;
        let place = Place::InFlight { owner, deadline: now + terms.timeout, latest };
        let before = self.places.insert(sequence, place);
        assert_eq!(before, Some(Place::Waiting), "message {sequence}: only what waits is delivered");
        self.counts.delivered[Nearness::default() as usize] += 1;
        assert!(!self.is_dead(sequence), "message {sequence} was delivered as often as it may be");
        let counted = self.attempts.entry(sequence).or_default();
        *counted += 1;
        assert_eq!(attempts, *counted, "attempts of message {sequence}");
    }

    /// So many messages went nowhere, because a consumer wants a sample only.
    pub(super) fn sampled_out(&mut self, count: u64, progress: &Progress) {
        let samples = self.consumers.values().any(|terms| terms.samples);
        assert!(count == 0 || samples, "{count} dropped, and nobody wants a sample");
        let mut dropped = 0;
        for (sequence, place) in &mut self.places {
            if *place == Place::Waiting && progress.contains(*sequence) {
                *place = Place::Dropped;
                dropped += 1;
            }
        }
        assert_eq!(dropped, count, "dropped for a sample");
        self.counts.sampled_out += count;
    }

    pub(super) fn finish(&mut self, id: ConnectionId, sequence: Sequence) -> Result<(), NotHeld> {
        self.must_hold(id, sequence)?;
        self.places.insert(sequence, Place::Finished);
        self.terms(id).finished += 1;
        self.counts.finished += 1;
        Ok(())
    }

    pub(super) fn requeue(
        &mut self,
        id: ConnectionId,
        sequence: Sequence,
        delay: Duration,
        now: Instant,
    ) -> Result<(), NotHeld> {
        self.must_hold(id, sequence)?;
        let is_put_off = !delay.is_zero() && !self.is_dead(sequence);
        self.places.insert(sequence, Place::of(is_put_off.then_some(now + delay)));
        self.terms(id).requeued += 1;
        self.counts.requeued += 1;
        Ok(())
    }

    pub(super) fn touch(
        &mut self,
        id: ConnectionId,
        sequence: Sequence,
        now: Instant,
    ) -> Result<(), NotHeld> {
        self.must_hold(id, sequence)?;
        let touched = now + self.terms(id).timeout;
        if let Some(Place::InFlight { deadline, latest, .. }) = self.places.get_mut(&sequence) {
            *deadline = touched.min(*latest);
        }
        Ok(())
    }

    pub(super) fn time_is(&mut self, now: Instant) {
        for place in self.places.values_mut() {
            match *place {
                Place::InFlight { deadline, .. } if deadline <= now => {
                    *place = Place::Waiting;
                    self.counts.timed_out += 1;
                }
                Place::PutOff(until) if until <= now => *place = Place::Waiting,
                _ => {}
            }
        }
    }

    pub(super) fn empty_channel(&mut self) {
        self.counts.emptied += self.all_become(Place::is_the_channels, Place::Dropped);
    }

    pub(super) fn empty_topic(&mut self) {
        self.all_become(|place| matches!(place, Place::Topic(_)), Place::Dropped);
    }

    /// Nobody is connected any more, and what is counted is counted anew.
    pub(super) fn restarted(&mut self) {
        self.consumers.clear();
        self.all_become(|place| matches!(place, Place::InFlight { .. } | Place::Dying), Place::Waiting);
        self.counts = Counts::default();
        self.found = self.count(Place::is_the_channels);
    }

    /// All messages in flight, and who has them.
    pub(super) fn held(&self) -> Vec<(Sequence, ConnectionId)> {
        let held = self.places.iter().filter_map(|(sequence, place)| match place {
            Place::InFlight { owner, .. } => Some((*sequence, *owner)),
            _ => None,
        });
        held.collect()
    }

    /// What is seen of the channel, and what it has counted.
    pub(super) fn agrees_with(&self, channel: &Channel) {
        let put_off = self.count(|place| matches!(place, Place::PutOff(_)));
        let in_flight = self.held().len();
        assert_eq!(channel.in_flight_count(), in_flight, "in flight");
        // One published with a delay that was not read from the log yet is not known to be put off.
        let deferred = channel.deferred_count() as u64;
        assert!(deferred <= put_off, "{deferred} deferred of {put_off}");
        let waiting = self.count(|place| matches!(place, Place::Waiting | Place::Dying));
        assert_eq!(channel.depth() + deferred, waiting + put_off, "depth and deferred");
        assert_eq!(*channel.counts(), self.counts);
        let Counts { finished, emptied, sampled_out, expired, overflowed, dead_lettered, .. } = self.counts;
        let gone = finished + emptied + sampled_out + expired + overflowed + dead_lettered;
        let left = channel.depth() + deferred + in_flight as u64;
        assert_eq!(self.found + self.counts.published, gone + left, "nothing is lost or made up");
        for (sequence, place) in &self.places {
            assert_eq!(channel.progress().contains(*sequence), place.is_done(), "done with {sequence}");
        }
        assert_eq!(channel.consumers().len(), self.consumers.len());
        for (id, consumer) in channel.consumers().iter() {
            let terms = &self.consumers[&id];
            assert_eq!(consumer.in_flight as usize, self.in_flight_at(id), "in flight at {id:?}");
            let counted = (consumer.message_count, consumer.finish_count, consumer.requeue_count);
            assert_eq!(counted, (terms.got, terms.finished, terms.requeued), "counted of {id:?}");
        }
    }

    /// Whoever wants a message has one, or there is none.
    pub(super) fn nobody_waits_in_vain(&self) {
        let is_hungry = |(id, terms): (&ConnectionId, &Terms)| self.in_flight_at(*id) < terms.ready as usize;
        if !self.paused && self.consumers.iter().any(is_hungry) {
            let waiting = self.places.iter().filter(|(_, place)| **place == Place::Waiting);
            let waiting: Vec<_> = waiting.map(|(sequence, _)| sequence.0).collect();
            assert!(waiting.is_empty(), "wanted and not delivered: {waiting:?}");
        }
    }

    /// Every message has had its end.
    pub(super) fn is_settled(&self) {
        let open: Vec<_> = self.places.iter().filter(|(_, place)| !place.is_done()).collect();
        assert!(open.is_empty(), "never delivered, or never finished: {open:?}");
    }

    fn must_hold(&self, id: ConnectionId, sequence: Sequence) -> Result<(), NotHeld> {
        match self.places[&sequence] {
            Place::InFlight { owner, .. } if owner == id => Ok(()),
            Place::InFlight { .. } => Err(NotHeld::OtherOwner),
            _ => Err(NotHeld::NotInFlight),
        }
    }

    /// Whether a message was delivered so often that it is not delivered again.
    pub(super) fn is_dead(&self, sequence: Sequence) -> bool {
        let attempts = self.attempts.get(&sequence).copied().unwrap_or(0);
        self.max_attempts.is_some_and(|max_attempts| attempts >= max_attempts.get())
    }

    fn terms(&mut self, id: ConnectionId) -> &mut Terms {
        self.consumers.get_mut(&id).expect("it is connected")
    }

    fn in_flight_at(&self, id: ConnectionId) -> usize {
        self.places.values().filter(|place| place.is_in_flight_at(id)).count()
    }

    pub(super) fn count(&self, which: impl Fn(Place) -> bool) -> u64 {
        self.places.values().filter(|place| which(**place)).count() as u64
    }

    /// Says how many there were.
    pub(super) fn all_become(&mut self, which: impl Fn(Place) -> bool, place: Place) -> u64 {
        let concerned = self.places.values_mut().filter(|current| which(**current));
        concerned.map(|current| *current = place).count() as u64
    }
}
