//! What the store takes and gives about schedulers and their shards.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::id::{ReplicaId, Shard};

/// What a silent replica queued this long before its end may not have been sent: it gives up after 25 seconds. What is
/// older is found by its redelivery time.
pub(super) const ADOPTED_BEFORE_END: TimeDelta = TimeDelta::seconds(30);

/// One start of a scheduler.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Random, new at each start.
    pub id: ReplicaId,
    /// For people: its address.
    pub name: String,
}

/// What a renewal found.
#[derive(Debug, Clone, Default)]
pub struct Ownership {
    /// The shards this replica publishes until its lease ends.
    pub shards: Vec<Shard>,
    /// How many replicas are alive, this one included.
    pub replicas: u32,
    /// Replicas whose lease this call ended; what they queued last is to be published again.
    pub ended: Vec<EndedReplica>,
}

/// A replica that fell silent.
#[derive(Debug, Clone, Copy)]
pub struct EndedReplica {
    /// Which.
    pub id: ReplicaId,
    /// When its lease ran out.
    pub expired_at: DateTime<Utc>,
}
