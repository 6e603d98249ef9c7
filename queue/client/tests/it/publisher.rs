//! Publishing to whichever node is well.

use std::time::Duration;

use bytes::Bytes;
use punctual_queue_client::{
    address::NodeAddress,
    producer::{NotSent, ProducerOptions, PublishOutcome, UnknownReason},
    publisher::{Publication, Publisher, PublisherOptions, Repeat},
};
use punctual_queue_wire::{command::Command, frame::OK, name::TopicName};
use tokio::time::timeout;

use crate::{
    lookup::Lookup,
    node::{Node, PATIENCE, Peer},
};

fn topic() -> TopicName {
    "orders".parse().expect("a topic's name")
}

fn options(nodes: &[&Node]) -> PublisherOptions {
    let nodes = nodes.iter().map(|node| node.address()).collect();
    PublisherOptions { nodes, patience: Duration::from_secs(5), ..PublisherOptions::default() }
}

/// Waits until so many nodes are connected.
async fn connected(publisher: &Publisher, count: usize) -> anyhow::Result<()> {
    let mut changes = publisher.changes();
    let wait = async {
        while publisher.states().iter().filter(|state| state.connected).count() != count {
            changes.changed().await?;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, wait).await?
}

/// Two nodes in the order of their addresses, and a publisher connected to both.
async fn two(options: PublisherOptions) -> anyhow::Result<(Publisher, [(NodeAddress, Peer); 2])> {
    let mut nodes = [Node::start().await?, Node::start().await?];
    nodes.sort_by_key(Node::address);
    let publisher =
        Publisher::start(PublisherOptions { nodes: nodes.iter().map(Node::address).collect(), ..options })?;
    let [first, second] = &nodes;
    let peers = [
        (first.address(), first.accept(Some("1")).await?),
        (second.address(), second.accept(Some("2")).await?),
    ];
    connected(&publisher, 2).await?;
    Ok((publisher, peers))
}

async fn publish(publisher: &Publisher, body: &'static str) -> Publication {
    publisher.publish(&topic(), vec![Bytes::from(body)]).await
}

/// Takes one message.
async fn take(peer: &mut Peer, body: &'static str) -> anyhow::Result<()> {
    assert_eq!(peer.command().await?, Command::Pub { topic: topic(), body: Bytes::from(body) });
    peer.respond(OK).await
}

fn acknowledged(by: &[&NodeAddress]) -> Publication {
    Publication {
        outcome: PublishOutcome::Acknowledged,
        acknowledged: by.iter().map(|node| (*node).clone()).collect(),
        in_doubt: vec![],
    }
}

#[tokio::test]
async fn nodes_take_turns() -> anyhow::Result<()> {
    let (publisher, [(one, mut first), (two, mut second)]) = two(options(&[])).await?;
    let nodes = async {
        take(&mut first, "a").await?;
        take(&mut second, "b").await?;
        take(&mut first, "c").await
    };
    let client = async {
        assert_eq!(publish(&publisher, "a").await, acknowledged(&[&one]));
        assert_eq!(publish(&publisher, "b").await, acknowledged(&[&two]));
        assert_eq!(publish(&publisher, "c").await, acknowledged(&[&one]));
    };
    let (nodes, ()) = tokio::join!(nodes, client);
    nodes
}

#[tokio::test]
async fn what_a_node_cannot_store_goes_to_another_which_is_then_preferred() -> anyhow::Result<()> {
    let (publisher, [(_, mut first), (two, mut second)]) = two(options(&[])).await?;
    let nodes = async {
        first.command().await?;
        first.refuse("E_PUB_FAILED PUB failed disk full").await?;
        take(&mut second, "a").await?;
        take(&mut second, "b").await
    };
    let client = async {
        assert_eq!(publish(&publisher, "a").await, acknowledged(&[&two]));
        assert_eq!(publish(&publisher, "b").await, acknowledged(&[&two]));
    };
    let (nodes, ()) = tokio::join!(nodes, client);
    nodes
}

#[tokio::test]
async fn what_a_node_may_have_is_not_repeated_unless_the_caller_says_so() -> anyhow::Result<()> {
    let (publisher, [(one, mut first), _second]) = two(options(&[])).await?;
    let node = async {
        first.command().await?;
        drop(first);
        anyhow::Ok(())
    };
    let (node, outcome) = tokio::join!(node, publish(&publisher, "a"));
    node?;
    let lost = PublishOutcome::Unknown(UnknownReason::ConnectionLost);
    assert_eq!(outcome, Publication { outcome: lost, acknowledged: vec![], in_doubt: vec![one] });

    let repeating = PublisherOptions { repeat: Repeat::WhenUnknown, ..options(&[]) };
    let (publisher, [(one, mut first), (two, mut second)]) = two(repeating).await?;
    let nodes = async {
        first.command().await?;
        drop(first);
        take(&mut second, "a").await
    };
    let (nodes, outcome) = tokio::join!(nodes, publish(&publisher, "a"));
    nodes?;
    assert_eq!(outcome, Publication { in_doubt: vec![one], ..acknowledged(&[&two]) });
    Ok(())
}

#[tokio::test]
async fn a_node_is_waited_for_but_not_for_ever() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let address = node.address();
    let publisher = Publisher::start(options(&[&node]))?;
    let late = async { take(&mut node.accept(None).await?, "a").await };
    let (late, outcome) = tokio::join!(late, publish(&publisher, "a"));
    late?;
    assert_eq!(outcome, acknowledged(&[&address]));

    drop(node);
    let impatient =
        PublisherOptions { nodes: vec![address], patience: Duration::from_millis(50), ..options(&[]) };
    let outcome = publish(&Publisher::start(impatient)?, "a").await;
    let nobody = PublishOutcome::NotSent(NotSent::NotConnected);
    assert_eq!(outcome, Publication { outcome: nobody, acknowledged: vec![], in_doubt: vec![] });
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_at_fault_is_tried_nowhere() -> anyhow::Result<()> {
    let producer = ProducerOptions { max_message_bytes: 3, ..ProducerOptions::default() };
    let (publisher, [_first, _second]) = two(PublisherOptions { producer, ..options(&[]) }).await?;
    let outcome = publish(&publisher, "four").await.outcome;
    assert_eq!(outcome, PublishOutcome::NotSent(NotSent::MessageTooBig { bytes: 4 }));
    Ok(())
}

#[tokio::test]
async fn copies_go_to_different_nodes_at_once() -> anyhow::Result<()> {
    let (publisher, [(one, mut first), (two, mut second)]) = two(options(&[])).await?;
    let nodes = async {
        // Neither waits for the other's answer.
        let (a, b) = (first.command().await?, second.command().await?);
        assert_eq!((&a, &b), (&Command::Pub { topic: topic(), body: Bytes::from("a") }, &a));
        second.respond(OK).await?;
        first.respond(OK).await
    };
    let topic = topic();
    let copies = publisher.publish_copies(&topic, vec![Bytes::from("a")], 2);
    let (nodes, outcome) = tokio::join!(nodes, copies);
    nodes?;
    assert_eq!(outcome, acknowledged(&[&one, &two]));

    drop(second);
    connected(&publisher, 1).await?;
    let (node, outcome) =
        tokio::join!(take(&mut first, "b"), publisher.publish_copies(&topic, vec![Bytes::from("b")], 2));
    node?;
    assert!(!outcome.is_acknowledged());
    assert_eq!((outcome.acknowledged, outcome.in_doubt), (vec![one], vec![]));
    Ok(())
}

#[tokio::test]
async fn nodes_are_found_through_a_lookup_and_kept_while_they_are_connected() -> anyhow::Result<()> {
    let (old, new) = (Node::start().await?, Node::start().await?);
    let lookup = Lookup::listing(&[old.port()]).await?;
    let publisher = Publisher::start(PublisherOptions {
        lookups: vec![lookup.address.clone()],
        discovery_interval: Duration::from_millis(50),
        ..options(&[])
    })?;
    let old_peer = old.accept(Some("old")).await?;
    connected(&publisher, 1).await?;
    lookup.list(&[new.port()]);
    let _new_peer = new.accept(Some("new")).await?;
    connected(&publisher, 2).await?;

    drop(old_peer);
    let mut changes = publisher.changes();
    let gone = async {
        while publisher.states().iter().any(|state| state.node == old.address()) {
            changes.changed().await?;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, gone).await?
}
