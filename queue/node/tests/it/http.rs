//! What the HTTP interface shows.

use serde_json::Value;

use crate::fixture::Fixture;

/// The names in an object, in alphabetical order.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn ping_is_exactly_ok_and_objects_carry_nsqs_header() {
    let node = Fixture::new().start().await;
    let ping = node.get("/ping").await;
    assert!(!ping.headers().contains_key("x-nsq-content-type"));
    assert_eq!(ping.text().await.unwrap(), "OK");

    let info = node.get("/info").await;
    assert_eq!(info.headers()["x-nsq-content-type"], "nsq; version=1.0");
    let info: Value = info.json().await.unwrap();
    assert_eq!(info["node_id"], node.node_id.to_string());
    assert_eq!(info["tcp_port"], node.tcp.port());
    assert_eq!(info["http_port"], node.http.port());
    assert_eq!(info["broadcast_address"], "127.0.0.1");
    assert_eq!(info["max_heartbeat_interval"], 60_000_000_000_u64);
}

#[tokio::test]
async fn stats_show_topics_channels_and_clients() {
    let node = Fixture::new().start().await;
    node.publish("t", &["a", "b", "c"]).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    consumer.expect_message("a").await;

    let stats: Value = node.get("/stats?format=json").await.json().await.unwrap();
    let topic = &stats["topics"][0];
    assert_eq!(stats["health"], "OK");
    assert_eq!((&topic["topic_name"], &topic["message_count"]), (&"t".into(), &3.into()));
    assert_eq!((&topic["depth"], &topic["message_bytes"]), (&0.into(), &3.into()));
    let channel = &topic["channels"][0];
    assert_eq!((&channel["depth"], &channel["in_flight_count"]), (&2.into(), &1.into()));
    assert_eq!(channel["message_count"], 3, "what was there before it counts too");
    let client = &channel["clients"][0];
    assert_eq!(
        (&client["state"], &client["ready_count"], &client["message_count"]),
        (&3.into(), &1.into(), &1.into())
    );

    let text = node.get("/stats").await.text().await.unwrap();
    for line in [
        "Health: OK",
        "Memory:",
        "Topics:",
        "   [t              ] depth: 0     be-depth: 0     msgs: 3        e2e%: ",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
    }
    let channel = "      [c                        ] depth: 2     be-depth: 2     inflt: 1    def: 0 ";
    assert!(text.contains(channel), "{text}");
}

#[tokio::test]
async fn stats_have_every_name_that_nsqds_have() {
    let node = Fixture::new().start().await;
    let _consumer = node.subscribe("t", "c", 1).await;
    let mut producer = node.connect().await;
    producer.publish("t", b"a").await;
    producer.expect_ok().await;
    let stats: Value = node.get("/stats?format=json").await.json().await.unwrap();
    assert_eq!(keys(&stats), ["health", "memory", "producers", "start_time", "topics", "version"]);
    let memory = [
        "gc_pause_usec_100",
        "gc_pause_usec_95",
        "gc_pause_usec_99",
        "gc_total_runs",
        "heap_idle_bytes",
        "heap_in_use_bytes",
        "heap_objects",
        "heap_released_bytes",
        "next_gc_bytes",
    ];
    assert_eq!(keys(&stats["memory"]), memory);
    let in_use = stats["memory"]["heap_in_use_bytes"].as_u64().unwrap();
    assert!(in_use > 100_000, "{in_use}");

    let has_all = |object: &Value, names: &str| {
        let missing: Vec<_> = names.split_whitespace().filter(|name| object.get(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?} are not in {object}");
    };
    let topic = &stats["topics"][0];
    let names =
        "topic_name channels depth backend_depth message_count message_bytes paused e2e_processing_latency";
    has_all(topic, names);
    let channel = &topic["channels"][0];
    has_all(
        channel,
        "channel_name depth backend_depth in_flight_count deferred_count message_count requeue_count timeout_count
         client_count clients paused e2e_processing_latency",
    );
    assert_eq!(keys(&channel["e2e_processing_latency"]), ["count", "percentiles"]);
    let client = "client_id hostname version remote_address state ready_count in_flight_count message_count
        finish_count requeue_count connect_ts sample_rate deflate snappy user_agent topology_zone topology_region
        tls tls_cipher_suite tls_version tls_negotiated_protocol tls_negotiated_protocol_is_mutual";
    has_all(&channel["clients"][0], client);
    has_all(&stats["producers"][0], client);
    assert_eq!(stats["producers"][0]["pub_counts"], serde_json::json!([{ "topic": "t", "count": 1 }]));
    for absent in ["authed", "auth_identity", "auth_identity_url", "pub_counts"] {
        assert!(channel["clients"][0].get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn stats_show_what_is_asked_for() {
    let node = Fixture::new().start().await;
    let ask = async |query: &str| -> Value {
        node.get(&format!("/stats?format=json&{query}")).await.json().await.unwrap()
    };
    assert_eq!(ask("").await["topics"], serde_json::json!([]), "there is none");
    let _consumer = node.subscribe("t", "c", 1).await;
    node.post("/topic/create?topic=bare").await;
    let names = |stats: &Value| -> Vec<String> {
        let topics = stats["topics"].as_array().unwrap().iter();
        topics.map(|topic| topic["topic_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&ask("topic=&channel=").await), ["bare", "t"]);
    assert_eq!(names(&ask("topic=t").await), ["t"]);
    assert_eq!(names(&ask("channel=c").await), ["t"]);
    assert_eq!(ask("topic=bare").await["topics"][0]["channels"], serde_json::json!([]));
    assert_eq!(ask("channel=none").await["topics"], serde_json::json!([]));
    let unknown = ask("topic=none").await;
    assert!(unknown["topics"].is_null() && unknown["producers"].is_null(), "{unknown}");

    for (query, clients, memory) in [
        ("include_clients=true&include_mem=1", true, true),
        ("include_clients=false", false, true),
        ("include_clients=0&include_mem=0", false, false),
        ("include_mem=false", true, false),
        ("include_clients=maybe&include_mem=", true, true),
    ] {
        let stats = ask(query).await;
        let channel = &stats["topics"][1]["channels"][0];
        assert_eq!(channel["clients"].is_array(), clients, "{query}");
        assert_eq!(stats["producers"].is_array(), clients, "{query}");
        assert_eq!(channel["client_count"], 1, "{query}");
        assert_eq!(stats.get("memory").is_some(), memory, "{query}");
    }
    let text = node.get("/stats?include_mem=false&include_clients=false").await.text().await.unwrap();
    assert!(!text.contains("Memory:") && !text.contains("[V2 "), "{text}");
}

#[tokio::test]
async fn metrics_and_readiness_are_served_beside() {
    let node = Fixture::new().start().await;
    node.publish("measured", &["a"]).await;
    let _consumer = node.subscribe("measured", "c", 0).await;
    assert_eq!(node.get("/livez").await.status(), 200);
    assert_eq!(node.get("/readyz").await.status(), 200);
    let text = node.get("/metrics").await.text().await.unwrap();
    for line in [
        r#"punctual_queue_channel_depth{topic="measured",channel="c"} 1"#,
        r#"punctual_queue_published_total{topic="measured"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("punctual_queue_sync_seconds_count"), "{text}");
    node.post("/topic/delete?topic=measured").await;
    let text = node.get("/metrics").await.text().await.unwrap();
    assert!(!text.contains("measured"), "what was deleted is not shown: {text}");
}
