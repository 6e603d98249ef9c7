//! How much a consumer asks for, and of whom.

use std::time::Duration;

use punctual_queue_client::{
    connection::ConnectionOptions,
    consumer::{BackoffOptions, Consumer, ConsumerOptions},
};
use punctual_queue_wire::{
    command::{Command, ConnectionState},
    frame::CLOSE_WAIT,
};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    consumer::{options, receive},
    node::{Node, PATIENCE},
};

/// A count that must come, however many others come before it.
async fn wait_for_ready(peer: &mut crate::node::Peer, count: u32) -> anyhow::Result<()> {
    while peer.command().await? != Command::Rdy(count) {}
    Ok(())
}

#[tokio::test]
async fn what_may_be_in_flight_is_spread_over_the_nodes_and_can_be_changed() -> anyhow::Result<()> {
    let (one, two) = (Node::start().await?, Node::start().await?);
    let consumer = Consumer::start(options(&[&one]))?;
    consumer.set_max_in_flight(5);
    let mut first = one.accept_subscriber().await?;
    wait_for_ready(&mut first, 5).await?;
    drop(consumer);

    let consumer = Consumer::start(options(&[&one, &two]))?;
    consumer.set_max_in_flight(5);
    let mut first = one.accept_subscriber().await?;
    wait_for_ready(&mut first, 5).await?;
    let mut second = two.accept_subscriber().await?;
    wait_for_ready(&mut first, 3).await?;
    wait_for_ready(&mut second, 2).await?;
    consumer.ready_handle().set_max_in_flight(100);
    wait_for_ready(&mut first, 50).await?;
    wait_for_ready(&mut second, 50).await?;
    drop(first);
    wait_for_ready(&mut second, 100).await
}

#[tokio::test]
async fn with_fewer_messages_than_nodes_the_nodes_take_turns() -> anyhow::Result<()> {
    let (one, two) = (Node::start().await?, Node::start().await?);
    let quick = ConsumerOptions { idle_timeout: Duration::from_millis(100), ..options(&[&one, &two]) };
    let mut consumer = Consumer::start(quick)?;
    consumer.set_max_in_flight(1);
    let mut first = one.accept_subscriber().await?;
    wait_for_ready(&mut first, 1).await?;
    let mut second = two.accept_subscriber().await?;
    assert_eq!(second.command().await?, Command::Rdy(0));
    assert_eq!(first.command().await?, Command::Rdy(0), "its turn is over");
    assert_eq!(second.command().await?, Command::Rdy(1));

    // A message in hand keeps the turn, then counts until it is answered.
    let id = second.deliver(1).await?;
    let delivery = receive(&mut consumer).await?;
    assert_eq!(second.command().await?, Command::Rdy(0));
    delivery.finish();
    assert_eq!(second.command().await?, Command::Fin(id));
    assert_eq!(first.command().await?, Command::Rdy(1));
    Ok(())
}

#[tokio::test]
async fn a_consumer_whose_messages_fail_rests_then_probes_then_goes_on() -> anyhow::Result<()> {
    let (one, two) = (Node::start().await?, Node::start().await?);
    let backoff = Some(BackoffOptions { first: Duration::from_millis(50), ..BackoffOptions::default() });
    let mut consumer = Consumer::start(ConsumerOptions { backoff, ..options(&[&one, &two]) })?;
    let mut first = one.accept_subscriber().await?;
    let mut second = two.accept_subscriber().await?;
    timeout(PATIENCE, consumer.connections().wait_for(|count| *count == 2)).await??;
    consumer.set_max_in_flight(10);
    wait_for_ready(&mut first, 5).await?;
    wait_for_ready(&mut second, 5).await?;

    let id = first.deliver(1).await?;
    receive(&mut consumer).await?.fail(Duration::from_secs(1));
    assert_eq!(consumer.backoff_level(), 1);
    assert_eq!(first.command().await?, Command::Rdy(0), "before what makes room for more");
    assert_eq!(first.command().await?, Command::Req { id, delay: Duration::from_secs(1) });
    assert_eq!(second.command().await?, Command::Rdy(0));

    // Which of the two is asked for the probe is decided by who joined first.
    let (probed, other) = tokio::select! {
        asked = first.command() => {
            assert_eq!(asked?, Command::Rdy(1));
            (&mut first, &mut second)
        }
        asked = second.command() => {
            assert_eq!(asked?, Command::Rdy(1));
            (&mut second, &mut first)
        }
    };
    let id = probed.deliver(2).await?;
    receive(&mut consumer).await?.finish();
    assert_eq!(probed.command().await?, Command::Rdy(5));
    assert_eq!(probed.command().await?, Command::Fin(id));
    assert_eq!(other.command().await?, Command::Rdy(5));
    assert_eq!(consumer.backoff_level(), 0);
    Ok(())
}

#[tokio::test]
async fn giving_a_message_back_is_no_failure() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(options(&[&node]))?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    let id = peer.deliver(1).await?;
    receive(&mut consumer).await?.requeue(Duration::ZERO);
    assert_eq!(peer.command().await?, Command::Req { id, delay: Duration::ZERO });
    assert_eq!(consumer.backoff_level(), 0);
    Ok(())
}

#[tokio::test]
async fn a_message_is_touched_while_it_is_worked_on() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let connection = ConnectionOptions {
        message_timeout: Some(Duration::from_millis(90)),
        ..ConnectionOptions::default()
    };
    let mut consumer = Consumer::start(ConsumerOptions { connection, ..options(&[&node]) })?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    let id = peer.deliver(1).await?;
    let delivery = receive(&mut consumer).await?;

    let (done, work) = oneshot::channel();
    let node = async {
        for _ in 0..3 {
            assert_eq!(peer.command().await?, Command::Touch(id));
        }
        assert!(done.send("done").is_ok());
        anyhow::Ok(())
    };
    let (result, touched) =
        timeout(PATIENCE, async { tokio::join!(delivery.touch_during(work), node) }).await?;
    touched?;
    assert_eq!(result?, "done");
    delivery.finish();
    while peer.command().await? != Command::Fin(id) {}
    Ok(())
}

#[tokio::test]
async fn closing_waits_for_what_is_in_hand() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut consumer = Consumer::start(ConsumerOptions { close_timeout: PATIENCE, ..options(&[&node]) })?;
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(0));
    let id = peer.deliver(1).await?;
    let delivery = receive(&mut consumer).await?;

    let script = async {
        assert_eq!(peer.command().await?, Command::Cls);
        peer.standing.state = ConnectionState::Closing;
        peer.respond(CLOSE_WAIT).await?;
        // Only now, when nothing more is to come, is the message done.
        delivery.touch();
        assert_eq!(peer.command().await?, Command::Touch(id));
        delivery.finish();
        assert_eq!(peer.command().await?, Command::Fin(id));
        assert_eq!(peer.next().await?, None);
        drop(peer);
        anyhow::Ok(())
    };
    let ((), script) = timeout(PATIENCE, async { tokio::join!(consumer.close(), script) }).await?;
    script
}

#[tokio::test]
async fn a_consumer_is_starved_once_it_holds_most_of_what_one_node_may_send() -> anyhow::Result<()> {
    let (one, two) = (Node::start().await?, Node::start().await?);
    let mut consumer = Consumer::start(options(&[&one, &two]))?;
    consumer.set_ready(10);
    let mut first = one.accept_subscriber().await?;
    let _second = two.accept_subscriber().await?;
    let mut held = Vec::new();
    for number in 1..=9 {
        assert!(!consumer.is_starved(), "with {} of 10", held.len());
        first.deliver(number).await?;
        held.push(receive(&mut consumer).await?);
    }
    assert!(consumer.is_starved());
    held.clear();
    assert!(!consumer.is_starved());
    Ok(())
}
