//! The ids of messages: whose they are, and for how long.

use punctual_queue_wire::message::Message;
use serde_json::Value;

use crate::fixture::{Client, Fixture, Running};

/// Publishes one message and consumes it.
async fn one(node: &Running) -> (Message, Client) {
    node.publish("t", &["m"]).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    (consumer.expect_message("m").await, consumer)
}

#[tokio::test]
async fn messages_of_two_nodes_have_different_ids() {
    let (here, elsewhere) = (Fixture::new(), Fixture::new());
    let (node, other) = (here.start().await, elsewhere.start().await);
    let ((message, mut consumer), (foreign, mut other_consumer)) = (one(&node).await, one(&other).await);
    assert_ne!(message.id, foreign.id);
    for (command, code) in [("FIN", "E_FIN_FAILED"), ("TOUCH", "E_TOUCH_FAILED")] {
        consumer.send(format!("{command} {}\n", foreign.id).as_bytes()).await;
        consumer.expect_error(&format!("{code} {command} {} failed ID not in flight", foreign.id)).await;
    }
    consumer.finish(&message).await;
    other_consumer.finish(&foreign).await;
    node.wait_for("t", "c", "in_flight_count", 0).await;
    other.wait_for("t", "c", "in_flight_count", 0).await;
    node.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_topic_that_is_made_again_does_not_give_the_old_one_s_ids() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let (before, _consumer) = one(&node).await;
    assert_eq!(node.post("/topic/delete?topic=t").await.0, 200);
    let (after, _consumer) = one(&node).await;
    assert_ne!(before.id, after.id);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_outlasts_kills_and_restarts_and_those_that_follow_are_others() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let (message, mut consumer) = one(&node).await;
    consumer.requeue(&message, 0).await;
    assert_eq!(consumer.expect_message("m").await.id, message.id);
    node.kill().await; // in flight

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 2).await;
    assert_eq!(consumer.expect_message("m").await.id, message.id);
    node.publish("t", &["next"]).await;
    let next = consumer.expect_message("next").await;
    assert!(next.id > message.id, "{} after {}", next.id, message.id);
    consumer.finish(&next).await;
    node.wait_for("t", "c", "in_flight_count", 1).await;
    node.stop().await.unwrap(); // leaves a checkpoint

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    assert_eq!(consumer.expect_message("m").await.id, message.id);
    consumer.finish(&message).await;
    node.publish("t", &["last"]).await;
    assert!(consumer.expect_message("last").await.id > next.id);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_kill_before_the_first_message_leaves_the_counts_right() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for path in ["/topic/create?topic=t", "/channel/create?topic=t&channel=c", "/topic/create?topic=alone"] {
        assert_eq!(node.post(path).await.0, 200);
    }
    node.kill().await;

    let node = fixture.start().await;
    node.publish("t", &["m"]).await;
    node.publish("alone", &["1", "2"]).await;
    node.kill().await;

    let node = fixture.start().await;
    node.wait_for("t", "c", "depth", 1).await;
    let stats: Value = node.get("/stats?format=json&topic=alone").await.json().await.unwrap();
    assert_eq!(stats["topics"][0]["depth"], 2);
    node.subscribe("t", "c", 1).await.expect_message("m").await;
    node.subscribe("alone", "c", 1).await.expect_message("1").await;
    node.stop().await.unwrap();
}
