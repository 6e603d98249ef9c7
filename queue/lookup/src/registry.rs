//! Which node has which topic and channel.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use punctual_queue_wire::{
    discovery::{ChannelsAnswer, LookupAnswer, NodeEntry, NodesAnswer, Producer, TopicsAnswer},
    lookup::{PeerInfo, Registration, RegistrationRefused},
    name::{ChannelName, TopicName},
};

mod bounds;
mod debug;

pub use bounds::Bounds;
pub use debug::{DebugAnswer, DebugEntry, Moment};

/// One connection of a node. A node that connects again is another peer, as in NSQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Everything that nodes have registered and operators have created. Only in memory: nodes register again when they
/// connect again.
#[derive(Debug)]
pub struct Registry {
    inactive_after: Duration,
    tombstone_lifetime: Duration,
    bounds: Bounds,
    /// Topics and channels there are.
    names: usize,
    peers: HashMap<PeerId, Peer>,
    topics: BTreeMap<TopicName, Topic>,
}

#[derive(Debug)]
struct Peer {
    producer: Producer,
    last_seen: Instant,
    /// Topics and channels it has.
    names: usize,
}

#[derive(Debug, Default)]
struct Topic {
    /// Who has it, and since when a tombstone hides them.
    producers: BTreeMap<PeerId, Option<Instant>>,
    channels: BTreeMap<ChannelName, BTreeSet<PeerId>>,
}

/// The channel to be deleted is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is not registered")]
pub struct UnknownChannel;

impl Registry {
    /// An empty registry. Peers silent for longer than `inactive_after` are not listed; a tombstone hides one for
    /// `tombstone_lifetime`.
    pub fn new(inactive_after: Duration, tombstone_lifetime: Duration, bounds: Bounds) -> Self {
        let (peers, topics) = (HashMap::new(), BTreeMap::new());
        Self { inactive_after, tombstone_lifetime, bounds, names: 0, peers, topics }
    }

    /// A node has said who it is.
    pub fn identify(&mut self, peer: PeerId, info: &PeerInfo, remote_address: String, now: Instant) {
        let producer = info.producer(remote_address);
        self.peers.insert(peer, Peer { producer, last_seen: now, names: 0 });
    }

    /// A node has given a sign of life.
    pub fn ping(&mut self, peer: PeerId, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.last_seen = now;
        }
    }

    /// A node has a topic, or a topic's channel. Registering again changes nothing, not even a tombstone.
    ///
    /// # Errors
    /// The node would have too many names, or there would be too many in all. Nothing changes then.
    pub fn register(&mut self, peer: PeerId, registration: Registration) -> Result<(), RegistrationRefused> {
        let Registration { topic: name, channel } = registration;
        let topic = self.topics.get(&name);
        let holders = channel.as_ref().map(|channel| topic.and_then(|topic| topic.channels.get(channel)));
        let held = topic.is_some_and(|topic| topic.producers.contains_key(&peer));
        let gained = usize::from(!held)
            + holders
                .map_or(0, |holders| usize::from(!holders.is_some_and(|holders| holders.contains(&peer))));
        let of_peer = self.peers.get(&peer).map_or(0, |peer| peer.names) + gained;
        if of_peer > self.bounds.of_node {
            return Err(RegistrationRefused::OfNode(self.bounds.of_node));
        }
        let topic = self.entry(name, channel.as_ref())?;
        topic.producers.entry(peer).or_default();
        if let Some(channel) = channel {
            topic.channels.entry(channel).or_default().insert(peer);
        }
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.names = of_peer;
        }
        Ok(())
    }

    /// A topic that is, from now on, registered, as is the channel.
    fn entry(
        &mut self,
        name: TopicName,
        channel: Option<&ChannelName>,
    ) -> Result<&mut Topic, RegistrationRefused> {
        let topic = self.topics.get(&name);
        let has = |channel: &ChannelName| topic.is_some_and(|topic| topic.channels.contains_key(channel));
        let new = usize::from(topic.is_none()) + usize::from(channel.is_some_and(|channel| !has(channel)));
        if new > 0 && self.names + new > self.bounds.of_all {
            return Err(RegistrationRefused::OfAll(self.bounds.of_all));
        }
        self.names += new;
        let topic = self.topics.entry(name).or_default();
        if let Some(channel) = channel {
            topic.channels.entry(channel.clone()).or_default();
        }
        Ok(topic)
    }

    /// A node has a topic, or a topic's channel, no more. The name stays registered unless it is ephemeral and this
    /// was the last node.
    pub fn unregister(&mut self, peer: PeerId, registration: &Registration) {
        let Some(topic) = self.topics.get_mut(&registration.topic) else { return };
        if let Some(channel) = &registration.channel {
            let Some(holders) = topic.channels.get_mut(channel) else { return };
            let lost = usize::from(holders.remove(&peer));
            if holders.is_empty() && channel.is_ephemeral() {
                topic.channels.remove(channel);
                self.names -= 1;
            }
            self.lose(peer, lost);
            return;
        }
        let lost = topic.remove(peer);
        if topic.producers.is_empty() && registration.topic.is_ephemeral() {
            self.delete_topic(registration.topic.as_str());
        }
        self.lose(peer, lost);
    }

    /// A node has so many names less.
    fn lose(&mut self, peer: PeerId, names: usize) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.names -= names;
        }
    }

    /// A node's connection has ended. All names stay registered.
    pub fn disconnect(&mut self, peer: PeerId) {
        if self.peers.remove(&peer).is_some() {
            for topic in self.topics.values_mut() {
                topic.remove(peer);
            }
        }
    }

    /// How many nodes are connected, active or not.
    pub fn connected(&self) -> usize {
        self.peers.len()
    }

    /// Registers a topic without a node.
    ///
    /// # Errors
    /// There are too many names already.
    pub fn create_topic(&mut self, topic: TopicName) -> Result<(), RegistrationRefused> {
        self.entry(topic, None).map(drop)
    }

    /// Forgets a topic and its channels, whoever has them; one that is not registered is no error.
    pub fn delete_topic(&mut self, topic: &str) {
        let Some(topic) = self.topics.remove(topic) else { return };
        self.names -= 1 + topic.channels.len();
        for peer in topic.producers.into_keys().chain(topic.channels.into_values().flatten()) {
            self.lose(peer, 1);
        }
    }

    /// Registers a channel, and its topic, without a node.
    ///
    /// # Errors
    /// There are too many names already.
    pub fn create_channel(
        &mut self,
        topic: TopicName,
        channel: ChannelName,
    ) -> Result<(), RegistrationRefused> {
        self.entry(topic, Some(&channel)).map(drop)
    }

    /// Forgets a channel, whoever has it.
    ///
    /// # Errors
    /// It is not registered.
    pub fn delete_channel(&mut self, topic: &TopicName, channel: &ChannelName) -> Result<(), UnknownChannel> {
        let topic = self.topics.get_mut(topic).ok_or(UnknownChannel)?;
        let holders = topic.channels.remove(channel).ok_or(UnknownChannel)?;
        self.names -= 1;
        for peer in holders {
            self.lose(peer, 1);
        }
        Ok(())
    }

    /// Hides a node from those who look for a topic. `node` is its broadcast address and HTTP port, `host:port`; one
    /// that does not have the topic is no error.
    pub fn tombstone(&mut self, topic: &str, node: &str, now: Instant) {
        let Some(topic) = self.topics.get_mut(topic) else { return };
        for (id, tombstone) in &mut topic.producers {
            let meant = self.peers.get(id).is_some_and(|Peer { producer, .. }| {
                node == format!("{}:{}", producer.broadcast_address, producer.http_port)
            });
            if meant {
                *tombstone = Some(now);
            }
        }
    }

    /// A topic's channels and the nodes that have it, without those inactive or hidden; `None` for a topic that is
    /// not registered.
    pub fn lookup(&self, topic: &str, now: Instant) -> Option<LookupAnswer> {
        let topic = self.topics.get(topic)?;
        let visible = |(peer, tombstone): (&PeerId, &Option<Instant>)| {
            (!self.hides(*tombstone, now)).then(|| self.active(*peer, now)).flatten().cloned()
        };
        Some(LookupAnswer {
            channels: topic.channels.keys().map(ToString::to_string).collect(),
            producers: topic.producers.iter().filter_map(visible).collect(),
        })
    }

    /// Every topic.
    pub fn topics(&self) -> TopicsAnswer {
        TopicsAnswer { topics: self.topics.keys().map(ToString::to_string).collect() }
    }

    /// The channels of a topic; none for one that is not registered.
    pub fn channels(&self, topic: &str) -> ChannelsAnswer {
        let channels = self.topics.get(topic).map(|topic| topic.channels.keys());
        ChannelsAnswer { channels: channels.into_iter().flatten().map(ToString::to_string).collect() }
    }

    /// Every active node with its topics, hidden or not, in the order they connected.
    pub fn nodes(&self, now: Instant) -> NodesAnswer {
        let mut active: Vec<_> =
            self.peers.keys().filter_map(|peer| Some((*peer, self.active(*peer, now)?))).collect();
        active.sort_by_key(|(peer, _)| *peer);
        let entries = active.into_iter().map(|(peer, producer)| {
            let (topics, tombstones) = self
                .topics
                .iter()
                .filter_map(|(name, topic)| {
                    let tombstone = topic.producers.get(&peer)?;
                    Some((name.to_string(), self.hides(*tombstone, now)))
                })
                .unzip();
            NodeEntry { producer: producer.clone(), tombstones, topics }
        });
        NodesAnswer { producers: entries.collect() }
    }

    fn active(&self, peer: PeerId, now: Instant) -> Option<&Producer> {
        let peer = self.peers.get(&peer)?;
        (now.saturating_duration_since(peer.last_seen) <= self.inactive_after).then_some(&peer.producer)
    }

    fn hides(&self, tombstone: Option<Instant>, now: Instant) -> bool {
        tombstone.is_some_and(|since| now.saturating_duration_since(since) < self.tombstone_lifetime)
    }
}

impl Topic {
    /// Strikes a node off; how many names it had here.
    fn remove(&mut self, peer: PeerId) -> usize {
        let topic = usize::from(self.producers.remove(&peer).is_some());
        let channels = self.channels.values_mut().map(|holders| usize::from(holders.remove(&peer)));
        topic + channels.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
