//! What was published and acknowledged, and what became of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use punctual_queue_client::wire::name::TopicName;

use super::body;
use super::channel_history::{CameBack, ChannelHistory};
use super::{AUDIT, WORK};

/// Everything that was done to a topic with two channels, and what its node made of it. Publishers and consumers tell
/// it what happens; what must never happen, it answers with an error.
#[derive(Debug)]
pub struct History {
    topic: TopicName,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    publishes: Vec<Published>,
    acknowledged: usize,
    channels: BTreeMap<&'static str, ChannelHistory>,
}

/// Messages published together, and what their publisher was told.
#[derive(Debug)]
struct Published {
    numbers: Range<u64>,
    is_acknowledged: bool,
    is_refused: bool,
}

/// Messages to be published together.
#[derive(Debug, Clone)]
pub struct Publish {
    index: usize,
    numbers: Range<u64>,
}

impl Publish {
    /// The bodies to be published.
    pub fn bodies(&self) -> Vec<bytes::Bytes> {
        self.numbers.clone().map(body::encode).collect()
    }
}

impl History {
    /// Of a topic to which nothing was published yet.
    pub fn of(topic: TopicName) -> Self {
        let channels = [WORK, AUDIT].map(|name| (name, ChannelHistory::default())).into();
        let state = State { next: 0, publishes: Vec::new(), acknowledged: 0, channels };
        Self { topic, state: Mutex::new(state) }
    }

    /// Whose history it is.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Makes up so many messages, to be published now.
    pub fn publishing(&self, count: u64) -> Publish {
        let mut state = self.state.lock();
        let numbers = state.next..state.next + count;
        state.next += count;
        let publish = Published { numbers: numbers.clone(), is_acknowledged: false, is_refused: false };
        state.publishes.push(publish);
        Publish { index: state.publishes.len() - 1, numbers }
    }

    /// The node answered `OK`.
    pub fn acknowledged(&self, publish: &Publish) {
        let mut state = self.state.lock();
        state.publishes[publish.index].is_acknowledged = true;
        state.acknowledged += publish.numbers.clone().count();
    }

    /// The node said that it has none of the messages.
    pub fn refused(&self, publish: &Publish) {
        self.state.lock().publishes[publish.index].is_refused = true;
    }

    /// How many messages were acknowledged.
    pub fn acknowledged_count(&self) -> usize {
        self.state.lock().acknowledged
    }

    /// A consumer begins with a new connection.
    pub fn connected(&self, channel: &'static str) {
        self.state.lock().channel(channel).connected();
    }

    /// Judges a delivered body on its own. Gives its number, and whether it is the message's first delivery.
    ///
    /// # Errors
    /// When it was never published, was refused, or is not what was published.
    pub fn delivered(&self, channel: &'static str, body: &[u8], ready: u32) -> anyhow::Result<(u64, bool)> {
        let number = body::decode(body).with_context(|| format!("{channel} was given a wrong body"))?;
        ensure!(body == body::encode(number), "{channel} was given another body as number {number}");
        let mut state = self.state.lock();
        ensure!(number < state.next, "{channel} was given number {number}, which was never published");
        ensure!(
            !state.publish_of(number).is_refused,
            "{channel} was given number {number}, which was refused"
        );
        let is_first = state.channel(channel).delivered(number, u64::from(ready), Instant::now());
        Ok((number, is_first))
    }

    /// A FIN was sent.
    pub fn finished(&self, channel: &'static str, number: u64) {
        self.state.lock().channel(channel).finished(number);
    }

    /// A REQ was sent.
    pub fn requeued(&self, channel: &'static str) {
        self.state.lock().channel(channel).requeued();
    }

    /// The node is about to be killed.
    pub fn stopping(&self) {
        let mut state = self.state.lock();
        let now = Instant::now(); // not before the lock: what is noted until then is older than the fault
        state.channels.values_mut().for_each(|channel| channel.stopping(now));
    }

    /// How many messages of `channel` the node has taken as finished at least `age` ago.
    pub fn finished_for(&self, channel: &'static str, age: Duration) -> usize {
        let by = Instant::now().checked_sub(age);
        by.map_or(0, |by| self.state.lock().channel(channel).taken_by(by))
    }

    /// The acknowledged messages that `channel` has never delivered.
    pub fn missing(&self, channel: &'static str) -> Vec<u64> {
        let mut state = self.state.lock();
        let State { publishes, channels, .. } = &mut *state;
        let channel = channels.entry(channel).or_default();
        let acknowledged = publishes.iter().filter(|publish| publish.is_acknowledged);
        acknowledged
            .flat_map(|publish| publish.numbers.clone())
            .filter(|number| !channel.was_delivered(*number))
            .collect()
    }

    /// Finished messages that came back on either channel.
    pub fn came_back(&self) -> CameBack {
        let state = self.state.lock();
        let each = state.channels.values().map(ChannelHistory::came_back);
        each.fold(CameBack::default(), |all, one| CameBack {
            count: all.count + one.count,
            oldest: all.oldest.max(one.oldest),
        })
    }

    /// Once [`AUDIT`] is empty: of messages published together it delivered all or none.
    ///
    /// # Errors
    /// When it was given a part of them.
    pub fn batches_are_whole(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock();
        let State { publishes, channels, .. } = &mut *state;
        let audit = channels.entry(AUDIT).or_default();
        for Published { numbers, is_acknowledged, .. } in publishes {
            let delivered = numbers.clone().filter(|number| audit.was_delivered(*number)).count();
            let all = numbers.clone().count();
            ensure!(
                delivered == all || delivered == 0 && !*is_acknowledged,
                "of {numbers:?}, published together, {delivered} were delivered",
            );
        }
        Ok(())
    }
}

impl State {
    fn channel(&mut self, name: &'static str) -> &mut ChannelHistory {
        self.channels.entry(name).or_default()
    }

    fn publish_of(&self, number: u64) -> &Published {
        let index = self.publishes.partition_point(|publish| publish.numbers.end <= number);
        &self.publishes[index]
    }
}
