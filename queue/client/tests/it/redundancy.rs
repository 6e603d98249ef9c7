//! Copies at two nodes, and consumers that work on each message once.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use punctual_queue_client::{
    consumer::{Consumer, ConsumerOptions},
    deduplicator::{Deduplicator, DeduplicatorOptions},
    publisher::{Publisher, PublisherOptions},
};
use punctual_queue_wire::{command::Command, name::TopicName};

use crate::{
    consumer::{options, receive},
    node::Node,
    servers::RealNode,
};

#[tokio::test]
async fn a_copy_is_put_off_while_another_is_in_hand_and_finished_with_it() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    let delay = Duration::from_millis(1_500);
    let copies =
        Deduplicator::new(DeduplicatorOptions { ask_again_after: delay, ..DeduplicatorOptions::default() });

    let ids =
        [peer.deliver(1).await?, peer.deliver(2).await?, peer.deliver(3).await?, peer.deliver(4).await?];
    let first = copies.admit("key", receive(&mut consumer).await?).expect("it is the first");
    assert!(copies.admit("key", receive(&mut consumer).await?).is_none());
    assert_eq!(peer.command().await?, Command::Req { id: ids[1], delay });

    first.requeue(Duration::ZERO);
    assert_eq!(peer.command().await?, Command::Req { id: ids[0], delay: Duration::ZERO });
    let third = copies.clone().admit("key", receive(&mut consumer).await?).expect("the first was not done");
    third.delivery().touch();
    third.finish();
    assert!(copies.admit("key", receive(&mut consumer).await?).is_none());
    for expect in [Command::Touch(ids[2]), Command::Fin(ids[2]), Command::Fin(ids[3])] {
        assert_eq!(peer.command().await?, expect);
    }
    Ok(())
}

/// The loss of a node, together with its disk, loses no message, and none is worked on twice.
#[tokio::test]
async fn each_message_is_worked_on_once_although_a_node_is_lost() -> anyhow::Result<()> {
    const MESSAGES: usize = 50;
    let (kept, lost) = (RealNode::start(&[]).await?, RealNode::start(&[]).await?);
    let nodes = vec![kept.address(), lost.address()];
    let publisher =
        Publisher::start(PublisherOptions { nodes: nodes.clone(), ..PublisherOptions::default() })?;
    let mut changes = publisher.changes();
    while !publisher.states().iter().all(|state| state.connected) {
        changes.changed().await?;
    }
    let topic: TopicName = "orders".parse()?;
    for number in 0..MESSAGES {
        let body = Bytes::from(number.to_string());
        let outcome = publisher.publish_copies(&topic, vec![body], 2).await;
        assert!(outcome.is_acknowledged(), "{outcome:?}");
    }

    let copies = Deduplicator::new(DeduplicatorOptions {
        ask_again_after: Duration::from_millis(10),
        ..DeduplicatorOptions::default()
    });
    let mut consumer =
        Consumer::start(ConsumerOptions { nodes, ..ConsumerOptions::new(topic, "mail".parse()?) })?;
    consumer.set_max_in_flight(10);
    let mut worked_on: BTreeMap<Bytes, usize> = BTreeMap::new();
    let mut lost = Some(lost);
    while worked_on.len() < MESSAGES {
        let delivery = receive(&mut consumer).await?;
        let key = delivery.message().body.clone();
        let Some(unique) = copies.admit(key.clone(), delivery) else { continue };
        *worked_on.entry(key).or_default() += 1;
        unique.finish();
        if worked_on.len() == MESSAGES / 3
            && let Some(lost) = lost.take()
        {
            lost.kill().await;
        }
    }
    assert!(worked_on.values().all(|times| *times == 1), "{worked_on:?}");
    assert!(lost.is_none(), "a node was lost on the way");
    consumer.close().await;
    kept.stop().await
}
