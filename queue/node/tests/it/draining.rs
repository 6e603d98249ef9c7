//! Drain mode: nothing more is taken, what is there is consumed.

use serde_json::{Value, json};

use crate::elsewhere::Lookup;
use crate::fixture::{Fixture, Running};

async fn drain_of(node: &Running, path: &str) -> Value {
    node.get(path).await.json::<Value>().await.unwrap()["drain"].clone()
}

#[tokio::test]
async fn a_draining_node_refuses_publishes_and_is_consumed_until_it_is_empty() {
    let (fixture, lookup) = (Fixture::new(), Lookup::start().await);
    let node = fixture.start_with(lookup.options(&fixture)).await;
    node.publish("t", &["a", "b"]).await;
    for channel in ["a", "b"] {
        // Those that the lookup knows of.
        node.wait_for("t", channel, "depth", 2).await;
        node.post(&format!("/channel/delete?topic=t&channel={channel}")).await;
    }
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["a", "b"]).await;
    node.post("/topic/create?topic=empty").await;
    lookup.lists(&["empty", "empty:a", "empty:b", "t", "t:c"]).await;
    assert_eq!(drain_of(&node, "/stats?format=json").await, Value::Null);

    let left = json!({ "depth": 1, "in_flight": 1, "deferred": 0 });
    let a = consumer.expect_message("a").await;
    let (status, answer) = node.post("/drain").await;
    assert_eq!(
        (status, serde_json::from_str(&answer).unwrap()),
        (200, json!({ "draining": true, "left": left }))
    );
    lookup.lists(&["t", "t:c"]).await; // consumers find what is left
    let mut producer = node.connect().await;
    producer.publish("t", b"c").await;
    producer.expect_error("E_PUB_FAILED PUB failed draining").await;
    producer.expect_end().await;
    let mut producer = node.connect().await;
    producer.send(b"MPUB new\n\0\0\0\x09\0\0\0\x01\0\0\0\x01x").await;
    producer.expect_error("E_MPUB_FAILED MPUB failed draining").await;
    let refused = (503, r#"{"message":"DRAINING"}"#.to_owned());
    assert_eq!(node.post_body("/pub?topic=t", "c").await, refused);
    assert_eq!(node.post_body("/mpub?topic=new", "c\nd").await, refused);
    assert_eq!(drain_of(&node, "/stats?format=json").await, json!({ "left": left, "done": false }));
    assert_eq!(
        node.get("/stats?format=json&topic=new").await.json::<Value>().await.unwrap()["topics"],
        Value::Null
    );

    consumer.finish(&a).await;
    let b = consumer.expect_message("b").await;
    consumer.finish(&b).await;
    lookup.lists(&[]).await;
    let left = json!({ "depth": 0, "in_flight": 0, "deferred": 0 });
    assert_eq!(drain_of(&node, "/info").await, json!({ "left": left, "done": true }));

    assert_eq!(node.post("/undrain").await.0, 200);
    lookup.lists(&["empty", "empty:a", "empty:b", "t", "t:c"]).await;
    node.publish("t", &["c"]).await;
    consumer.expect_message("c").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn dead_letters_find_their_topic_while_the_node_drains() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.post("/channel/dead_letter?topic=t&channel=c&max_attempts=1&to=dead").await;
    node.publish("t", &["poison"]).await;
    node.post("/drain").await;
    let poison = consumer.expect_message("poison").await;
    consumer.requeue(&poison, 0).await;
    let mut undertaker = node.subscribe("dead", "c", 1).await;
    undertaker.expect_message("poison").await;
    node.stop().await.unwrap();
    let node = fixture.start().await;
    node.publish("t", &["a restart ends it"]).await;
    node.stop().await.unwrap();
}
