//! Leases of schedulers, and the shards they own under them.

use punctual_scheduler_domain::id::{ReplicaId, Shard};

use super::live::span;
use super::state::State;
use crate::store::{EndedReplica, Ownership, Replica, SCHEDULER_LEASE};

pub(super) fn renew(state: &mut State, replica: &Replica) -> Ownership {
    let now = state.now;
    state.replicas.insert(replica.id, now + span(SCHEDULER_LEASE));
    let ended: Vec<_> = state
        .replicas
        .iter()
        .filter(|(_, expires_at)| **expires_at < now)
        .map(|(id, expires_at)| EndedReplica { id: *id, expired_at: *expires_at })
        .collect();
    for silent in &ended {
        release(state, silent.id);
    }
    let replicas = state.replicas.len();
    let fair = usize::from(Shard::COUNT).div_ceil(replicas);
    let mut owned: Vec<_> = shards_of(state, Some(replica.id));
    for surplus in owned.split_off(owned.len().min(fair)) {
        state.shards.insert(surplus, None);
    }
    let free = shards_of(state, None);
    for shard in free.into_iter().take(fair - owned.len()) {
        state.shards.insert(shard, Some(replica.id));
        owned.push(shard);
    }
    Ownership { shards: owned, replicas: u32::try_from(replicas).unwrap_or(u32::MAX), ended }
}

pub(super) fn release(state: &mut State, replica: ReplicaId) {
    state.replicas.remove(&replica);
    for owner in state.shards.values_mut().filter(|owner| **owner == Some(replica)) {
        *owner = None;
    }
}

fn shards_of(state: &State, owner: Option<ReplicaId>) -> Vec<Shard> {
    state.shards.iter().filter(|(_, found)| **found == owner).map(|(shard, _)| *shard).collect()
}
