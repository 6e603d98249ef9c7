//! How long and how many messages a topic keeps, set for it alone.

use serde_json::{Value, json};

use crate::fixture::{Client, Fixture, Running};

async fn set(node: &Running, path: &str) {
    assert_eq!(node.post(path).await, (200, String::new()), "{path}");
}

async fn settings(node: &Running, topic: &str) -> Value {
    let stats: Value = node.get(&format!("/stats?format=json&topic={topic}")).await.json().await.unwrap();
    stats["topics"][0]["settings"].clone()
}

/// A topic `t` with a channel `c` that nobody consumes.
async fn with_channel(node: &Running) {
    set(node, "/topic/create?topic=t").await;
    set(node, "/channel/create?topic=t&channel=c").await;
}

/// Consumes and finishes messages with these bodies, and then there is none.
async fn consume(consumer: &mut Client, bodies: &[&str]) {
    for body in bodies {
        let message = consumer.expect_message(body).await;
        consumer.finish(&message).await;
    }
    consumer.expect_silence().await;
}

#[tokio::test]
async fn a_topic_may_keep_messages_for_less_time_than_the_node() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    with_channel(&node).await;
    set(&node, "/topic/create?topic=other").await;
    set(&node, "/channel/create?topic=other&channel=c").await;
    set(&node, "/topic/retain?topic=t&for=200ms").await;
    node.publish("t", &["old"]).await;
    node.publish("other", &["old"]).await;
    node.wait_for("t", "c", "depth", 0).await;
    node.kill().await;

    let node = fixture.start().await;
    assert_eq!(settings(&node, "t").await, json!({ "retain_ms": 200 }));
    node.publish("t", &["old too"]).await;
    node.wait_for("t", "c", "depth", 0).await;
    node.stop().await.unwrap();

    let node = fixture.start().await; // from the checkpoint
    node.publish("t", &["old as well"]).await;
    node.wait_for("t", "c", "depth", 0).await;
    set(&node, "/topic/retain?topic=t&for=0").await;
    assert_eq!(settings(&node, "t").await, Value::Null);
    consume(&mut node.subscribe("other", "c", 1).await, &["old"]).await;
    let refused = (400, r#"{"message":"INVALID_ARG_FOR"}"#.to_owned());
    assert_eq!(node.post("/topic/retain?topic=t&for=soon").await, refused);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_full_topic_refuses_what_comes_until_a_consumer_has_made_room() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    with_channel(&node).await;
    set(&node, "/topic/limit?topic=t&max_depth=3&when_full=refuse").await;
    let full = (503, r#"{"message":"TOPIC_FULL"}"#.to_owned());
    assert_eq!(node.post_body("/mpub?topic=t", "1\n2\n3\n4").await, full, "all or none");
    assert_eq!(node.post_body("/mpub?topic=t", "1\n2\n3").await.0, 200);
    assert_eq!(node.post_body("/pub?topic=t", "4").await, full);
    node.kill().await;

    let node = fixture.start().await;
    let mut producer = node.connect().await;
    producer.publish("t", b"4").await;
    producer.expect_error("E_PUB_FAILED PUB failed the topic is full").await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let message = consumer.expect_message("1").await;
    assert_eq!(node.post_body("/pub?topic=t", "4").await.0, 200, "what is in flight does not wait");
    assert_eq!(node.post_body("/pub?topic=t", "5").await, full);
    consumer.finish(&message).await;
    consume(&mut consumer, &["2", "3", "4"]).await;
    set(&node, "/topic/limit?topic=t&max_depth=0").await;
    assert_eq!(node.post_body("/mpub?topic=t", "1\n2\n3\n4").await.0, 200);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_topic_may_drop_its_oldest_messages_for_new_ones() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    with_channel(&node).await;
    let many: Vec<_> = (0..20_000).map(|n| n.to_string()).collect();
    assert_eq!(node.post_body("/mpub?topic=t", many.join("\n")).await.0, 200);
    let mut consumer = node.subscribe("t", "c", 1).await;
    let held = consumer.expect_message("0").await;
    set(&node, "/topic/limit?topic=t&max_depth=2&when_full=drop_oldest").await;
    node.wait_for("t", "c", "depth", 2).await;
    node.publish("t", &["new"]).await;
    node.wait_for("t", "c", "message_count", 20_001).await;
    node.wait_for("t", "c", "depth", 2).await;
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let dropped = r#"punctual_queue_dropped_total{topic="t",channel="c",reason="overflowed"} 19998"#;
    assert!(metrics.contains(dropped), "{metrics}");
    // What was dropped is written a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    node.kill().await;

    let node = fixture.start().await;
    let expected = json!({ "limit": { "max_depth": 2, "when_full": "drop_oldest" } });
    assert_eq!(settings(&node, "t").await, expected);
    node.wait_for("t", "c", "depth", 2).await; // with what was in flight, which is the oldest now
    consume(&mut node.subscribe("t", "c", 3).await, &["19999", "new"]).await;

    set(&node, "/topic/create?topic=u").await;
    set(&node, "/topic/limit?topic=u&max_depth=2&when_full=drop_oldest").await;
    node.publish("u", &["1", "2", "3"]).await;
    consume(&mut node.subscribe("u", "c", 3).await, &["2", "3"]).await;
    drop(held);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_ephemeral_holds_so_many_messages_and_no_more() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    with_channel(&node).await;
    let many: Vec<_> = (0..10_050).map(|n| n.to_string()).collect();
    // Its consumer takes nothing.
    let mut tail = node.subscribe("t", "tail#ephemeral", 0).await;
    assert_eq!(node.post_body("/mpub?topic=t", many.join("\n")).await.0, 200);
    node.wait_for("t", "tail%23ephemeral", "depth", 10_000).await;
    assert_eq!(node.channel_stats("t", "c").await["depth"], 10_050, "this one lasts");
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let dropped =
        r#"punctual_queue_dropped_total{topic="t",channel="tail#ephemeral",reason="overflowed"} 50"#;
    assert!(metrics.contains(dropped), "{metrics}");
    tail.send(b"RDY 1\n").await;
    tail.expect_message("50").await;

    assert_eq!(node.post_body("/mpub?topic=e%23ephemeral", many.join("\n")).await.0, 200);
    let stats: Value = node.get("/stats?format=json&topic=e%23ephemeral").await.json().await.unwrap();
    assert_eq!(stats["topics"][0]["depth"], 10_000);
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let dropped = r#"punctual_queue_topic_overflowed_total{topic="e#ephemeral"} 50"#;
    assert!(metrics.contains(dropped), "{metrics}");
    node.subscribe("e#ephemeral", "c", 1).await.expect_message("50").await;
    node.stop().await.unwrap();
}
