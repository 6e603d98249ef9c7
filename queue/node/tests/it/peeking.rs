//! Looking at messages without consuming them, and how old they are.

use std::time::Duration;

use punctual_queue_node::options::NodeOptions;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PATIENCE, Running};
use crate::process::NodeProcess;

async fn peek(node: &Running, path: &str) -> Vec<Value> {
    let answer: Value = node.get(path).await.json().await.unwrap();
    answer["messages"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

/// What every message has of these.
fn fields(messages: &[Value], keys: [&str; 3]) -> Vec<[Value; 3]> {
    messages.iter().map(|message| keys.map(|key| message[key].clone())).collect()
}

async fn refused(node: &Running, path: &str, status: u16, code: &str) {
    let answer = node.get(path).await;
    assert_eq!(answer.status().as_u16(), status, "{path}");
    assert_eq!(answer.text().await.unwrap(), format!(r#"{{"message":"{code}"}}"#), "{path}");
}

#[tokio::test]
async fn messages_are_seen_wherever_they_are_and_stay_there() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 2).await;
    node.publish("t", &["done", "held", "put off", "waits"]).await;
    let done = consumer.expect_message("done").await;
    consumer.finish(&done).await;
    let held = consumer.expect_message("held").await;
    let put_off = consumer.expect_message("put off").await;
    consumer.send(b"RDY 1\n").await;
    consumer.requeue(&put_off, 60_000).await;
    node.post_body("/pub?topic=t", vec![0xff, 0xfe]).await;
    node.post_body("/pub?topic=t&defer=90000", "later").await;
    node.wait_for("t", "c", "message_count", 6).await;
    node.wait_for("t", "c", "deferred_count", 1).await;

    let seen = peek(&node, "/channel/peek?topic=t&channel=c").await;
    assert_eq!(
        fields(&seen, ["body", "state", "attempts"]),
        [
            [json!("held"), json!("in_flight"), json!(1)],
            [json!("put off"), json!("deferred"), json!(1)],
            [json!("waits"), json!("waiting"), json!(0)],
            [Value::Null, json!("waiting"), json!(0)],
            [json!("later"), json!("deferred"), json!(0)],
        ]
    );
    assert_eq!(
        (&seen[0]["id"], &seen[0]["timestamp"]),
        (&json!(held.id.to_string()), &json!(held.timestamp_ns))
    );
    assert_eq!((&seen[3]["body_base64"], &seen[3]["body_bytes"]), (&json!("//4="), &json!(2)));
    let due_in = seen[4]["due_in_ms"].as_u64().unwrap();
    assert!((80_000..=90_000).contains(&due_in), "{due_in}");

    let few = peek(&node, "/channel/peek?topic=t&channel=c&count=2").await;
    assert_eq!(
        fields(&few, ["body", "state", "attempts"]),
        fields(&seen[..2], ["body", "state", "attempts"])
    );
    let short = peek(&node, "/channel/peek?topic=t&channel=c&max_bytes=3").await;
    assert_eq!(fields(&short, ["body", "body_bytes", "body_cut"]), [[json!("hel"), json!(4), json!(true)]]);
    assert_eq!(peek(&node, "/channel/peek?topic=t&channel=c").await.len(), 5, "nothing was consumed");
    consumer.finish(&held).await;
    consumer.expect_message("waits").await;

    refused(&node, "/channel/peek?topic=t&channel=c&count=101", 400, "INVALID_ARG_COUNT").await;
    refused(&node, "/channel/peek?topic=t&channel=c&max_bytes=x", 400, "INVALID_ARG_MAX_BYTES").await;
    refused(&node, "/channel/peek?topic=t&channel=d", 404, "CHANNEL_NOT_FOUND").await;
    refused(&node, "/topic/peek?topic=u", 404, "TOPIC_NOT_FOUND").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn messages_that_wait_in_the_topic_are_seen_there() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut commands = Vec::new();
    for number in 0..500 {
        commands.extend(crate::fixture::publish_command(
            "t",
            format!("{number} {}", "x".repeat(2000)).as_bytes(),
        ));
    }
    let mut producer = node.connect().await;
    producer.send(&commands).await;
    for _ in 0..500 {
        producer.expect_ok().await;
    }
    let seen = peek(&node, "/topic/peek?topic=t&count=3").await;
    let begins = |message: &Value| message["body"].as_str().unwrap().split_once(' ').unwrap().0.to_owned();
    assert_eq!(seen.iter().map(begins).collect::<Vec<_>>(), ["0", "1", "2"]);

    // Those far behind in the log, too.
    let mut consumer = node.subscribe("t", "c", 2500).await;
    for number in 0..500 {
        let message = consumer.message().await;
        if !matches!(number, 7 | 300 | 499) {
            consumer.finish(&message).await;
        }
    }
    node.wait_for("t", "c", "in_flight_count", 3).await;
    let seen = peek(&node, "/channel/peek?topic=t&channel=c").await;
    assert_eq!(seen.iter().map(begins).collect::<Vec<_>>(), ["7", "300", "499"]);
    assert_eq!(peek(&node, "/topic/peek?topic=t").await.len(), 0);
    node.stop().await.unwrap();
}

async fn age(node: &Running) -> Option<u64> {
    node.channel_stats("t", "c").await["oldest_message_age_ms"].as_u64()
}

/// The age of what waits on the disk is read once after a start.
async fn age_once_known(node: &Running) -> u64 {
    let known = async {
        loop {
            if let Some(age) = age(node).await {
                return age;
            }
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap()
}

#[tokio::test]
async fn the_age_of_the_oldest_message_is_told_also_after_a_kill() {
    let fixture = Fixture::new();
    let (process, node) = NodeProcess::start(&fixture);
    node.publish("waits", &["in the topic"]).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    assert_eq!(age(&node).await, Some(0));
    node.publish("t", &["a"]).await;
    let a = consumer.expect_message("a").await;
    tokio::time::sleep(Duration::from_millis(120)).await; // so that ages differ
    node.publish("t", &["b"]).await;
    assert!(age(&node).await.unwrap() >= 120, "that of a, which is in flight");
    consumer.finish(&a).await;
    let b = consumer.expect_message("b").await;
    assert!(age(&node).await.unwrap() < 120, "that of b");
    consumer.requeue(&b, 60_000).await;
    node.wait_for("t", "c", "deferred_count", 1).await;
    assert_eq!(age(&node).await, Some(0), "nobody is to have it yet");
    node.publish("t", &["c"]).await;
    consumer.expect_message("c").await;
    drop(consumer);
    node.wait_for("t", "c", "in_flight_count", 0).await;
    // When it was put off is written a moment later.
    tokio::time::sleep(Duration::from_millis(50)).await;
    process.kill();

    let node = fixture.start().await;
    let told = age_once_known(&node).await;
    assert!(told >= 50, "{told}");
    let topics: Value = node.get("/stats?format=json&topic=waits").await.json().await.unwrap();
    let waits = topics["topics"][0]["oldest_message_age_ms"].as_u64().unwrap();
    assert!((told + 120..told + 60_000).contains(&waits), "{waits} in the topic, {told} in the channel");
    let metrics = node.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains(r#"punctual_queue_oldest_message_age_seconds{topic="t",channel="c"} 0"#),
        "{metrics}"
    );
    node.stop().await.unwrap();
}

/// A message published with a delay and one put off, both for days, and both for a second.
async fn check_delays(kill: bool) {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let fixture = Fixture::new();
    let options = NodeOptions { max_req_timeout: Duration::from_secs(30 * 24 * 3600), ..fixture.options() };
    let (process, node) = if kill {
        let (process, node) = NodeProcess::start(&fixture);
        (Some(process), node)
    } else {
        (None, fixture.start_with(options.clone()).await)
    };
    let mut consumer = node.subscribe("t", "c", 2).await;
    node.publish("t", &["days", "second"]).await;
    let days = consumer.expect_message("days").await;
    let second = consumer.expect_message("second").await;
    let started = std::time::Instant::now();
    consumer.requeue(&days, 20 * DAY_MS).await;
    consumer.requeue(&second, 1500).await;
    let mut producer = node.connect().await;
    for (delay_ms, body) in [(25 * DAY_MS, "days"), (1500, "second")] {
        producer.send(format!("DPUB t {delay_ms}\n").as_bytes()).await;
        producer.send(&(body.len() as u32).to_be_bytes()).await;
        producer.send(body.as_bytes()).await;
        producer.expect_ok().await;
    }
    node.wait_for("t", "c", "deferred_count", 4).await;
    // When it was put off is written a moment later.
    tokio::time::sleep(Duration::from_millis(50)).await;
    match process {
        Some(process) => process.kill(),
        None => node.stop().await.unwrap(),
    }

    let node = fixture.start_with(options).await;
    let mut consumer = node.subscribe("t", "c", 9).await;
    for _ in 0..2 {
        let message = consumer.expect_message("second").await;
        assert!(started.elapsed() >= Duration::from_millis(1500), "none comes before its time");
        consumer.finish(&message).await;
    }
    node.wait_for("t", "c", "deferred_count", 2).await;
    let seen = peek(&node, "/channel/peek?topic=t&channel=c").await;
    let due: Vec<_> = seen.iter().map(|message| message["due_in_ms"].as_u64().unwrap()).collect();
    let close_to = |days: u64, due: u64| (days * DAY_MS - 30_000..=days * DAY_MS).contains(&due);
    assert!(close_to(20, due[0]) && close_to(25, due[1]), "{due:?}");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn delays_of_days_and_of_a_second_survive_a_stop() {
    check_delays(false).await;
}

#[tokio::test]
async fn delays_of_days_and_of_a_second_survive_a_kill() {
    check_delays(true).await;
}
