//! The end-to-end latency, as `/stats` and `/metrics` show it.

use std::time::{Duration, Instant};

use punctual_queue_node::options::{LatencyOptions, NodeOptions};
use serde_json::{Value, json};

use crate::fixture::{Client, Fixture, Running};

async fn topic_stats(node: &Running, query: &str) -> Value {
    let stats: Value = node.get(&format!("/stats?format=json{query}")).await.json().await.unwrap();
    stats["topics"][0].clone()
}

/// Finishes so many messages.
async fn finish(node: &Running, consumer: &mut Client, channel: &str, count: u64) {
    for _ in 0..count {
        let message = consumer.message().await;
        consumer.finish(&message).await;
    }
    node.wait_for("t", channel, "in_flight_count", 0).await;
}

#[tokio::test]
async fn percentiles_are_those_of_finished_messages() {
    let fixture = Fixture::new();
    let latency =
        LatencyOptions { e2e_processing_latency_percentiles: vec![0.5, 1.0], ..fixture.options().latency };
    let node = fixture.start_with(NodeOptions { latency, ..fixture.options() }).await;
    let none = json!({ "count": 0, "percentiles": null });
    node.post("/topic/create?topic=t").await;
    assert_eq!(topic_stats(&node, "").await["e2e_processing_latency"], none, "there is no channel");

    let mut first = node.subscribe("t", "first", 10).await;
    let mut second = node.subscribe("t", "second", 10).await;
    let before = Instant::now();
    node.publish("t", &["a", "b", "c"]).await;
    let published = Instant::now();
    finish(&node, &mut first, "first", 3).await;
    let held = second.message().await;
    let nothing = json!([{ "quantile": 1.0, "value": 0 }, { "quantile": 0.5, "value": 0 }]);
    let unfinished = &topic_stats(&node, "&channel=second").await["channels"][0];
    assert_eq!(unfinished["e2e_processing_latency"], json!({ "count": 0, "percentiles": nothing }));

    let at_least = published.elapsed();
    second.finish(&held).await;
    node.wait_for("t", "second", "in_flight_count", 2).await;
    let at_most = before.elapsed();
    let topic = topic_stats(&node, "&channel=second").await;
    let (of_topic, of_second) =
        (&topic["e2e_processing_latency"], &topic["channels"][0]["e2e_processing_latency"]);
    assert_eq!((&of_topic["count"], &of_second["count"]), (&json!(4), &json!(1)));
    let longest = |latency: &Value| latency["percentiles"][0]["value"].as_u64().unwrap();
    // The node measures by the time of day, which may be slewed against ours.
    let shown = Duration::from_nanos(longest(of_second));
    assert!(
        shown >= at_least.mul_f64(0.95) && shown <= at_most.mul_f64(1.05),
        "{at_least:?} {shown:?} {at_most:?}"
    );
    assert_eq!(longest(of_topic), longest(of_second), "the topic's is that of all its channels");
    assert!(of_topic["percentiles"][1]["value"].as_u64().unwrap() > 0, "{of_topic}");

    let text = node.get("/stats").await.text().await.unwrap();
    let line = text.lines().find(|line| line.contains("[second ")).unwrap();
    assert!(line.contains("e2e%: ") && line.ends_with('s') && line.contains(", "), "{line}");
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let shown = r#"punctual_queue_channel_end_to_end_seconds{topic="t",channel="second",quantile="1"} "#;
    assert!(metrics.contains(shown), "{metrics}");
}

#[tokio::test]
async fn nothing_is_measured_unless_asked_for() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    node.publish("t", &["a"]).await;
    finish(&node, &mut consumer, "c", 1).await;
    let none = json!({ "count": 0, "percentiles": null });
    let topic = topic_stats(&node, "").await;
    assert_eq!(topic["e2e_processing_latency"], none);
    assert_eq!(topic["channels"][0]["e2e_processing_latency"], none);
}
