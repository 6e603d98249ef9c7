//! Everything the registry holds, for people who look into it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Peer, Registry};

/// The answer to `GET /debug`: for each `category:topic:channel`, who is registered under it.
pub type DebugAnswer = BTreeMap<String, Vec<DebugEntry>>;

/// One node under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DebugEntry {
    /// The address its connection comes from.
    pub id: String,
    /// The node's host name.
    pub hostname: String,
    /// The host clients should dial.
    pub broadcast_address: String,
    /// The port for NSQ's protocol.
    pub tcp_port: u16,
    /// The port for HTTP.
    pub http_port: u16,
    /// The node's version.
    pub version: String,
    /// Where the node stands.
    pub topology_zone: String,
    /// Where in the world the zone is.
    pub topology_region: String,
    /// Its last sign of life, in nanoseconds since the Unix epoch.
    pub last_update: i64,
    /// Whether it was ever hidden from the topic by a tombstone, one whose time is over included.
    pub tombstoned: bool,
    /// When, in nanoseconds since the Unix epoch; 0 if never.
    pub tombstoned_at: i64,
}

/// One moment on the two clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For measuring time.
    pub instant: Instant,
    /// For telling the time of day: nanoseconds since the Unix epoch.
    pub unix_ns: i64,
}

impl Moment {
    /// The time of day at an earlier instant.
    fn unix_ns_at(self, earlier: Instant) -> i64 {
        let ago = nanoseconds(self.instant.saturating_duration_since(earlier));
        self.unix_ns.saturating_sub(ago)
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Registry {
    /// Every name under which a node is registered; nodes that are silent or hidden are listed too. Nodes as such are
    /// under `client::`, topics under `topic:NAME:`, channels under `channel:TOPIC:NAME`.
    pub fn debug(&self, now: Moment) -> DebugAnswer {
        let mut all = DebugAnswer::new();
        let mut add = |key: String, peer: &Peer, tombstone: Option<Instant>| {
            all.entry(key).or_default().push(entry(peer, tombstone, now));
        };
        let mut clients: Vec<_> = self.peers.iter().collect();
        clients.sort_by_key(|(id, _)| **id);
        for (_, peer) in clients {
            add("client::".to_owned(), peer, None);
        }
        for (name, topic) in &self.topics {
            for (id, tombstone) in &topic.producers {
                if let Some(peer) = self.peers.get(id) {
                    add(format!("topic:{name}:"), peer, *tombstone);
                }
            }
            for (channel, holders) in &topic.channels {
                for peer in holders.iter().filter_map(|id| self.peers.get(id)) {
                    add(format!("channel:{name}:{channel}"), peer, None);
                }
            }
        }
        all
    }
}

fn entry(peer: &Peer, tombstone: Option<Instant>, now: Moment) -> DebugEntry {
    let producer = peer.producer.clone();
    DebugEntry {
        id: producer.remote_address,
        hostname: producer.hostname,
        broadcast_address: producer.broadcast_address,
        tcp_port: producer.tcp_port,
        http_port: producer.http_port,
        version: producer.version,
        topology_zone: producer.topology_zone,
        topology_region: producer.topology_region,
        last_update: now.unix_ns_at(peer.last_seen),
        tombstoned: tombstone.is_some(),
        tombstoned_at: tombstone.map_or(0, |at| now.unix_ns_at(at)),
    }
}
