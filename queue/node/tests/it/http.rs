//! The HTTP interface.

use crate::fixture::Fixture;

#[tokio::test]
async fn endpoints_answer_as_nsqd_does() {
    let node = Fixture::new().start().await;
    let error = |code: &str| format!(r#"{{"message":"{code}"}}"#);
    let big = "x".repeat(1024 * 1024 + 1);
    let cases: Vec<(&str, &str, u16, String)> = vec![
        ("/pub?topic=t", "m", 200, "OK".into()),
        ("/pub?topic=t&defer=5", "m", 200, "OK".into()),
        ("/pub?topic=t&defer=-1", "m", 400, error("INVALID_DEFER")),
        ("/pub?topic=t&defer=3600001", "m", 400, error("INVALID_DEFER")),
        ("/pub?topic=t", "", 400, error("MSG_EMPTY")),
        ("/pub", "m", 400, error("MISSING_ARG_TOPIC")),
        ("/pub?topic=b@d", "m", 400, error("INVALID_TOPIC")),
        ("/pub?topic=%zz", "m", 400, error("INVALID_REQUEST")),
        ("/pub?topic=t", &big, 413, error("MSG_TOO_BIG")),
        ("/mpub?topic=t", "a\n\nb\n", 200, "OK".into()),
        ("/mpub?topic=t", "", 200, "OK".into()),
        ("/mpub?topic=t&binary=true", "\0\0\0\x01\0\0\0\x01x", 200, "OK".into()),
        ("/mpub?topic=t&binary=true", "\0\0\0\x01\0\0\0\x09x", 413, error("BAD_MESSAGE")),
        ("/mpub?topic=t&binary=true", "\0\0\0\0", 413, error("BAD_BODY")),
        ("/topic/create?topic=new", "", 200, String::new()),
        ("/topic/create?topic=new", "", 200, String::new()),
        ("/topic/create", "", 400, error("MISSING_ARG_TOPIC")),
        ("/topic/create?topic=b@d", "", 400, error("INVALID_TOPIC")),
        ("/topic/pause?topic=none", "", 404, error("TOPIC_NOT_FOUND")),
        ("/topic/empty?topic=none", "", 404, error("TOPIC_NOT_FOUND")),
        ("/topic/delete?topic=b@d", "", 404, error("TOPIC_NOT_FOUND")),
        ("/channel/create?topic=new&channel=c", "", 200, String::new()),
        ("/channel/create?topic=none&channel=c", "", 404, error("TOPIC_NOT_FOUND")),
        ("/channel/create?topic=b@d&channel=c", "", 400, error("INVALID_ARG_TOPIC")),
        ("/channel/create?topic=new", "", 400, error("MISSING_ARG_CHANNEL")),
        ("/channel/create?topic=new&channel=b@d", "", 400, error("INVALID_ARG_CHANNEL")),
        ("/channel/pause?topic=new&channel=none", "", 404, error("CHANNEL_NOT_FOUND")),
        ("/channel/empty?topic=new&channel=c", "", 200, String::new()),
        ("/ping", "", 405, error("METHOD_NOT_ALLOWED")),
        ("/nowhere", "", 404, error("NOT_FOUND")),
    ];
    for (path, body, status, answer) in cases {
        assert_eq!(node.post_body(path, body.to_owned()).await, (status, answer), "{path}");
    }
}

#[tokio::test]
async fn ping_is_exactly_ok_and_objects_carry_nsqs_header() {
    let node = Fixture::new().start().await;
    let ping = node.get("/ping").await;
    assert!(!ping.headers().contains_key("x-nsq-content-type"));
    assert_eq!(ping.text().await.unwrap(), "OK");

    let info = node.get("/info").await;
    assert_eq!(info.headers()["x-nsq-content-type"], "nsq; version=1.0");
    let info: serde_json::Value = info.json().await.unwrap();
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

    let stats: serde_json::Value = node.get("/stats?format=json").await.json().await.unwrap();
    let topic = &stats["topics"][0];
    assert_eq!(stats["health"], "OK");
    assert_eq!((&topic["topic_name"], &topic["message_count"]), (&"t".into(), &3.into()));
    assert_eq!((&topic["depth"], &topic["message_bytes"]), (&0.into(), &3.into()));
    let channel = &topic["channels"][0];
    assert_eq!((&channel["depth"], &channel["in_flight_count"]), (&2.into(), &1.into()));
    let client = &channel["clients"][0];
    assert_eq!(
        (&client["state"], &client["ready_count"], &client["message_count"]),
        (&3.into(), &1.into(), &1.into())
    );

    let text = node.get("/stats").await.text().await.unwrap();
    assert!(text.contains("   [t              ] depth: 0     be-depth: 0     msgs: 3 "), "{text}");
    assert!(
        text.contains("      [c                        ] depth: 2     be-depth: 2     inflt: 1    def: 0 "),
        "{text}"
    );

    let unknown: serde_json::Value = node.get("/stats?format=json&topic=none").await.json().await.unwrap();
    assert!(unknown["topics"].is_null());
    let bare: serde_json::Value =
        node.get("/stats?format=json&include_clients=false").await.json().await.unwrap();
    assert!(bare["topics"][0]["channels"][0]["clients"].is_null());
    assert_eq!(bare["topics"][0]["channels"][0]["client_count"], 1);
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
}
