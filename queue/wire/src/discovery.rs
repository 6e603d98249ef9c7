//! The JSON of a lookup's HTTP interface.

use serde::{Deserialize, Serialize};

/// A node as a lookup knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// The address the node's connection to the lookup comes from.
    #[serde(default)]
    pub remote_address: String,
    /// The node's host name.
    #[serde(default)]
    pub hostname: String,
    /// The host clients should dial.
    pub broadcast_address: String,
    /// The port for NSQ's protocol.
    pub tcp_port: u16,
    /// The port for HTTP.
    pub http_port: u16,
    /// The node's version.
    #[serde(default)]
    pub version: String,
    /// Where the node stands.
    #[serde(default)]
    pub topology_zone: String,
    /// Where in the world the zone is.
    #[serde(default)]
    pub topology_region: String,
}

/// The answer to `GET /lookup?topic=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// The topic's channels.
    pub channels: Vec<String>,
    /// The nodes that have it, without those inactive or hidden by a tombstone.
    pub producers: Vec<Producer>,
}

/// The answer to `GET /nodes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// Every active node.
    pub producers: Vec<NodeEntry>,
}

/// One node of [`NodesAnswer`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// The node.
    #[serde(flatten)]
    pub producer: Producer,
    /// For each of its topics, whether a tombstone hides it there. As long as `topics`: old readers index both.
    #[serde(default)]
    pub tombstones: Vec<bool>,
    /// Its topics.
    #[serde(default)]
    pub topics: Vec<String>,
}

/// The answer to `GET /topics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicsAnswer {
    /// Every registered topic.
    pub topics: Vec<String>,
}

/// The answer to `GET /channels?topic=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsAnswer {
    /// Every registered channel of the topic.
    pub channels: Vec<String>,
}
