//! Which scheduler owns which shards, and what its successors take over.

use punctual_scheduler::store::{AdmitRequest, EndedReplica, Ownership, Replica};
use punctual_scheduler_domain::id::{ReplicaId, Shard};
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, seconds};

on_both_stores!(
    shards_are_shared_evenly_and_none_has_two_owners,
    a_silent_replica_loses_its_shards_to_the_others_once,
    a_clean_stop_frees_the_shards_at_once,
    a_successor_publishes_again_what_was_queued_last,
);

fn replica(number: u128) -> Replica {
    Replica { id: ReplicaId(Uuid::from_u128(number)), name: format!("scheduler {number}") }
}

async fn renew(world: &World, number: u128) -> Ownership {
    let mut owned = world.store.renew_lease(&replica(number)).await.unwrap();
    owned.shards.sort_unstable();
    owned
}

/// Each of them renews until nothing changes; answers how many shards each then owns.
async fn settle(world: &World, numbers: &[u128]) -> Vec<usize> {
    let mut counts = Vec::new();
    for _ in 0..3 {
        let mut all: Vec<Shard> = Vec::new();
        counts.clear();
        for number in numbers {
            let owned = renew(world, *number).await;
            counts.push(owned.shards.len());
            all.extend(owned.shards);
        }
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        // What one gives up another may take within the same round, never while it is still owned.
        assert_eq!(all.len(), many, "no shard has two owners");
    }
    counts
}

async fn shards_are_shared_evenly_and_none_has_two_owners(world: World) {
    assert_eq!(renew(&world, 1).await.shards, Shard::all().collect::<Vec<_>>());
    assert_eq!(settle(&world, &[1, 2]).await, [32, 32]);
    assert_eq!(settle(&world, &[1, 2, 3]).await.iter().sum::<usize>(), 64);
    assert_eq!(renew(&world, 3).await.replicas, 3);
}

async fn a_silent_replica_loses_its_shards_to_the_others_once(world: World) {
    settle(&world, &[1, 2]).await;
    let silent_since = world.now();
    world.advance(std::time::Duration::from_millis(700));
    renew(&world, 1).await;
    world.advance(std::time::Duration::from_millis(300));
    // To the very instant it is still a lease.
    assert_eq!(renew(&world, 1).await.replicas, 2);
    world.advance(std::time::Duration::from_millis(100));
    let taken = renew(&world, 1).await;
    assert_eq!((taken.shards.len(), taken.replicas), (64, 1));
    let ended = taken.ended.iter().map(|ended| (ended.id, ended.expired_at)).collect::<Vec<_>>();
    assert_eq!(ended, [(replica(2).id, silent_since + chrono::TimeDelta::seconds(1))]);
    assert!(renew(&world, 1).await.ended.is_empty(), "a lease is ended once");
    // It comes back with nothing, and gets its part in time.
    let back = renew(&world, 2).await;
    assert_eq!((back.shards.len(), back.replicas), (0, 2));
    assert_eq!(settle(&world, &[1, 2]).await, [32, 32]);
}

async fn a_clean_stop_frees_the_shards_at_once(world: World) {
    settle(&world, &[1, 2]).await;
    world.store.release_lease(replica(2).id).await.unwrap();
    let owned = renew(&world, 1).await;
    assert_eq!((owned.shards.len(), owned.replicas, owned.ended.len()), (64, 1, 0));
}

async fn a_successor_publishes_again_what_was_queued_last(world: World) {
    world.job("work", a_job()).await;
    let node = world.node("one:4150", "a").await;
    let shards: Vec<_> = Shard::all().collect();
    let mut dispatches = Vec::new();
    for _ in 0..3 {
        world.trigger("work").await;
        let lanes = world.store.due_lanes(&shards).await.unwrap();
        let request = AdmitRequest {
            publisher: replica(2).id,
            shards: shards.clone(),
            lanes,
            nodes: vec![node],
            ahead: seconds(0),
            limit: 10,
        };
        dispatches.extend(world.store.admit_due_runs(&request).await.unwrap().dispatches);
        world.advance(seconds(20));
    }
    let session = world.worker(1).await;
    world.granted(session, &dispatches[2]).await;
    // Queued 60, 40 and 20 s ago, the last one started; the lease ended 20 s ago.
    let ended = EndedReplica { id: replica(2).id, expired_at: world.now() - chrono::TimeDelta::seconds(20) };
    let adopted = world.store.adopt_dispatches(replica(1).id, &ended, 10).await.unwrap();
    assert_eq!(adopted, dispatches[1..2]);
    let again = world.store.adopt_dispatches(replica(1).id, &ended, 10).await.unwrap();
    assert!(again.is_empty(), "they are the successor's now");
    world.granted(session, &adopted[0]).await;
}
