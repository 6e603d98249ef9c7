//! Consuming from many nodes.

use std::time::Duration;

use punctual_queue_client::{
    connection::ConnectionOptions,
    consumer::{Consumer, ConsumerOptions, Delivery, DiscoveryMode},
};
use punctual_queue_wire::{
    command::{Command, ConnectionState},
    frame::{CLOSE_WAIT, HEARTBEAT},
};
use tokio::time::timeout;

use crate::{
    lookup::Lookup,
    node::{Node, PATIENCE},
};

pub(crate) fn options(nodes: &[&Node]) -> ConsumerOptions {
    let (topic, channel) = ("orders".parse().expect("a topic"), "mail".parse().expect("a channel"));
    ConsumerOptions {
        nodes: nodes.iter().map(|node| node.address()).collect(),
        discovery_interval: Duration::from_millis(50),
        ..ConsumerOptions::new(topic, channel)
    }
}

pub(crate) async fn receive(consumer: &mut Consumer) -> anyhow::Result<Delivery> {
    timeout(PATIENCE, consumer.recv()).await?.ok_or_else(|| anyhow::anyhow!("the consumer has ended"))
}

#[tokio::test]
async fn what_is_asked_reaches_the_node_in_the_order_it_was_asked() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    consumer.set_ready(2);
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(2));
    let ids = [peer.deliver(1).await?, peer.deliver(2).await?, peer.deliver(3).await?];

    let first = receive(&mut consumer).await?;
    assert_eq!((first.message().id, first.node()), (ids[0], &node.address()));
    assert_eq!(first.message().body, "message 1");
    let (second, third) = (receive(&mut consumer).await?, receive(&mut consumer).await?);
    first.touch();
    consumer.set_ready(0);
    first.finish();
    second.requeue(Duration::from_millis(1_500));
    third.requeue(Duration::ZERO);
    consumer.set_ready(1);
    let delay = Duration::from_millis(1_500);
    for expect in [
        Command::Touch(ids[0]),
        Command::Rdy(0),
        Command::Fin(ids[0]),
        Command::Req { id: ids[1], delay },
        Command::Req { id: ids[2], delay: Duration::ZERO },
        Command::Rdy(1),
    ] {
        assert_eq!(peer.command().await?, expect);
    }
    Ok(())
}

#[tokio::test]
async fn a_ready_count_goes_to_every_node_and_to_those_to_come() -> anyhow::Result<()> {
    let (one, two) = (Node::start().await?, Node::start().await?);
    let consumer = Consumer::start(options(&[&one, &two]))?;
    consumer.set_ready(5);
    let mut connections = consumer.connections();
    let mut first = one.accept_subscriber().await?;
    assert_eq!(first.command().await?, Command::Rdy(5));
    let mut second = two.accept_subscriber().await?;
    assert_eq!(second.command().await?, Command::Rdy(5));
    timeout(PATIENCE, connections.wait_for(|count| *count == 2)).await??;
    consumer.ready_handle().set_ready(0);
    assert_eq!((first.command().await?, second.command().await?), (Command::Rdy(0), Command::Rdy(0)));
    Ok(())
}

#[tokio::test]
async fn a_lost_connection_is_made_again() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    consumer.set_ready(1);
    let mut peer = node.accept_subscriber().await?;
    peer.deliver(1).await?;
    let orphan = receive(&mut consumer).await?;
    drop(peer);
    let mut connections = consumer.connections();
    timeout(PATIENCE, connections.wait_for(|count| *count == 0)).await??;
    assert!(!orphan.is_connected());
    orphan.finish();

    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(1), "nothing of the old connection");
    let id = peer.deliver(1).await?;
    receive(&mut consumer).await?.finish();
    assert_eq!(peer.command().await?, Command::Fin(id));
    Ok(())
}

#[tokio::test]
async fn a_silent_node_is_given_up_and_dialled_again() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let connection =
        ConnectionOptions { heartbeat_interval: Duration::from_millis(50), ..ConnectionOptions::default() };
    let _consumer = Consumer::start(ConsumerOptions { connection, ..options(&[&node]) })?;
    let _silent = node.accept_subscriber().await?;
    node.accept_subscriber().await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_came_too_late_does_not_cost_the_connection() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    peer.refuse("E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight").await?;
    peer.respond(HEARTBEAT).await?;
    assert_eq!(peer.command().await?, Command::Nop);
    peer.deliver(1).await?;
    assert!(receive(&mut consumer).await?.is_connected());
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_is_behind_still_shows_signs_of_life() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let connection =
        ConnectionOptions { heartbeat_interval: Duration::from_millis(50), ..ConnectionOptions::default() };
    let behind = ConsumerOptions { buffered_messages: 1, connection, ..options(&[&node]) };
    let mut consumer = Consumer::start(behind)?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    peer.deliver(1).await?;
    let second = peer.deliver(2).await?;
    for _ in 0..3 {
        assert_eq!(peer.command().await?, Command::Nop);
    }
    receive(&mut consumer).await?;
    assert_eq!(receive(&mut consumer).await?.message().id, second);
    Ok(())
}

/// Nodes come and go in what the lookup says.
async fn follows_the_lookup(discovery: DiscoveryMode) -> anyhow::Result<()> {
    let (early, late) = (Node::start().await?, Node::start().await?);
    let lookup = Lookup::listing(&[early.port()]).await?;
    let lookups = vec![lookup.address.clone()];
    let consumer = Consumer::start(ConsumerOptions { lookups, discovery, ..options(&[]) })?;
    let mut connections = consumer.connections();
    let early_peer = early.accept_subscriber().await?;
    lookup.list(&[late.port()]);
    let _late_peer = late.accept_subscriber().await?;
    timeout(PATIENCE, connections.wait_for(|count| *count == 2)).await??;

    // Not listed any more: it is served while it lasts, and comes back with the listing.
    drop(early_peer);
    timeout(PATIENCE, connections.wait_for(|count| *count == 1)).await??;
    lookup.list(&[early.port(), late.port()]);
    early.accept_subscriber().await?;
    Ok(())
}

#[tokio::test]
async fn nodes_that_have_the_topic_are_found_through_a_lookup() -> anyhow::Result<()> {
    follows_the_lookup(DiscoveryMode::Topic).await
}

#[tokio::test]
async fn nodes_that_have_nothing_yet_are_found_through_a_lookup() -> anyhow::Result<()> {
    follows_the_lookup(DiscoveryMode::AllNodes).await
}

#[tokio::test]
async fn closing_gives_back_what_was_not_taken_and_writes_what_was_asked() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    let (taken, waiting) = (peer.deliver(1).await?, peer.deliver(2).await?);
    let delivery = receive(&mut consumer).await?;

    let close = async {
        delivery.finish();
        consumer.close().await;
        anyhow::Ok(())
    };
    let script = async {
        let mut asked = Vec::new();
        while !asked.contains(&Command::Cls) {
            asked.push(peer.command().await?);
        }
        peer.standing.state = ConnectionState::Closing;
        let last = peer.deliver(3).await?;
        peer.respond(CLOSE_WAIT).await?;
        while let Some(command) = peer.next().await? {
            asked.push(command);
        }
        for expect in [
            Command::Fin(taken),
            Command::Req { id: waiting, delay: Duration::ZERO },
            Command::Req { id: last, delay: Duration::ZERO },
        ] {
            assert!(asked.contains(&expect), "{expect:?} is missing in {asked:?}");
        }
        drop(peer);
        anyhow::Ok(())
    };
    let (close, script) = timeout(PATIENCE, async { tokio::join!(close, script) }).await?;
    close.and(script)
}

#[tokio::test]
async fn closing_does_not_wait_for_ever() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let impatient = ConsumerOptions { close_timeout: Duration::from_millis(50), ..options(&[&node]) };
    let consumer = Consumer::start(impatient)?;
    let _peer = node.accept_subscriber().await?;
    timeout(PATIENCE, consumer.connections().wait_for(|count| *count == 1)).await??;
    timeout(PATIENCE, consumer.close()).await?;
    Ok(())
}
