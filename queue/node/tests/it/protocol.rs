//! Commands and their answers.

use crate::fixture::{Client, Fixture, Running};

/// Sends `commands` on a fresh connection, expects the answers, and that the node then keeps or closes it.
async fn check(node: &Running, commands: &[u8], answers: &[&str], closes: bool) {
    let mut client = node.connect().await;
    client.send(commands).await;
    for answer in answers {
        if answer.starts_with("E_") {
            client.expect_error(answer).await;
        } else {
            client.expect_response(answer).await;
        }
    }
    if closes {
        client.expect_end().await;
    } else {
        client.publish("alive", b"x").await;
        client.expect_ok().await;
    }
}

type Outcome = (&'static [&'static str], bool);

/// These answers, and the connection stays.
fn keeps(answers: &'static [&'static str]) -> Outcome {
    (answers, false)
}

/// These answers, and the connection is closed.
fn closes(answers: &'static [&'static str]) -> Outcome {
    (answers, true)
}

#[tokio::test]
async fn every_command_is_answered_as_nsq_does() {
    let node = Fixture::new().start().await;
    let id = "0123456789abcdef";
    let cases: Vec<(String, Outcome)> = vec![
        ("NOP\n".into(), keeps(&[])),
        ("NOP\r\n".into(), keeps(&[])),
        ("PUB t\n\0\0\0\x01x".into(), keeps(&["OK"])),
        ("MPUB t\n\0\0\0\x0e\0\0\0\x02\0\0\0\x01x\0\0\0\x01y".into(), keeps(&["OK"])),
        ("DPUB t 1\n\0\0\0\x01x".into(), keeps(&["OK"])),
        ("PUB t\n\0\0\0\x01xPUB t\n\0\0\0\x01yPUB u\n\0\0\0\x01z".into(), keeps(&["OK", "OK", "OK"])),
        ("SUB s c\nRDY 1\n".into(), keeps(&["OK"])),
        ("SUB s c\nRDY\n".into(), keeps(&["OK"])),
        ("SUB s c\nCLS\n".into(), keeps(&["OK", "CLOSE_WAIT"])),
        (
            format!("SUB s c\nFIN {id}\n"),
            keeps(&["OK", "E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"]),
        ),
        (
            format!("SUB s c\nREQ {id} 5\n"),
            keeps(&["OK", "E_REQ_FAILED REQ 0123456789abcdef failed ID not in flight"]),
        ),
        (
            format!("SUB s c\nTOUCH {id}\n"),
            keeps(&["OK", "E_TOUCH_FAILED TOUCH 0123456789abcdef failed ID not in flight"]),
        ),
        ("BOGUS\n".into(), closes(&["E_INVALID invalid command BOGUS"])),
        ("\n".into(), closes(&["E_INVALID invalid command"])),
        ("PUB\n".into(), closes(&["E_INVALID PUB insufficient number of parameters"])),
        ("PUB b@d\n\0\0\0\x01x".into(), closes(&["E_BAD_TOPIC PUB topic name \"b@d\" is not valid"])),
        ("PUB t\n\0\0\0\0".into(), closes(&["E_BAD_MESSAGE PUB invalid message body size 0"])),
        ("PUB t\n\0\x10\0\x01".into(), closes(&["E_BAD_MESSAGE PUB message too big 1048577 > 1048576"])),
        ("MPUB t\n\0\0\0\x04\0\0\0\0".into(), closes(&["E_BAD_BODY MPUB invalid message count 0"])),
        ("DPUB t x\n".into(), closes(&["E_INVALID DPUB could not parse timeout x"])),
        ("DPUB t 3600001\n".into(), closes(&["E_INVALID DPUB timeout 3600001 out of range 0-3600000"])),
        ("SUB t\n".into(), closes(&["E_INVALID SUB insufficient number of parameters"])),
        ("SUB t b@d\n".into(), closes(&["E_BAD_CHANNEL SUB channel name \"b@d\" is not valid"])),
        ("SUB s c\nSUB s c\n".into(), closes(&["OK", "E_INVALID cannot SUB in current state"])),
        ("RDY 1\n".into(), closes(&["E_INVALID cannot RDY in current state"])),
        ("SUB s c\nRDY 2501\n".into(), closes(&["OK", "E_INVALID RDY count 2501 out of range 0-2500"])),
        ("SUB s c\nFIN short\n".into(), closes(&["OK", "E_INVALID invalid message ID"])),
        (format!("FIN {id}\n"), closes(&["E_INVALID cannot FIN in current state"])),
        ("CLS\n".into(), closes(&["E_INVALID cannot CLS in current state"])),
        (
            "SUB s c\nCLS\nCLS\n".into(),
            closes(&["OK", "CLOSE_WAIT", "E_INVALID cannot CLS in current state"]),
        ),
        ("AUTH\n\0\0\0\x01x".into(), closes(&["E_AUTH_DISABLED AUTH disabled"])),
        ("IDENTIFY\n\0\0\0\x02{}".into(), keeps(&["OK"])),
        ("IDENTIFY\n\0\0\0\x01[".into(), closes(&["E_BAD_BODY IDENTIFY failed to decode JSON body"])),
        (
            "IDENTIFY\n\0\0\0\x1b{\"heartbeat_interval\": 100}".into(),
            closes(&["E_BAD_BODY IDENTIFY heartbeat interval (100) is invalid"]),
        ),
        (
            "IDENTIFY\n\0\0\0\x1a{\"heartbeat_interval\": -1}SUB s c\n".into(),
            closes(&["OK", "E_INVALID cannot SUB with heartbeats disabled"]),
        ),
        // A fatal error ends it: what follows is not carried out, what came before is answered first.
        (
            "PUB t\n\0\0\0\x01xBOGUS\nPUB t\n\0\0\0\x01y".into(),
            closes(&["OK", "E_INVALID invalid command BOGUS"]),
        ),
    ];
    for (commands, (answers, closes)) in cases {
        check(&node, commands.as_bytes(), answers, closes).await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn identify_answers_every_key_and_the_node_id_only_when_asked() {
    let node = Fixture::new().start().await;
    let mut client = node.connect().await;
    let identify =
        |json: &str| [b"IDENTIFY\n", &(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat();
    client.send(&identify(r#"{"feature_negotiation":true,"msg_timeout":2000}"#)).await;
    client
        .expect_response(concat!(
            r#"{\"max_rdy_count\":2500,\"version\":\"1.3.0\",\"max_msg_timeout\":900000,\"msg_timeout\":2000,"#,
            r#"\"tls_v1\":false,\"deflate\":false,\"deflate_level\":6,\"max_deflate_level\":6,\"snappy\":false,"#,
            r#"\"sample_rate\":0,\"auth_required\":false,\"output_buffer_size\":16384,\"output_buffer_timeout\":250,"#,
            r#"\"topology_region\":\"\",\"topology_zone\":\"\"}"#,
        ))
        .await;

    let mut client = node.connect().await;
    client.send(&identify(r#"{"feature_negotiation":true,"node_id":true}"#)).await;
    match client.next().await {
        Some(punctual_queue_wire::frame::Frame::Response(json)) => {
            let answer: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(answer["node_id"], node.node_id.to_string());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_is_refused_and_disturbs_nobody() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\0\0\0", b"  V1IDENTIFY\n"] {
        let mut client = node.dial().await;
        client.send(garbage).await;
        client.expect_error("E_BAD_PROTOCOL").await;
        client.expect_end().await;
    }
    let mut client = node.connect().await;
    client.send(&[b'x'; 20_000]).await;
    client.expect_end().await;
    node.publish("t", &["m"]).await;
    consumer.expect_message("m").await;
}

#[tokio::test]
async fn a_silent_client_gets_a_heartbeat_and_is_closed_after_two_intervals() {
    let node = Fixture::new().start().await;
    let mut client = node.connect().await;
    client.send(b"IDENTIFY\n\0\0\0\x1c{\"heartbeat_interval\": 1000}").await;
    client.expect_ok().await;
    let started = std::time::Instant::now();
    client.expect_response("_heartbeat_").await;
    assert!(started.elapsed().as_millis() >= 900, "{:?}", started.elapsed());
    while client.next().await.is_some() {}
    let elapsed = started.elapsed().as_millis();
    assert!((1900..4000).contains(&elapsed), "{elapsed} ms");
}

#[tokio::test]
async fn a_client_that_answers_heartbeats_stays() {
    let node = Fixture::new().start().await;
    let mut client = node.connect().await;
    client.send(b"IDENTIFY\n\0\0\0\x1c{\"heartbeat_interval\": 1000}").await;
    client.expect_ok().await;
    for _ in 0..3 {
        client.expect_response("_heartbeat_").await;
        client.send(b"NOP\n").await;
    }
    client.publish("t", b"x").await;
    client.expect_ok().await;
}

#[tokio::test]
async fn thousands_of_pipelined_publishes_are_answered_in_order() {
    let node = Fixture::new().start().await;
    let mut client = node.connect().await;
    let mut expected = Vec::new();
    for n in 0..3000 {
        let body = format!("message {n}");
        client.publish(if n % 7 == 0 { "other" } else { "t" }, body.as_bytes()).await;
        if n % 7 != 0 {
            expected.push(body);
        }
    }
    for _ in 0..3000 {
        client.expect_ok().await;
    }
    let mut consumer = node.subscribe("t", "c", 2500).await;
    for body in &expected {
        let message = consumer.expect_message(body).await;
        consumer.finish(&message).await;
    }
    consumer.expect_silence().await;
}

#[tokio::test]
async fn no_more_consumers_than_allowed() {
    let fixture = Fixture::new();
    let node = fixture
        .start_with(punctual_queue_node::options::NodeOptions {
            max_channel_consumers: 1,
            ..fixture.options()
        })
        .await;
    let _first = node.subscribe("t", "c", 0).await;
    check(&node, b"SUB t c\n", &["E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 1"], true).await;
}

#[tokio::test]
async fn a_socket_file_serves_like_a_port() {
    let fixture = Fixture::new();
    let (tcp, http) = (fixture.data_path().join("../tcp.sock"), fixture.data_path().join("../http.sock"));
    std::fs::create_dir_all(fixture.data_path()).unwrap();
    let options = punctual_queue_node::options::NodeOptions {
        tcp_address: punctual_service::socket::Address::Unix(tcp.clone()),
        http_address: punctual_service::socket::Address::Unix(http.clone()).into(),
        ..fixture.options()
    };
    let node = fixture.start_with(options).await;
    let mut client = Client::on(tokio::net::UnixStream::connect(&tcp).await.unwrap());
    client.send(b"  V2SUB t c\nRDY 1\n").await;
    client.expect_ok().await;
    client.publish("t", b"m").await;
    let mut seen = [format!("{:?}", client.next().await), format!("{:?}", client.next().await)];
    seen.sort();
    assert!(seen[0].contains("Message") && seen[1].contains("OK"), "{seen:?}");

    let client = reqwest::Client::builder().unix_socket(http.clone()).build().unwrap();
    let info = client.get("http://node/info").send().await.unwrap();
    let info: serde_json::Value = info.json().await.unwrap();
    assert_eq!((&info["tcp_port"], &info["http_port"]), (&serde_json::json!(-1), &serde_json::json!(-1)));
    let stats = client.get("http://node/stats?format=json").send().await.unwrap();
    let stats: serde_json::Value = stats.json().await.unwrap();
    assert_eq!(stats["topics"][0]["channels"][0]["clients"][0]["remote_address"], "@");
    node.stop().await.unwrap();
    assert!(!tcp.exists() && !http.exists(), "they go with the node");
}

#[tokio::test]
async fn messages_may_be_as_long_as_is_allowed() {
    let fixture = Fixture::new();
    // Longer than a segment of the log is otherwise.
    let options = punctual_queue_node::options::NodeOptions {
        max_msg_size: 80 << 20,
        max_body_size: 90 << 20,
        ..fixture.options()
    };
    let long = vec![b'x'; 80 << 20];
    let node = fixture.start_with(options.clone()).await;
    let mut client = node.connect().await;
    client.publish("t", &long).await;
    client.publish("t", b"short").await;
    client.expect_ok().await;
    client.expect_ok().await;
    assert_eq!(node.post_body("/mpub?topic=t", long.clone()).await.0, 200);
    node.kill().await;

    let node = fixture.start_with(options).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    for length in [long.len(), 5, long.len()] {
        let message = consumer.message().await;
        assert_eq!(message.body.len(), length);
        consumer.finish(&message).await;
    }
    node.wait_for("t", "c", "in_flight_count", 0).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_topic_of_an_mpub_is_made_before_its_messages_are_there() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut client = node.connect().await;
    client.send(b"MPUB t\n").await;
    let made = async {
        while node.post("/topic/pause?topic=t").await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(crate::fixture::PATIENCE, made).await.unwrap();
    client.send(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, b'm']).await;
    client.expect_ok().await;
    node.stop().await.unwrap();
}
