//! What survives a stop, a kill, a torn tail and a broken disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use punctual_queue_node::error::NodeError;
use punctual_queue_node::node::Node;
use punctual_service::bind::BindError;

use crate::failing_disk::FailingDisk;
use crate::fixture::{Fixture, PATIENCE};

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Stopped,
    Killed,
}

/// Publishes, finishes one, leaves one in flight; after the restart the rest is there and nothing else.
async fn check_restart(how: How) {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.publish("t", &["backlog"]).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let backlog = consumer.expect_message("backlog").await;
    node.publish("t", &["a", "b", "c", "d"]).await;
    consumer.finish(&backlog).await;
    let a = consumer.expect_message("a").await;
    consumer.finish(&a).await;
    let b = consumer.expect_message("b").await;
    node.post("/channel/create?topic=t&channel=idle").await;
    node.post("/channel/pause?topic=t&channel=idle").await;
    node.publish("t", &["e"]).await;
    // Finishes and attempts are written a moment after they happen.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = node.node_id;
    match how {
        How::Stopped => node.stop().await.unwrap(),
        How::Killed => node.kill().await,
    }

    let node = fixture.start().await;
    assert_eq!(node.node_id, id);
    assert_eq!(node.channel_stats("t", "c").await["depth"], 4);
    let idle = node.channel_stats("t", "idle").await;
    assert_eq!((&idle["depth"], &idle["paused"]), (&1.into(), &true.into()));
    let mut consumer = node.subscribe("t", "c", 10).await;
    let again = consumer.expect_message("b").await;
    assert_eq!((again.id, again.timestamp_ns, again.attempts), (b.id, b.timestamp_ns, 2));
    for body in ["c", "d", "e"] {
        assert_eq!(consumer.expect_message(body).await.attempts, 1);
    }
    consumer.expect_silence().await;
    node.publish("t", &["f"]).await;
    let f = consumer.expect_message("f").await;
    assert!(f.id > again.id, "numbers go on");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_node_goes_on_where_it_was() {
    check_restart(How::Stopped).await;
}

#[tokio::test]
async fn a_killed_node_goes_on_where_it_was() {
    check_restart(How::Killed).await;
}

#[tokio::test]
async fn every_acknowledged_message_survives_kills_under_load() {
    let fixture = Fixture::new();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let node = fixture.start().await;
        let mut producer = node.connect().await;
        for n in 0..200 {
            producer.publish("t", format!("{round}-{n}").as_bytes()).await;
        }
        for n in 0..100 + round * 10 {
            producer.expect_ok().await;
            acknowledged.push(format!("{round}-{n}"));
        }
        node.kill().await; // with publishes under way
    }
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 2500).await;
    let depth = node.channel_stats("t", "c").await;
    let waiting = depth["depth"].as_u64().unwrap() + depth["in_flight_count"].as_u64().unwrap();
    let mut got = std::collections::HashSet::new();
    for _ in 0..waiting {
        let message = consumer.message().await;
        consumer.finish(&message).await;
        assert!(got.insert(message.body.escape_ascii().to_string()), "twice");
    }
    let lost: Vec<_> = acknowledged.iter().filter(|body| !got.contains(*body)).collect();
    assert_eq!(lost, Vec::<&String>::new());
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_the_rest_is_delivered() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for body in ["a", "b", "torn"] {
        node.publish("t", &[body]).await;
    }
    node.kill().await;
    let segment = fixture.data_path().join("topics/t.topic/log/0000000001.seg");
    let mut content = std::fs::read(&segment).unwrap();
    let torn = content.windows(4).position(|window| window == b"torn").unwrap();
    content.truncate(torn + 2);
    std::fs::write(&segment, content).unwrap();

    let node = fixture.start().await;
    node.publish("t", &["c"]).await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    for body in ["a", "b", "c"] {
        consumer.expect_message(body).await;
    }
    consumer.expect_silence().await;
}

#[tokio::test]
async fn a_flipped_bit_costs_one_record_and_is_counted() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.publish("t", &["a"]).await;
    node.publish("t", &["flipped"]).await;
    node.publish("t", &["b"]).await;
    node.kill().await;
    let segment = fixture.data_path().join("topics/t.topic/log/0000000001.seg");
    let mut content = std::fs::read(&segment).unwrap();
    let flipped = content.windows(7).position(|window| window == b"flipped").unwrap();
    content[flipped] ^= 0x10;
    std::fs::write(&segment, content).unwrap();

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    consumer.expect_message("a").await;
    consumer.expect_message("b").await;
    consumer.expect_silence().await;
    assert_eq!(node.channel_stats("t", "c").await["depth"], 0);
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("punctual_queue_corrupt_records_total"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
}

#[tokio::test]
async fn damaged_checkpoints_cost_time_and_no_messages() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["a", "b"]).await;
    let a = consumer.expect_message("a").await;
    consumer.finish(&a).await;
    consumer.expect_message("b").await;
    node.stop().await.unwrap();
    for name in ["checkpoint", "checkpoint.copy"] {
        std::fs::write(fixture.data_path().join("topics/t.topic").join(name), "nonsense").unwrap();
    }
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    assert_eq!(consumer.expect_message("b").await.attempts, 2);
    consumer.expect_silence().await;
}

#[tokio::test]
async fn a_deferred_publish_stays_deferred() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _channel = node.subscribe("t", "c", 0).await;
    let started = std::time::Instant::now();
    assert_eq!(node.post_body("/pub?topic=t&defer=700", "later").await.0, 200);
    node.kill().await;
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    consumer.expect_message("later").await;
    assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
}

/// A message is put off; after a restart it is there, counted as it was, and not before its time.
async fn check_requeue(how: How) {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["later", "next"]).await;
    let later = consumer.expect_message("later").await;
    let started = std::time::Instant::now();
    consumer.requeue(&later, 1500).await;
    let next = consumer.expect_message("next").await;
    consumer.finish(&next).await;
    node.wait_for("t", "c", "in_flight_count", 0).await;
    tokio::time::sleep(Duration::from_millis(20)).await; // it is written a moment after it happens
    match how {
        How::Stopped => node.stop().await.unwrap(),
        How::Killed => node.kill().await,
    }

    let node = fixture.start().await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["deferred_count"], &stats["depth"]), (&1.into(), &0.into()));
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["other"]).await;
    let other = consumer.expect_message("other").await;
    consumer.finish(&other).await;
    let again = consumer.expect_message("later").await;
    assert!(started.elapsed() >= Duration::from_millis(1500), "{:?}", started.elapsed());
    assert_eq!((again.id, again.attempts), (later.id, 2));
}

#[tokio::test]
async fn a_requeued_message_is_not_delivered_before_its_time_by_a_stopped_node() {
    check_requeue(How::Stopped).await;
}

#[tokio::test]
async fn a_requeued_message_is_not_delivered_before_its_time_by_a_killed_node() {
    check_requeue(How::Killed).await;
}

#[tokio::test]
async fn what_was_deleted_stays_deleted() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.publish("gone", &["m"]).await;
    node.publish("t", &["m"]).await;
    drop(node.subscribe("t", "gone", 0).await);
    drop(node.subscribe("t", "kept", 0).await);
    node.post("/topic/delete?topic=gone").await;
    node.post("/channel/delete?topic=t&channel=gone").await;
    node.kill().await;
    let node = fixture.start().await;
    let stats: serde_json::Value = node.get("/stats?format=json").await.json().await.unwrap();
    assert_eq!(stats["topics"].as_array().unwrap().len(), 1);
    assert!(node.channel_stats("t", "gone").await.is_null());
    assert_eq!(node.channel_stats("t", "kept").await["client_count"], 0);
}

#[tokio::test]
async fn a_second_node_on_the_same_directory_is_refused() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let refused = Node::open(fixture.options()).await.unwrap_err();
    assert!(matches!(refused, NodeError::Lock(_)), "{refused:?}");
    assert!(refused.to_string().contains("is in use by process"), "{refused}");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_directory_is_a_new_node() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let first = node.node_id;
    node.stop().await.unwrap();
    std::fs::remove_dir_all(fixture.data_path()).unwrap();
    assert_ne!(fixture.start().await.node_id, first);
}

#[tokio::test]
async fn an_open_port_without_authentication_is_refused() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.tcp_address = ([0, 0, 0, 0], 0).into();
    let refused = Node::open(options.clone()).await.unwrap_err();
    assert!(matches!(refused, NodeError::Bind(BindError::Exposed { flag: "--tcp-address", .. })));
    options.allow_unauthenticated = true;
    fixture.start_with(options).await.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_the_node_ends() {
    let fixture = Fixture::new();
    let disk = Arc::new(FailingDisk::default());
    let node = fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap());
    node.publish("t", &["good"]).await;
    let mut producer = node.connect().await;
    disk.sync_fails.store(true, Ordering::SeqCst);
    producer.publish("t", b"lost?").await;
    producer.expect_error("E_PUB_FAILED PUB failed the disk failed to sync; nothing more is accepted").await;
    producer.expect_end().await;
    assert!(matches!(node.ended().await, Err(NodeError::SyncFailed(_))));
}

#[tokio::test]
async fn a_full_disk_refuses_publishes_and_lets_consumers_go_on() {
    let fixture = Fixture::new();
    let disk = Arc::new(FailingDisk::default());
    let node = fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap());
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["a", "b"]).await;
    disk.full.store(true, Ordering::SeqCst);
    let mut producer = node.connect().await;
    producer.publish("t", &vec![b'x'; 500_000]).await; // more than the room kept for it
    producer.expect_error("E_PUB_FAILED PUB failed the disk refused the write: no storage space").await;
    producer.expect_end().await;
    let refused = node.post_body("/pub?topic=t", vec![b'x'; 500_000]).await;
    assert_eq!(refused, (503, r#"{"message":"DISK_FULL"}"#.to_owned()));
    assert_eq!(node.get("/ping").await.status(), 500);
    let a = consumer.expect_message("a").await;
    consumer.finish(&a).await;
    let b = consumer.expect_message("b").await;
    disk.full.store(false, Ordering::SeqCst);
    node.publish("t", &["c"]).await;
    assert_eq!(node.get("/ping").await.status(), 200, "a publish went well");
    consumer.finish(&b).await;
    consumer.expect_message("c").await;
}

#[tokio::test]
async fn a_node_whose_disk_has_room_again_is_well_though_nobody_publishes() {
    let fixture = Fixture::new();
    let disk = Arc::new(FailingDisk::default());
    let node = fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap());
    node.publish("t", &["a"]).await;
    disk.full.store(true, Ordering::SeqCst);
    assert_eq!(node.post_body("/pub?topic=t", vec![b'x'; 500_000]).await.0, 503);
    let pinged_until = async |status: u16| {
        let answered = async {
            while node.get("/ping").await.status() != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("/ping is not {status}"));
    };
    // It is tried while the disk is full, too, and says so.
    disk.wait_for_a_refusal(async || drop(node.get("/ping").await)).await;
    pinged_until(500).await;
    disk.full.store(false, Ordering::SeqCst);
    pinged_until(200).await;
    assert!(!fixture.data_path().join("probe").exists());
}
