//! Messages that nobody can finish go to another topic, and are never lost on the way.

use punctual_queue_wire::message::Message;
use serde_json::{Value, json};

use crate::fixture::{Client, Fixture, PATIENCE, Running};
use crate::process::NodeProcess;

const SET: &str = "/channel/dead_letter?topic=t&channel=c&max_attempts=2&to=dead";

async fn set(node: &Running, path: &str) {
    assert_eq!(node.post(path).await, (200, String::new()), "{path}");
}

async fn refused(node: &Running, path: &str, status: u16, code: &str) {
    assert_eq!(node.post(path).await, (status, format!(r#"{{"message":"{code}"}}"#)), "{path}");
}

/// A channel `c` of `t` whose messages are delivered twice, and its consumer.
async fn started(node: &Running) -> Client {
    let consumer = node.subscribe("t", "c", 1).await;
    set(node, SET).await;
    consumer
}

async fn fail_twice(consumer: &mut Client, body: &str) -> Message {
    for delay in [0, 3_600_000] {
        let message = consumer.expect_message(body).await;
        consumer.requeue(&message, delay).await;
        if delay > 0 {
            return message;
        }
    }
    unreachable!()
}

async fn waiting_in(node: &Running, topic: &str) -> Vec<Value> {
    let answer: Value = node.get(&format!("/topic/peek?topic={topic}")).await.json().await.unwrap();
    answer["messages"].as_array().cloned().unwrap_or_default()
}

async fn until_waiting_in(node: &Running, topic: &str, count: usize) -> Vec<Value> {
    let reached = async {
        loop {
            let waiting = waiting_in(node, topic).await;
            if waiting.len() == count {
                return waiting;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap()
}

#[tokio::test]
async fn a_message_that_was_delivered_in_vain_goes_to_the_dead_letters() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = started(&node).await;
    node.publish("t", &["poison"]).await;
    let poison = fail_twice(&mut consumer, "poison").await;
    let dead = until_waiting_in(&node, "dead", 1).await;
    assert_eq!((&dead[0]["body"], &dead[0]["attempts"]), (&json!("poison"), &json!(0)));
    let origin = json!({
        "topic": "t", "channel": "c", "id": poison.id.to_string(),
        "timestamp": poison.timestamp_ns, "attempts": 2,
    });
    assert_eq!(dead[0]["origin"], origin);
    node.wait_for("t", "c", "dead_letter_count", 1).await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!(stats["dead_letter"], json!({ "max_attempts": 2, "to": "dead" }));
    assert_eq!(
        (&stats["depth"], &stats["deferred_count"], &stats["in_flight_count"]),
        (&json!(0), &json!(0), &json!(0))
    );
    node.publish("t", &["fine"]).await;
    consumer.expect_message("fine").await;
    let mut undertaker = node.subscribe("dead", "c", 1).await;
    assert_eq!(undertaker.expect_message("poison").await.attempts, 1);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_setting_the_attempts_and_the_dead_letters_survive_a_kill() {
    let fixture = Fixture::new();
    let (process, node) = NodeProcess::start(&fixture);
    let mut consumer = started(&node).await;
    node.publish("t", &["dead"]).await;
    fail_twice(&mut consumer, "dead").await;
    until_waiting_in(&node, "dead", 1).await;
    node.wait_for("t", "c", "dead_letter_count", 1).await;
    node.publish("t", &["half dead"]).await;
    let message = consumer.expect_message("half dead").await;
    assert_eq!(message.attempts, 1);
    // What happened is written a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    process.kill();

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let message = consumer.expect_message("half dead").await;
    assert_eq!(message.attempts, 2);
    drop(consumer); // it is given back
    let mut consumer = node.subscribe("t", "c", 1).await;
    let dead = until_waiting_in(&node, "dead", 2).await;
    let bodies: Vec<_> = dead.iter().map(|dead| dead["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["dead", "half dead"]);
    assert_eq!(dead[1]["origin"]["channel"], "c");
    consumer.expect_silence().await;
    node.stop().await.unwrap();

    let node = fixture.start().await; // from the checkpoint alone
    assert_eq!(node.channel_stats("t", "c").await["dead_letter"]["to"], "dead");
    set(&node, "/channel/dead_letter?topic=t&channel=c&max_attempts=0").await;
    assert_eq!(node.channel_stats("t", "c").await["dead_letter"], Value::Null);
    node.stop().await.unwrap();
}

/// Every message dies, and the node is killed while they do, over and over: none is missing among the dead.
#[tokio::test]
async fn no_dead_letter_is_lost_between_the_topics() {
    let fixture = Fixture::new();
    let mut published = std::collections::BTreeSet::new();
    for round in 0..4 {
        let (process, node) = NodeProcess::start(&fixture);
        let mut consumer = node.subscribe("t", "c", 50).await;
        set(&node, "/channel/dead_letter?topic=t&channel=c&max_attempts=1&to=dead").await;
        let bodies: Vec<_> = (0..100).map(|n| format!("{round}-{n}")).collect();
        node.publish("t", &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
        published.extend(bodies);
        for _ in 0..40 + 15 * round {
            let message = consumer.message().await;
            consumer.requeue(&message, 0).await;
        }
        process.kill();
    }
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 50).await;
    let mut undertaker = node.subscribe("dead", "c", 50).await;
    let mut found = std::collections::BTreeSet::new();
    while found.len() < published.len() {
        tokio::select! {
            message = consumer.message() => consumer.requeue(&message, 0).await,
            message = undertaker.message() => {
                undertaker.finish(&message).await;
                found.insert(String::from_utf8(message.body.to_vec()).unwrap());
            }
        }
    }
    assert_eq!(found, published);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn dead_letters_go_nowhere_from_where_they_would_come_back() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for topic in ["t", "dead", "deader"] {
        set(&node, &format!("/topic/create?topic={topic}")).await;
        set(&node, &format!("/channel/create?topic={topic}&channel=c")).await;
    }
    let of = |topic: &str, to: &str| {
        format!("/channel/dead_letter?topic={topic}&channel=c&max_attempts=5&to={to}")
    };
    refused(&node, &of("t", "t"), 400, "DEAD_LETTER_LOOP").await;
    set(&node, &of("t", "dead")).await;
    set(&node, &of("dead", "deader")).await;
    refused(&node, &of("deader", "t"), 400, "DEAD_LETTER_LOOP").await;
    set(&node, &of("deader", "elsewhere")).await;
    refused(&node, &of("t", "gone%23ephemeral"), 400, "INVALID_ARG_TO").await;
    refused(&node, "/channel/dead_letter?topic=t&channel=c&max_attempts=5", 400, "MISSING_ARG_TO").await;
    refused(&node, "/channel/dead_letter?topic=t&channel=c&to=dead", 400, "MISSING_ARG_MAX_ATTEMPTS").await;
    refused(
        &node,
        "/channel/dead_letter?topic=t&channel=c&max_attempts=65536&to=dead",
        400,
        "INVALID_ARG_MAX_ATTEMPTS",
    )
    .await;
    refused(
        &node,
        "/channel/dead_letter?topic=t&channel=none&max_attempts=5&to=dead",
        404,
        "CHANNEL_NOT_FOUND",
    )
    .await;
    node.stop().await.unwrap();
}
