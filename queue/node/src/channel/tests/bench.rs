//! A channel beside a model that keeps every message's state in the open.

use super::step::{State, Step};
use super::*;

/// A channel, the log it reads, and what should be true of them.
pub(super) struct Bench {
    pub(super) channel: Channel,
    log: Vec<Batch>,
    model: BTreeMap<Sequence, State>,
    attempts: HashMap<Sequence, u16>,
    /// Those that the channel does not count any more, less those that it counts and that were sought again.
    expired_before_restart: i64,
    pub(super) now: Instant,
}

impl Bench {
    pub(super) fn new() -> Self {
        let channel = Channel::new(origin(Progress::starting_at(Sequence::FIRST), Sequence::FIRST));
        Self {
            channel,
            log: Vec::new(),
            model: BTreeMap::new(),
            attempts: HashMap::new(),
            expired_before_restart: 0,
            now: Instant::now(),
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Publish(count) => self.publish(count),
            Step::Subscribe(id, ready) => {
                let id = ConnectionId(id);
                if self.channel.consumers().get(id).is_none() {
                    self.channel.subscribe(id, Consumer::new(TIMEOUT, 0));
                    self.channel.set_ready_count(id, ready);
                }
            }
            Step::Unsubscribe(id) => {
                let id = ConnectionId(id);
                self.channel.unsubscribe(id, false);
                self.all_become(|state| state == State::InFlight(id), State::Waiting);
            }
            Step::Ready(id, ready) => self.channel.set_ready_count(ConnectionId(id), ready),
            Step::Finish(index) => {
                if let Some((sequence, owner)) = self.in_flight(&index) {
                    assert_eq!(self.channel.finish(owner, sequence, self.now), Ok(()));
                    self.model.insert(sequence, State::Finished);
                    assert_eq!(self.channel.finish(owner, sequence, self.now), Err(NotHeld::NotInFlight));
                }
            }
            Step::Requeue(index, delay) => {
                if let Some((sequence, owner)) = self.in_flight(&index) {
                    let delay = Duration::from_secs(delay);
                    assert_eq!(self.channel.requeue(owner, sequence, delay, self.now), Ok(()));
                    let is_dead = self.channel.is_dead_after(self.attempts[&sequence]);
                    let at_once = delay.is_zero() || is_dead;
                    let state = if at_once { State::Waiting } else { State::Deferred };
                    self.model.insert(sequence, state);
                }
            }
            Step::Touch(index) => {
                if let Some((sequence, owner)) = self.in_flight(&index) {
                    assert_eq!(self.channel.touch(owner, sequence, self.now), Ok(()));
                }
            }
            Step::FinishOfAnother(index) => {
                if let Some((sequence, owner)) = self.in_flight(&index) {
                    let other = ConnectionId(owner.0 + 1);
                    assert_eq!(self.channel.finish(other, sequence, self.now), Err(NotHeld::OtherOwner));
                }
            }
            Step::Pause(paused) => self.channel.set_paused(paused),
            Step::DeadLetters(max_attempts) => self.set_dead_letters(max_attempts),
            Step::Seek(to) => self.seek(Sequence(to)),
            Step::Limit(max) => self.limit(max),
            Step::Bury(taken) => self.bury(taken),
            Step::Empty => {
                self.channel.empty();
                self.all_become(|state| !state.is_done(), State::Emptied);
            }
            Step::Expire(kept) => self.expire(kept),
            Step::Advance(seconds) => self.advance(Duration::from_secs(seconds)),
            Step::Load => self.load(),
            Step::Forget => self.channel.arrive(given::KEPT_BYTES),
            Step::Restart => self.restart(),
        }
        self.deliver();
        self.check();
    }

    fn set_dead_letters(&mut self, max_attempts: u16) {
        let to = "dead".parse().unwrap();
        let max_attempts = NonZeroU16::new(max_attempts);
        self.channel.set_dead_letters(max_attempts.map(|max_attempts| DeadLetters { max_attempts, to }));
    }

    /// What was finished or dropped from there on waits again, and nothing is in flight.
    fn seek(&mut self, to: Sequence) {
        let place_of = |number| {
            let batch = self.log.iter().rfind(|batch| batch.first <= number);
            batch.map_or(Position::START, |batch| batch.position)
        };
        self.channel.seek(to.max(Sequence::FIRST), place_of);
        for (_, state) in self.model.range_mut(to..) {
            self.expired_before_restart -= i64::from(*state == State::Expired);
            *state = State::Waiting;
        }
        self.attempts.retain(|sequence, _| *sequence < to);
        self.all_become(|state| matches!(state, State::InFlight(_)), State::Waiting);
    }

    /// Of those that wait, so many are left, unless more are on their way elsewhere.
    fn limit(&mut self, max: u64) {
        let before = self.channel.depth();
        let overflowed = self.channel.counts().overflowed;
        assert!(!self.channel.drop_oldest(max, self.now));
        let dying = self.channel.dying.len() as u64;
        assert_eq!(self.channel.depth(), before.min(max.max(dying)));
        assert_eq!(self.channel.counts().overflowed - overflowed, before - self.channel.depth());
        for (sequence, state) in &mut self.model {
            if *state == State::Waiting && self.channel.progress().contains(*sequence) {
                *state = State::Overflowed;
            }
        }
    }

    fn bury(&mut self, taken: bool) {
        for DeadLetter { message, attempts, .. } in self.channel.take_dead() {
            assert_eq!(self.attempts[&message.sequence], attempts);
            let state = if taken {
                self.channel.buried(message.sequence, self.now);
                State::Buried
            } else {
                self.channel.not_buried(message.sequence, self.now);
                State::Deferred
            };
            let before = self.model.insert(message.sequence, state);
            assert_eq!(before, Some(State::Waiting), "only what waits dies");
        }
    }

    fn expire(&mut self, kept: u64) {
        let end = self.log.last().map_or(Sequence::FIRST, Batch::end);
        let before = Sequence(end.0.saturating_sub(kept));
        self.channel.expire(before);
        for (_, state) in self.model.range_mut(..before) {
            if matches!(state, State::Waiting | State::Deferred) {
                *state = State::Expired;
            }
        }
        let expired = self.model.values().filter(|state| **state == State::Expired).count();
        assert_eq!(self.channel.counts().expired as i64 + self.expired_before_restart, expired as i64);
    }

    pub(super) fn publish(&mut self, count: u8) {
        let end = self.log.last().map_or(Sequence::FIRST, Batch::end);
        let position = Position::from_u64(self.log.len() as u64 + 1);
        let bodies = (0..u64::from(count)).map(|n| end.plus(n).to_string()).collect();
        let batch = Batch { position, first: end, timestamp_ns: end.0 as i64, due: None, bodies };
        self.model.extend(batch.messages().map(|message| (message.sequence, State::Waiting)));
        self.channel.published(&batch, end, self.now);
        self.log.push(batch);
    }

    /// Time passes. What is due is back in the queue then, and nothing else is.
    fn advance(&mut self, by: Duration) {
        self.now += by;
        let overdue = self.channel.in_flight.iter().filter(|held| held.deadline <= self.now);
        let due: Vec<_> = overdue.map(|held| held.given.sequence).collect();
        let deferred: Vec<_> =
            self.channel.deferred.range(..=(self.now, Sequence(u64::MAX))).map(|(d, _)| d.1).collect();
        self.channel.handle_timeout(self.now);
        for sequence in due {
            assert!(matches!(self.model[&sequence], State::InFlight(_)));
            self.model.insert(sequence, State::Waiting);
        }
        for sequence in deferred {
            assert_eq!(self.model.insert(sequence, State::Waiting), Some(State::Deferred));
        }
        assert!(
            self.channel
                .next_timeout()
                .is_none_or(|next| next > self.now || self.channel.unsaved.due() == Some(next))
        );
    }

    /// Reads what the channel wants, two records at a time.
    pub(super) fn load(&mut self) {
        match self.channel.take_load(self.now) {
            None => {}
            Some(Load::Next { from, end }) => {
                let rest = self.log.iter().filter(|batch| batch.position >= from && batch.first < end);
                let batches: Vec<_> = rest.take(2).cloned().collect();
                let next = batches.last().map_or(from, |last| Position::from_u64(last.position.to_u64() + 1));
                let read_to = batches.last().is_none_or(|last| last.end() == end).then_some(end);
                self.channel.loaded(Loaded { batches, next, read_to, bytes: 0, damaged: false }, self.now);
            }
            Some(Load::Again(wanted)) => {
                let all: Vec<_> = self.log.iter().flat_map(Batch::messages).collect();
                let asked = &wanted[..wanted.len().min(2)];
                let is_asked = |message: &crate::message::StoredMessage| {
                    asked.contains(&(message.sequence, message.position))
                };
                let messages = all.into_iter().filter(is_asked).collect();
                self.channel.reloaded(asked, messages);
            }
            Some(Load::Age { from, of }) => {
                let mut rest = self.log.iter().filter(|batch| batch.position >= from);
                let found = rest.find(|batch| batch.end() > of).filter(|batch| batch.first <= of);
                let published_ns = found.map(|batch| batch.timestamp_ns);
                self.channel.age_loaded(of, published_ns);
            }
        }
    }

    /// The process ends and another one goes on from what a checkpoint holds.
    fn restart(&mut self) {
        let end = self.log.last().map_or(Sequence::FIRST, Batch::end);
        let mut progress = Progress::starting_at(self.channel.progress().floor());
        for range in self.channel.progress().ranges() {
            progress.add_range(range);
        }
        let mut origin = origin(progress, end);
        origin.dead_letters = self.channel.dead_letters().cloned();
        origin.attempts = self.channel.all_attempts().into_iter().collect();
        let put_off = self.channel.all_put_off(self.now).into_iter();
        origin.put_off = put_off.map(|(sequence, left)| (sequence, self.now + left)).collect();
        self.expired_before_restart += self.channel.counts().expired as i64;
        self.channel = Channel::new(origin);
        self.all_become(|state| matches!(state, State::InFlight(_)), State::Waiting);
    }

    fn deliver(&mut self) {
        let mut deliveries = Vec::new();
        self.channel.deliver(self.now, &mut deliveries);
        for Delivery { consumer, message, attempts } in deliveries {
            assert_eq!(message.body, message.sequence.to_string(), "the body is the message's own");
            let before = self.model.insert(message.sequence, State::InFlight(consumer));
            assert_eq!(before, Some(State::Waiting), "only what waits is delivered");
            let counted = self.attempts.entry(message.sequence).or_default();
            *counted += 1;
            assert_eq!(attempts, *counted, "attempts of {}", message.sequence);
            let max = self.channel.dead_letters().map_or(u16::MAX, |letters| letters.max_attempts.get());
            assert!(attempts <= max, "{attempts} of {max}");
        }
    }

    fn check(&mut self) {
        let count = |wanted: fn(State) -> bool| self.model.values().filter(|state| wanted(**state)).count();
        let waiting = count(|state| state == State::Waiting);
        assert_eq!(self.channel.depth(), waiting as u64, "depth");
        assert_eq!(
            self.channel.in_flight_count(),
            count(|state| matches!(state, State::InFlight(_))),
            "in flight"
        );
        assert_eq!(self.channel.deferred_count(), count(|state| state == State::Deferred), "deferred");
        for (id, consumer) in self.channel.consumers().iter() {
            let held = self.model.values().filter(|state| **state == State::InFlight(id)).count();
            assert_eq!(consumer.in_flight as usize, held, "in flight at {id:?}");
        }
        let finished = self.model.iter().filter(|(_, state)| state.is_done());
        assert!(finished.clone().all(|(sequence, _)| self.channel.progress().contains(*sequence)));
        let open = self.model.len() - finished.count();
        self.check_age();
        self.check_peek();
        let end = self.log.last().map_or(Sequence::FIRST, Batch::end);
        let done = self.channel.progress().count_within(Sequence::FIRST..end);
        assert_eq!(
            done as usize + open,
            self.model.len(),
            "published = finished + dropped + all that is open"
        );
    }

    /// The age is right wherever it is known, and known at the latest once it was asked for and read.
    fn check_age(&mut self) {
        let open = |state: State| matches!(state, State::Waiting | State::InFlight(_));
        let first = self.model.iter().find(|(_, state)| open(**state)).map(|(first, _)| *first);
        let holds = |batch: &&Batch| first.is_some_and(|first| batch.first <= first && first < batch.end());
        let oldest = match self.log.iter().find(holds) {
            None => Oldest::None,
            Some(batch) => Oldest::PublishedAt(batch.timestamp_ns),
        };
        let asked = self.channel.oldest();
        assert!(asked == oldest || asked == Oldest::Unread, "{asked:?} rather than {oldest:?}");
        if asked == Oldest::Unread && self.channel.loading.is_none() {
            while self.channel.oldest() == Oldest::Unread {
                self.load();
            }
            assert_eq!(self.channel.oldest(), oldest);
        }
    }

    fn check_peek(&self) {
        let open = self.model.iter().filter(|(_, state)| !state.is_done());
        let states = open.map(|(sequence, state)| (*sequence, *state)).take(5);
        let seen = self.channel.peek(5).into_iter().map(|glimpse| {
            let state = match glimpse.state {
                MessageState::Waiting => State::Waiting,
                MessageState::Deferred(_) => State::Deferred,
                MessageState::InFlight => self.model[&glimpse.sequence],
            };
            assert_eq!(glimpse.attempts, self.attempts.get(&glimpse.sequence).copied().unwrap_or(0));
            (glimpse.sequence, state)
        });
        assert_eq!(seen.collect::<Vec<_>>(), states.collect::<Vec<_>>());
    }

    fn in_flight(&self, index: &prop::sample::Index) -> Option<(Sequence, ConnectionId)> {
        let held: Vec<_> = self
            .model
            .iter()
            .filter_map(|(sequence, state)| match state {
                State::InFlight(owner) => Some((*sequence, *owner)),
                _ => None,
            })
            .collect();
        (!held.is_empty()).then(|| *index.get(&held))
    }

    fn all_become(&mut self, which: impl Fn(State) -> bool, state: State) {
        self.model.values_mut().filter(|current| which(**current)).for_each(|current| *current = state);
    }

    /// With a consumer that takes everything, everything that is open is delivered and finished.
    pub(super) fn drain(&mut self) {
        let id = ConnectionId(99);
        for other in 0..3 {
            self.step(Step::Unsubscribe(other));
        }
        self.channel.set_paused(false);
        self.step(Step::DeadLetters(0));
        self.step(Step::Bury(true));
        self.step(Step::Subscribe(99, 1000));
        for _ in 0..self.model.len() + 4 {
            self.step(Step::Advance(30));
            self.step(Step::Load);
            self.step(Step::Load);
            let held: Vec<_> = self.channel.in_flight.iter().map(|held| held.given.sequence).collect();
            for sequence in held {
                assert_eq!(self.channel.finish(id, sequence, self.now), Ok(()));
                self.model.insert(sequence, State::Finished);
            }
        }
        let left: Vec<_> = self.model.iter().filter(|(_, state)| !state.is_done()).collect();
        assert!(left.is_empty(), "never delivered: {left:?}");
    }
}
