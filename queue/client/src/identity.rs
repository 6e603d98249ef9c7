//! Which node answers at an address, so that one that came back empty is not taken for the one that left.

use std::fmt;

use serde::Deserialize;

/// Tells a node, and for a stock nsqd one start of it, from every other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeIdentity {
    /// The id of the node's data directory: the same after a restart, another once the data is lost.
    NodeId(String),
    /// When the process started, in seconds since the Unix epoch: all that a stock nsqd tells, so that each restart
    /// is another identity.
    StartTime(i64),
}

impl fmt::Display for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeId(id) => f.pad(id),
            Self::StartTime(seconds) => write!(f, "started-{seconds}"),
        }
    }
}

/// The part of a node's `/info` that tells its identity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct NodeInfo {
    #[serde(default)]
    node_id: Option<String>,
    start_time: i64,
}

impl NodeInfo {
    /// The node's own id, else its start time.
    pub(crate) fn identity(self) -> NodeIdentity {
        self.node_id.map_or(NodeIdentity::StartTime(self.start_time), NodeIdentity::NodeId)
    }
}
