//! Publishing to many nodes.

use bytes::Bytes;
use punctual_queue_client::{
    address::NodeAddress,
    identity::NodeIdentity,
    pool::{NodePool, NodeState},
    producer::{NotSent, ProducerOptions, PublishOutcome},
};
use punctual_queue_wire::{frame::OK, name::TopicName};
use tokio::time::timeout;

use crate::{
    lookup::Lookup,
    node::{Node, PATIENCE},
};

fn topic() -> TopicName {
    "orders".parse().expect("a topic's name")
}

/// Waits until a node of the pool is as it should be.
async fn wait_for(
    pool: &NodePool,
    node: &NodeAddress,
    as_expected: impl Fn(&NodeState) -> bool,
) -> anyhow::Result<NodeState> {
    let mut changes = pool.changes();
    let wait = async {
        loop {
            changes.mark_unchanged();
            let states = pool.states();
            if let Some(state) = states.into_iter().find(|state| state.node == *node && as_expected(state)) {
                return anyhow::Ok(state);
            }
            changes.changed().await?;
        }
    };
    timeout(PATIENCE, wait).await?
}

#[tokio::test]
async fn a_node_that_returns_is_used_again_under_its_new_identity() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let address = node.address();
    let pool = NodePool::new(ProducerOptions::default())?;
    pool.set_nodes([address.clone()]);

    let first = node.accept(Some("first")).await?;
    let state = wait_for(&pool, &address, |state| state.connected).await?;
    assert_eq!(state.identity, Some(NodeIdentity::NodeId("first".to_owned())));
    assert_eq!((state.failures, state.last_failure), (0, None));

    drop(first);
    let state = wait_for(&pool, &address, |state| !state.connected).await?;
    assert!(state.failures > 0 && state.failing_since.is_some());

    let mut second = node.accept(Some("second")).await?;
    let state = wait_for(&pool, &address, |state| state.connected).await?;
    assert_eq!(state.identity, Some(NodeIdentity::NodeId("second".to_owned())));
    assert_eq!((state.failures, state.failing_since), (0, None));
    assert!(state.last_failure.is_some());

    let answer = async {
        second.command().await?;
        second.respond(OK).await
    };
    let topic = topic();
    let (outcome, answer) = tokio::join!(pool.publish(&address, &topic, vec![Bytes::from("a")]), answer);
    answer?;
    assert_eq!(outcome, PublishOutcome::Acknowledged);
    Ok(())
}

#[tokio::test]
async fn a_stock_node_is_known_by_its_start_time() -> anyhow::Result<()> {
    let info = Lookup::answering(r#"{"version":"1.3.0","start_time":1790000000}"#).await?;
    let node = Node::start().await?;
    let address = node.address().with_http(&info.address);
    let pool = NodePool::new(ProducerOptions::default())?;
    pool.set_nodes([address.clone()]);
    let _peer = node.accept(None).await?;
    let state = wait_for(&pool, &address, |state| state.connected).await?;
    assert_eq!(state.identity, Some(NodeIdentity::StartTime(1_790_000_000)));
    Ok(())
}

#[tokio::test]
async fn a_node_taken_out_of_the_pool_is_let_go() -> anyhow::Result<()> {
    let (gone, kept) = (Node::start().await?, Node::start().await?);
    let pool = NodePool::new(ProducerOptions::default())?;
    pool.set_nodes([gone.address(), kept.address()]);
    let (mut gone_peer, _kept_peer) = (gone.accept(None).await?, kept.accept(None).await?);
    wait_for(&pool, &gone.address(), |state| state.connected).await?;
    wait_for(&pool, &kept.address(), |state| state.connected).await?;

    pool.set_nodes([kept.address()]);
    assert_eq!(gone_peer.next().await?, None);
    assert_eq!(pool.states().len(), 1);
    let outcome = pool.publish(&gone.address(), &topic(), vec![Bytes::from("a")]).await;
    assert_eq!(outcome, PublishOutcome::NotSent(NotSent::NotConnected));
    assert!(pool.states()[0].connected);
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_away_is_dialled_again_and_again() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let address = node.address();
    drop(node);
    let pool = NodePool::new(ProducerOptions::default())?;
    pool.set_nodes([address.clone()]);
    let state = wait_for(&pool, &address, |state| state.failures >= 3).await?;
    assert!(!state.connected && state.failing_since < state.last_failure);
    Ok(())
}
