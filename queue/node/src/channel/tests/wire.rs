//! Random commands, as clients send them, through the codec to a channel and back as frames, against a model that
//! knows nothing but what NSQ promises.

mod client;
mod departures;
mod model;
mod step;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::command::{Command, ConnectionState};
use punctual_queue_wire::message::MessageId;

use super::*;
use client::Client;
use model::{Model, Put};
use step::{Step, Target, a_step};

/// No touch keeps a message longer than this, in seconds: a little more than the longest time-out of a consumer.
const MAX_MESSAGE_TIMEOUT: u64 = 12;

/// Consumers that are connected at the same time, at most.
const CONSUMERS: usize = 3;

/// A channel with its log, its topic's part in it, and its clients.
struct Stage {
    channel: Channel,
    log: Vec<Batch>,
    topic_paused: bool,
    /// The number after the last message that the channel was told of.
    announced: Sequence,
    /// What is being read for the channel.
    under_way: Option<Load>,
    /// What is on its way to the dead letters' topic.
    letters: Vec<DeadLetter>,
    clients: [Option<Client>; CONSUMERS],
    publisher: Client,
    next_id: u64,
    model: Model,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        Self {
            channel: Channel::new(Origin {
                max_message_timeout: Duration::from_secs(MAX_MESSAGE_TIMEOUT),
                ..origin(Progress::starting_at(Sequence::FIRST), Sequence::FIRST)
            }),
            log: Vec::new(),
            topic_paused: false,
            announced: Sequence::FIRST,
            under_way: None,
            letters: Vec::new(),
            clients: Default::default(),
            publisher: Client::new(ConnectionId(0), ConnectionState::Connected),
            next_id: 1,
            model: Model::default(),
            now: Instant::now(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { messages, delay_secs } => self.publish(messages, Duration::from_secs(delay_secs)),
            Step::Connect { at, timeout_secs, sample_rate } => self.connect(at, timeout_secs, sample_rate),
            Step::Disconnect { at, hold } => self.disconnect(at, hold),
            Step::Ready { at, count } => {
                if let Some(id) = self.send(at, &Command::Rdy(count)) {
                    self.model.ready(id, count);
                }
            }
            Step::Finish(target) => self.about(&target, Command::Fin),
            Step::Requeue(target, secs) => {
                let delay = Duration::from_secs(secs);
                self.about(&target, |id| Command::Req { id, delay });
            }
            Step::Touch(target) => self.about(&target, Command::Touch),
            Step::PauseChannel(paused) => {
                self.channel.set_paused(paused);
                self.model.paused = paused;
            }
            Step::PauseTopic(paused) => self.pause_topic(paused),
            Step::EmptyChannel => {
                assert_eq!(self.channel.empty(), self.announced);
                self.model.empty_channel();
            }
            Step::EmptyTopic => {
                self.channel.skipped(self.end());
                self.announced = self.end();
                self.model.empty_topic();
            }
            Step::DeleteChannel => self.delete_channel(),
            Step::Expire { kept } => self.expire(kept),
            Step::Limit { max } => self.limit(max),
            Step::DeadLetters { max_attempts } => self.set_dead_letters(max_attempts),
            Step::Bury { taken } => self.bury(taken),
            Step::Seek { back } => self.seek(back),
            Step::Advance { secs } => {
                self.now += Duration::from_secs(secs);
                self.channel.handle_timeout(self.now);
                self.model.time_is(self.now);
            }
            Step::BeginRead => self.under_way = self.wanted(),
            Step::Read => drop(self.read(2)),
            Step::ReadFails => {
                if self.wanted().is_some() {
                    self.channel.load_failed(self.now);
                }
            }
            Step::ReadAll => return self.read_all(),
            Step::Forget => self.channel.arrive(given::KEPT_BYTES),
            Step::Restart => self.restart(),
        }
        self.deliver();
        self.model.agrees_with(&self.channel);
    }

    fn end(&self) -> Sequence {
        self.log.last().map_or(Sequence::FIRST, Batch::end)
    }

    /// PUB, MPUB or DPUB, as it fits.
    fn publish(&mut self, messages: u8, delay: Duration) {
        let topic = "t".parse().unwrap();
        let bodies: Bodies = (0..u64::from(messages)).map(|n| self.end().plus(n).to_string()).collect();
        let first = bodies.iter().next().unwrap();
        let command = match messages {
            _ if !delay.is_zero() => Command::Dpub { topic, delay, body: first },
            1 => Command::Pub { topic, body: first },
            _ => Command::Mpub { topic, bodies },
        };
        let (bodies, due) = match self.publisher.send(&command) {
            Command::Dpub { body, delay, .. } => (Bodies::from_iter([body]), Some(self.now + delay)),
            Command::Pub { body, .. } => (Bodies::from_iter([body]), None),
            Command::Mpub { bodies, .. } => (bodies, None),
            other => panic!("{other:?}"),
        };
        let position = Position::from_u64(self.log.len() as u64 + 1);
        let batch = Batch { position, first: self.end(), timestamp_ns: 7, due, bodies };
        let put = Put { due, withheld: self.topic_paused };
        batch.messages().for_each(|message| self.model.published(message.sequence, put));
        if !self.topic_paused {
            self.channel.published(&batch, self.end(), self.now);
            self.announced = batch.end();
        }
        self.log.push(batch);
    }

    fn pause_topic(&mut self, paused: bool) {
        self.topic_paused = paused;
        if !paused && self.announced < self.end() {
            self.announced = self.end();
            self.channel.released(self.announced);
            self.model.released(self.now);
        }
    }

    fn connect(&mut self, at: usize, timeout_secs: u64, sample_rate: u8) {
        self.disconnect(at, false);
        let (id, timeout) = (ConnectionId(self.next_id), Duration::from_secs(timeout_secs));
        self.next_id += 1;
        self.channel.subscribe(id, Consumer::new(timeout, sample_rate));
        self.clients[at] = Some(Client::new(id, ConnectionState::Subscribed));
        self.model.connected(id, timeout, sample_rate > 0);
    }

    fn disconnect(&mut self, at: usize, hold: bool) {
        if let Some(client) = self.clients[at].take() {
            self.channel.unsubscribe(client.id, hold);
            self.model.disconnected(client.id, hold);
        }
    }

    /// Sends RDY; says who did.
    fn send(&mut self, at: usize, command: &Command) -> Option<ConnectionId> {
        let client = self.clients[at].as_mut()?;
        match client.send(command) {
            Command::Rdy(count) => self.channel.set_ready_count(client.id, count),
            other => panic!("{other:?}"),
        }
        Some(client.id)
    }

    /// FIN, REQ or TOUCH: what becomes of it is what the model says.
    fn about(&mut self, target: &Target, command: impl Fn(MessageId) -> Command) {
        if let Some((sequence, at)) = self.meant(target) {
            self.tell(sequence, at, command);
        }
    }

    fn tell(&mut self, sequence: Sequence, at: usize, command: impl Fn(MessageId) -> Command) {
        let Some(client) = self.clients[at].as_mut() else { return };
        let (id, now) = (client.id, self.now);
        let of = |message| Sequence::from_id(message).unwrap();
        let (result, expected) = match client.send(&command(sequence.id())) {
            Command::Fin(message) => {
                (self.channel.finish(id, of(message), now), self.model.finish(id, sequence))
            }
            Command::Req { id: message, delay } => {
                let result = self.channel.requeue(id, of(message), delay, now);
                (result, self.model.requeue(id, sequence, delay, now))
            }
            Command::Touch(message) => {
                (self.channel.touch(id, of(message), now), self.model.touch(id, sequence, now))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(result, expected, "message {sequence} by {id:?}");
    }

    fn meant(&self, target: &Target) -> Option<(Sequence, usize)> {
        match target {
            Target::Held(index) => {
                let held = self.model.held();
                let (sequence, owner) = (!held.is_empty()).then(|| *index.get(&held))?;
                let is_owner =
                    |client: &Option<Client>| client.as_ref().is_some_and(|client| client.id == owner);
                Some((sequence, self.clients.iter().position(is_owner)?))
            }
            Target::Any(index, by) => {
                let count = (self.end().0 - Sequence::FIRST.0) as usize;
                (count > 0).then(|| (Sequence::FIRST.plus(index.index(count) as u64), *by))
            }
        }
    }

    fn deliver(&mut self) {
        let mut deliveries = Vec::new();
        let dropped = self.channel.counts().sampled_out;
        self.channel.deliver(self.now, &mut deliveries);
        for delivery in deliveries {
            let to = self.clients.iter_mut().flatten().find(|client| client.id == delivery.consumer);
            let message = to.expect("only who is connected gets messages").receive(&delivery);
            let sequence = Sequence::from_id(message.id).unwrap();
            assert_eq!(message.body, sequence.to_string(), "the body is the message's own");
            let latest = self.now + Duration::from_secs(MAX_MESSAGE_TIMEOUT);
            self.model.delivered(sequence, delivery.consumer, message.attempts, self.now, latest);
        }
        let dropped = self.channel.counts().sampled_out - dropped;
        self.model.sampled_out(dropped, self.channel.progress());
        self.let_die();
    }

    /// What is being read, or is to be read now.
    fn wanted(&mut self) -> Option<Load> {
        self.under_way.take().or_else(|| self.channel.take_load(self.now))
    }

    /// Reads so many records at most; says whether anything was wanted.
    fn read(&mut self, records: usize) -> bool {
        match self.wanted() {
            None => false,
            Some(Load::Next { from, end }) => {
                let rest = self.log.iter().filter(|batch| batch.position >= from && batch.first < end);
                let batches: Vec<_> = rest.take(records).cloned().collect();
                let next = batches.last().map_or(from, |last| Position::from_u64(last.position.to_u64() + 1));
                let read_to = batches.last().is_none_or(|last| last.end() == end).then_some(end);
                let loaded = Loaded { batches, next, read_to, bytes: 0, damaged: false };
                self.channel.loaded(loaded, self.now);
                true
            }
            Some(Load::Again(wanted)) => {
                let asked = &wanted[..wanted.len().min(records)];
                let messages = self.log.iter().flat_map(Batch::messages);
                let read = messages.filter(|m| asked.contains(&(m.sequence, m.position))).collect();
                self.channel.reloaded(asked, read);
                true
            }
            Some(Load::Age { from, of }) => {
                let mut rest = self.log.iter().filter(|batch| batch.position >= from);
                let published_ns = rest.find(|batch| batch.end() > of).map(|batch| batch.timestamp_ns);
                self.channel.age_loaded(of, published_ns);
                true
            }
        }
    }

    fn read_all(&mut self) {
        self.now += Duration::from_secs(1); // so that a read that failed is tried again
        self.channel.handle_timeout(self.now);
        self.model.time_is(self.now);
        self.deliver();
        while self.read(100) {
            self.deliver();
        }
        self.model.agrees_with(&self.channel);
        self.model.nobody_waits_in_vain();
    }

    /// The process ends and another one goes on from what a checkpoint holds.
    fn restart(&mut self) {
        self.clients = Default::default();
        (self.under_way, self.letters) = (None, Vec::new());
        let mut progress = Progress::starting_at(self.channel.progress().floor());
        for range in self.channel.progress().ranges() {
            progress.add_range(range);
        }
        let put_off = self.channel.all_put_off(self.now).into_iter();
        self.channel = Channel::new(Origin {
            attempts: self.channel.all_attempts().into_iter().collect(),
            put_off: put_off.map(|(sequence, left)| (sequence, self.now + left)).collect(),
            paused: self.model.paused,
            dead_letters: self.channel.dead_letters().cloned(),
            max_message_timeout: Duration::from_secs(MAX_MESSAGE_TIMEOUT),
            ..origin(progress, self.announced)
        });
        self.model.restarted();
    }

    /// What the last step of every case is: a consumer that finishes all it gets has had everything soon.
    fn drain(&mut self) {
        (0..CONSUMERS).for_each(|at| self.step(Step::Disconnect { at, hold: false }));
        self.step(Step::PauseTopic(false));
        self.step(Step::PauseChannel(false));
        self.step(Step::DeadLetters { max_attempts: 0 });
        self.step(Step::Bury { taken: true });
        self.step(Step::Connect { at: 0, timeout_secs: 10, sample_rate: 0 });
        self.step(Step::Ready { at: 0, count: 2500 });
        for _ in 0..2 {
            self.step(Step::Advance { secs: MAX_MESSAGE_TIMEOUT });
            self.step(Step::ReadAll);
            for (sequence, _) in self.model.held() {
                self.tell(sequence, 0, Command::Fin);
            }
            self.model.agrees_with(&self.channel);
        }
        self.model.is_settled();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_clients_send_no_message_is_lost_or_at_two_consumers_and_all_are_counted(
        steps in prop::collection::vec(a_step(), 0..80),
    ) {
        let mut stage = Stage::new();
        for step in steps {
            stage.step(step);
        }
        stage.drain();
    }
}
