//! What becomes of queued runs when nodes are lost or take nothing.

use punctual_scheduler::store::{GoneReason, NODE_SILENT_AFTER, NodeIdentity, Redispatch, StartAnswer};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::{ReplicaId, RunId, Shard};
use punctual_scheduler_domain::run::RunState;

use uuid::Uuid;

use super::on_both_stores;
use super::world::{REPLICA, World, a_job, seconds};

on_both_stores!(
    nodes_that_hold_runs_and_that_nobody_sees_are_known,
    another_node_stored_twice_is_one_dispatch,
    what_no_node_took_is_scheduled_again_at_once,
    a_dispatch_that_is_over_is_not_given_back,
    only_a_delivery_that_nobody_answers_makes_the_next_one_wait_longer,
);

async fn used(world: &World) -> Vec<NodeIdentity> {
    world.store.silent_nodes_with_queued_runs().await.unwrap().into_iter().map(|(_, node)| node).collect()
}

async fn nodes_that_hold_runs_and_that_nobody_sees_are_known(world: World) {
    world.job("work", a_job()).await;
    let (one, _two) = (world.node("one:4150", "a").await, world.node("two:4150", "b").await);
    assert!(used(&world).await.is_empty());
    for _ in 0..2 {
        world.trigger("work").await;
    }
    world.admit_to(one).await;
    let node = NodeIdentity { address: "one:4150".to_owned(), identity: "a".to_owned() };
    assert!(used(&world).await.is_empty(), "someone sees it");
    world.advance(NODE_SILENT_AFTER + seconds(1));
    assert_eq!(world.store.silent_nodes_with_queued_runs().await.unwrap(), [(one, node)]);
    world.store.node_lost(one).await.unwrap();
    assert!(used(&world).await.is_empty(), "what is known to be lost is not looked for");
}

async fn another_node_stored_twice_is_one_dispatch(world: World) {
    world.job("work", a_job()).await;
    world.trigger("work").await;
    let refused = world.admit_one().await;
    let node = world.node("two:4150", "b").await;
    let moved = [Redispatch { run: refused.run, dispatch_seq: refused.dispatch_seq, node }];
    let first = world.store.redispatch(REPLICA, &moved).await.unwrap();
    assert_eq!((first.len(), first[0].dispatch_seq, first[0].node), (1, 2, node));
    // The answer was lost: the same again.
    assert_eq!(world.store.redispatch(REPLICA, &moved).await.unwrap(), first);
    let other = ReplicaId(Uuid::new_v4());
    assert!(world.store.redispatch(other, &moved).await.unwrap().is_empty());
}

async fn what_no_node_took_is_scheduled_again_at_once(world: World) {
    world.job("work", a_job()).await;
    let run = world.trigger("work").await;
    let untaken = world.admit_one().await;
    assert_eq!(world.store.give_back(std::slice::from_ref(&untaken)).await.unwrap(), 1);
    assert_eq!(world.state(run).await, RunState::Scheduled);
    let session = world.worker(1).await;
    // It may have been taken after all.
    assert_eq!(world.start(session, &untaken).await, StartAnswer::Gone(GoneReason::NotQueued));
    let again = world.admit_one().await;
    assert_eq!((again.run, again.dispatch_seq), (run, 2));
    assert_eq!(world.start(session, &untaken).await, StartAnswer::Gone(GoneReason::Superseded));
    assert_eq!(world.granted(session, &again).await.tries_used, 0);
}

async fn a_dispatch_that_is_over_is_not_given_back(world: World) {
    world.job("work", a_job()).await;
    let run = world.trigger("work").await;
    let first = world.admit_one().await;
    let other = world.node("two:4150", "b").await;
    let refused = Redispatch { run, dispatch_seq: first.dispatch_seq, node: other };
    let second = world.store.redispatch(REPLICA, &[refused]).await.unwrap().remove(0);
    assert_eq!(world.store.give_back(std::slice::from_ref(&first)).await.unwrap(), 0);
    let session = world.worker(1).await;
    let grant = world.granted(session, &second).await;
    assert_eq!(world.store.give_back(std::slice::from_ref(&second)).await.unwrap(), 0);
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    assert_eq!(world.store.give_back(&[first, second]).await.unwrap(), 0);
    assert_eq!(world.state(run).await, RunState::Succeeded);
}

/// The run is queued now; it is taken back after so many seconds and not before.
async fn waits(world: &World, expected: u64) {
    world.advance(seconds(expected) - std::time::Duration::from_micros(1));
    assert_eq!(world.reap_runs().await, 0, "not before {expected} s");
    world.advance(std::time::Duration::from_micros(1));
    assert_eq!(world.reap_runs().await, 1, "after {expected} s");
}

async fn only_a_delivery_that_nobody_answers_makes_the_next_one_wait_longer(world: World) {
    world.job("work", a_job()).await;
    let run: RunId = world.trigger("work").await;
    let shards: Vec<_> = Shard::all().collect();
    for node in ["a", "b", "c"] {
        let node = world.node("one:4150", node).await;
        let untaken = world.admit_to(node).await.dispatches.remove(0);
        world.store.give_back(&[untaken]).await.unwrap();
        let refused = world.admit_to(node).await.dispatches.remove(0);
        let refused = Redispatch { run, dispatch_seq: refused.dispatch_seq, node };
        world.store.redispatch(REPLICA, &[refused]).await.unwrap();
        assert_eq!(world.store.requeue_lost(&[node], &shards, 100).await.unwrap().runs, 1);
    }
    world.admit_one().await;
    waits(&world, 30).await;
    world.admit_one().await;
    waits(&world, 60).await;
    let dispatch = world.admit_one().await;
    let session = world.worker(1).await;
    let grant = world.granted(session, &dispatch).await;
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    world.store.unregister_worker(session).await.unwrap();
    world.advance(seconds(1));
    world.admit_one().await;
    waits(&world, 30).await;
}
