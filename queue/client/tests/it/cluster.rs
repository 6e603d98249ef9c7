//! Nodes, lookups and clients together.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use punctual_queue_client::{
    consumer::{Consumer, ConsumerOptions},
    producer::{Producer, ProducerOptions, PublishOutcome},
    publisher::{Publisher, PublisherOptions},
};
use punctual_queue_wire::name::TopicName;

use crate::{
    consumer::receive,
    servers::{RealLookup, RealNode},
};

/// Publishes one message to one node.
async fn publish(node: &RealNode, topic: &str, body: &str) -> anyhow::Result<()> {
    let producer = Producer::connect(&node.address(), ProducerOptions::default()).await?;
    let outcome = producer.publish(&topic.parse()?, vec![Bytes::copy_from_slice(body.as_bytes())]).await;
    assert_eq!(outcome, PublishOutcome::Acknowledged);
    Ok(())
}

#[tokio::test]
async fn a_node_is_known_to_every_lookup_also_to_one_that_was_away() -> anyhow::Result<()> {
    let (steady, away) = (RealLookup::start().await?, RealLookup::start().await?);
    let node = RealNode::start(&[&steady, &away]).await?;
    publish(&node, "early", "a").await?;
    let holder = format!("\"tcp_port\":{}", node.tcp.port());
    for lookup in [&steady, &away] {
        lookup.wait_for("/lookup?topic=early", |found| found.contains(&holder)).await?;
    }

    let (tcp, http) = (away.tcp, away.http);
    away.stop().await?;
    publish(&node, "late", "b").await?;
    let options = ConsumerOptions {
        nodes: vec![node.address()],
        ..ConsumerOptions::new("late".parse()?, "mail".parse()?)
    };
    let _consumer = Consumer::start(options)?;
    steady.wait_for("/channels?topic=late", |found| found.contains("mail")).await?;
    steady.wait_for("/lookup?topic=late", |found| found.contains(&holder)).await?;

    let back = RealLookup::start_at(tcp, http).await?;
    for topic in ["early", "late"] {
        back.wait_for(&format!("/lookup?topic={topic}"), |found| found.contains(&holder)).await?;
    }
    back.wait_for("/channels?topic=late", |found| found == r#"{"channels":["mail"]}"#).await?;

    node.stop().await?;
    for lookup in [&steady, &back] {
        lookup.wait_for("/nodes", |found| found == r#"{"producers":[]}"#).await?;
        assert_eq!(lookup.get("/topics").await?, r#"{"topics":["early","late"]}"#);
    }
    Ok(())
}

#[tokio::test]
async fn a_node_with_more_names_than_a_lookup_takes_stays_listed_with_the_others() -> anyhow::Result<()> {
    let lookup = RealLookup::start_with(&[
        "--tcp-address=127.0.0.1:0",
        "--http-address=127.0.0.1:0",
        "--max-names-per-node=1",
    ])
    .await?;
    let node = RealNode::start(&[&lookup]).await?;
    publish(&node, "first", "a").await?;
    lookup.wait_for("/nodes", |found| found.contains(r#""topics":["first"]"#)).await?;
    let before = lookup.get("/nodes").await?;
    publish(&node, "second", "b").await?;
    // What is said after the refusal is said on the same connection, which the remote address tells.
    node.post("/topic/delete?topic=first").await?;
    let after =
        before.replace(r#""tombstones":[false],"topics":["first"]"#, r#""tombstones":[],"topics":[]"#);
    lookup.wait_for("/nodes", |found| found == after).await?;
    assert_eq!(lookup.get("/topics").await?, r#"{"topics":["first"]}"#);
    Ok(())
}

#[tokio::test]
async fn the_lookups_of_a_node_can_be_changed_while_it_runs() -> anyhow::Result<()> {
    let (stays, leaves, comes) =
        (RealLookup::start().await?, RealLookup::start().await?, RealLookup::start().await?);
    let node = RealNode::start(&[&stays, &leaves]).await?;
    publish(&node, "orders", "a").await?;
    for lookup in [&stays, &leaves] {
        lookup.wait_for("/nodes", |found| found.contains("orders")).await?;
    }
    let before = stays.get("/nodes").await?;
    let set = format!(r#"["{}","{}"]"#, stays.tcp, comes.tcp);
    assert_eq!(node.put("/config/nsqlookupd_tcp_addresses", set.clone()).await?, set);
    comes.wait_for("/nodes", |found| found.contains("orders")).await?;
    leaves.wait_for("/nodes", |found| found == r#"{"producers":[]}"#).await?;
    assert_eq!(stays.get("/nodes").await?, before, "it noticed nothing, not even a new connection");
    Ok(())
}

#[tokio::test]
async fn messages_of_all_nodes_are_found_through_a_lookup_one_at_a_time() -> anyhow::Result<()> {
    let lookup = RealLookup::start().await?;
    let nodes = [RealNode::start(&[&lookup]).await?, RealNode::start(&[&lookup]).await?];
    for (number, node) in nodes.iter().enumerate() {
        for message in 0..3 {
            publish(node, "orders", &format!("{number}-{message}")).await?;
        }
        let port = node.tcp.port().to_string();
        lookup.wait_for("/lookup?topic=orders", |found| found.contains(&port)).await?;
    }
    let mut consumer = Consumer::start(ConsumerOptions {
        lookups: vec![lookup.http.to_string()],
        idle_timeout: Duration::from_millis(100),
        ..ConsumerOptions::new("orders".parse()?, "mail".parse()?)
    })?;
    consumer.set_max_in_flight(1);
    let mut seen = BTreeSet::new();
    while seen.len() < 6 {
        let delivery = receive(&mut consumer).await?;
        // A node's last message may be on its way when the other's turn begins; nothing else comes early.
        assert!(seen.insert(delivery.message().body.clone()), "{:?} came twice", delivery.message().body);
        delivery.finish();
    }
    consumer.close().await;
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_was_killed_and_started_again_has_its_clients_back() -> anyhow::Result<()> {
    let node = RealNode::start(&[]).await?;
    let (tcp, dir, address) = (node.tcp, node.dir.clone(), node.address());
    let publisher =
        Publisher::start(PublisherOptions { nodes: vec![address.clone()], ..PublisherOptions::default() })?;
    let options =
        ConsumerOptions { nodes: vec![address], ..ConsumerOptions::new("orders".parse()?, "mail".parse()?) };
    let mut consumer = Consumer::start(options)?;
    consumer.set_max_in_flight(5);
    let topic: TopicName = "orders".parse()?;
    let publish = async |body: &'static str| publisher.publish(&topic, vec![Bytes::from(body)]).await;
    assert!(publish("before").await.is_acknowledged());
    let in_hand = receive(&mut consumer).await?;

    node.kill().await;
    let node = RealNode::start_at(tcp, dir, &[]).await?;
    // What was written to the old connection as it broke is in doubt, and said to be; then there is a new one.
    let outcome = loop {
        let outcome = publish("after").await;
        if outcome.in_doubt.is_empty() {
            break outcome;
        }
    };
    assert!(outcome.is_acknowledged(), "{outcome:?}");
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let delivery = receive(&mut consumer).await?;
        seen.insert(delivery.message().body.clone());
        delivery.finish();
    }
    assert_eq!(seen, BTreeSet::from([Bytes::from("after"), Bytes::from("before")]));
    assert!(!in_hand.is_connected());
    drop(in_hand);
    consumer.close().await;
    node.stop().await
}
