//! What the store takes and gives about queue nodes.

use std::time::Duration;

/// A node that no scheduler has confirmed for so long is not seen by any.
pub const NODE_SILENT_AFTER: Duration = Duration::from_secs(7);

/// A queue node under one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

/// A node as a probe found it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeIdentity {
    /// `host:port` of its TCP listener.
    pub address: String,
    /// Its `node_id`, or for stock nsqd its start time: another one means that its queued messages are gone.
    pub identity: String,
}
