//! Bytes that are not what was written: noticed, stepped over, kept, reported and repaired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use punctual_queue_log::committer::{Commit, Committer, Observer};
use punctual_queue_log::disk::RealDisk;
use punctual_queue_log::error::SyncFailure;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;
use punctual_queue_node::check::{self, CheckpointHealth};
use punctual_queue_node::error::NodeError;

use crate::fixture::{Fixture, PATIENCE, Running};

fn topic_dir(fixture: &Fixture) -> PathBuf {
    fixture.data_path().join("topics/t.topic")
}

fn segment(fixture: &Fixture, number: u32) -> PathBuf {
    topic_dir(fixture).join(format!("log/{number:010}.seg"))
}

/// Flips one bit of the first place in a file where `needle` stands.
fn flip(path: &Path, needle: &str) {
    let mut content = std::fs::read(path).unwrap();
    let at = content.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    content[at] ^= 0x10;
    std::fs::write(path, content).unwrap();
}

/// Publishes numbered messages, enough to fill three segments; each body says its number.
async fn publish_three_segments(node: &Running) -> Vec<String> {
    let bodies: Vec<_> =
        (100..250).map(|number| format!("message {number} {}", "x".repeat(30_000))).collect();
    let mut producer = node.connect().await;
    for body in &bodies {
        producer.publish("t", body.as_bytes()).await;
        producer.expect_ok().await; // one at a time, so that each gets a record of its own
    }
    bodies
}

/// A stopped node whose topic fills some segments; what was published, and the last segment's number.
async fn stopped_with_segments() -> (Fixture, Vec<String>, u32) {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _channel = node.subscribe("t", "c", 0).await;
    let bodies = publish_three_segments(&node).await;
    node.stop().await.unwrap();
    let last = (1..).take_while(|number| segment(&fixture, *number).exists()).last().unwrap();
    (fixture, bodies, last)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let reached = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("not reached: {what}"));
}

async fn corrupt_count(node: &Running) -> String {
    let metrics = node.get("/metrics").await.text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("punctual_queue_corrupt_records_total"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_damaged_segment_is_counted_once_stepped_over_and_kept_when_all_is_finished() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let bodies = publish_three_segments(&node).await;
    let path = segment(&fixture, 1);
    flip(&path, "message 110");
    let damaged = std::fs::read(&path).unwrap();
    for channel in ["c", "d"] {
        node.post(&format!("/channel/create?topic=t&channel={channel}")).await;
    }
    for channel in ["c", "d"] {
        let mut consumer = node.subscribe("t", channel, 10).await;
        let expected = if channel == "c" { &bodies[..] } else { &[] };
        for body in expected.iter().filter(|body| !body.starts_with("message 110")) {
            let message = consumer.expect_message(body).await;
            consumer.finish(&message).await;
        }
        consumer.expect_silence().await;
    }
    assert_eq!(corrupt_count(&node).await, "1");
    let aside = path.with_extension("damaged");
    until("the segment is set aside", || aside.exists() && !path.exists()).await;
    assert_eq!(std::fs::read(aside).unwrap(), damaged);
    node.stop().await.unwrap();

    // Known from the first moment on, and nothing to repair: what could be read was delivered.
    let reports = check::check(&fixture.data_path()).unwrap();
    assert!(!reports[0].is_damaged());
    assert_eq!(reports[0].aside.len(), 1);
}

#[tokio::test]
async fn the_files_of_a_running_node_are_not_looked_at() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.publish("t", &["a"]).await;
    assert!(matches!(check::check(&fixture.data_path()), Err(NodeError::Lock(_))));
    assert!(matches!(check::repair(&fixture.data_path()), Err(NodeError::Lock(_))));
    node.stop().await.unwrap();
    let reports = check::check(&fixture.data_path()).unwrap();
    assert_eq!((reports.len(), reports[0].messages, reports[0].is_damaged()), (1, 1, false));
    assert!(matches!(check::check(fixture.data_path().parent().unwrap()), Err(NodeError::Io { .. })));
}

#[tokio::test]
async fn repaired_files_are_clean_and_everything_else_is_delivered() {
    let (fixture, bodies, last) = stopped_with_segments().await;
    assert!(last >= 3);
    flip(&segment(&fixture, 1), "message 110");
    let mut in_second = std::fs::read(segment(&fixture, 2)).unwrap();
    in_second[..8].fill(0xff); // of its header
    std::fs::write(segment(&fixture, 2), in_second).unwrap();
    let in_last = std::fs::read(segment(&fixture, last)).unwrap();
    let at = in_last.windows(8).position(|window| window == b"message ").unwrap();
    let first_of_last = std::str::from_utf8(&in_last[at..at + 11]).unwrap().to_owned();
    flip(&segment(&fixture, last), &first_of_last);

    let before = check::check(&fixture.data_path()).unwrap();
    assert!(before[0].is_damaged());
    assert_eq!(before[0].messages, bodies.len() as u64 - 2);
    assert_eq!(before[0].checkpoint, CheckpointHealth::Sound);
    let damaged: Vec<_> =
        before[0].segments.iter().filter(|s| !s.damage.is_empty()).map(|s| s.segment.0).collect();
    assert_eq!(damaged, [1, 2, last]);
    let repairs = check::repair(&fixture.data_path()).unwrap();
    assert_eq!(repairs.len(), 3);
    assert!(repairs.iter().all(|repair| repair.kept.as_ref().unwrap().exists() && repair.file.exists()));
    let after = check::check(&fixture.data_path()).unwrap();
    assert!(!after[0].is_damaged(), "{:?}", after[0]);
    assert_eq!(after[0].messages, before[0].messages);

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    let whole = bodies
        .iter()
        .filter(|body| !body.starts_with("message 110") && !body.starts_with(first_of_last.as_str()));
    for body in whole {
        let message = consumer.expect_message(body).await;
        consumer.finish(&message).await;
    }
    node.publish("t", &["next"]).await;
    consumer.expect_message("next").await;
    assert_eq!(corrupt_count(&node).await, "0");
}

#[tokio::test]
async fn damaged_checkpoints_are_set_aside_by_a_repair() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _channel = node.subscribe("t", "c", 0).await;
    node.publish("t", &["a"]).await;
    node.stop().await.unwrap();
    let [checkpoint, copy] = ["checkpoint", "checkpoint.copy"].map(|name| topic_dir(&fixture).join(name));
    flip(&checkpoint, "announced");
    flip(&copy, "announced");
    let reports = check::check(&fixture.data_path()).unwrap();
    assert!(reports[0].is_damaged());
    assert_eq!(reports[0].checkpoint, CheckpointHealth::Damaged);
    let repairs = check::repair(&fixture.data_path()).unwrap();
    assert!(
        repairs.len() == 2 && repairs.iter().all(|repair| repair.kept.as_ref().unwrap().exists()),
        "{repairs:?}"
    );
    let reports = check::check(&fixture.data_path()).unwrap();
    assert_eq!(reports[0].checkpoint, CheckpointHealth::Missing);
    assert!(!reports[0].is_damaged());
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    consumer.expect_message("a").await;
}

/// Damages one of the two checkpoints after the segment went in which the channels were made; all is still there, and
/// soon there are two again.
async fn check_one_damaged(damaged: &str) {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.post("/topic/create?topic=t").await;
    for channel in ["c", "paused"] {
        node.post(&format!("/channel/create?topic=t&channel={channel}")).await;
    }
    node.post("/channel/pause?topic=t&channel=paused").await;
    let bodies = publish_three_segments(&node).await;
    node.post("/channel/empty?topic=t&channel=paused").await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let (finished, kept) = bodies.split_at(140);
    for body in finished {
        let message = consumer.expect_message(body).await;
        consumer.finish(&message).await;
    }
    until("the first segment is gone", || !segment(&fixture, 1).exists()).await;
    node.publish("t", &["for both"]).await;
    node.kill().await;

    let checkpoint = topic_dir(&fixture).join(damaged);
    flip(&checkpoint, "announced");
    let reports = check::check(&fixture.data_path()).unwrap();
    assert_eq!((reports[0].checkpoint, reports[0].is_damaged()), (CheckpointHealth::OneDamaged, true));
    let node = fixture.start().await;
    let paused = node.channel_stats("t", "paused").await;
    assert_eq!((&paused["paused"], &paused["depth"]), (&true.into(), &1.into()));
    let is_sound = || {
        let content = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        content.contains("announced")
    };
    until("the damaged one is replaced", is_sound).await;
    let mut consumer = node.subscribe("t", "c", 100).await;
    let mut missing: Vec<_> = kept.iter().map(String::as_str).chain(["for both"]).collect();
    while !missing.is_empty() {
        let message = consumer.message().await; // a finish that a kill outran comes back
        let body = std::str::from_utf8(&message.body).unwrap();
        missing.retain(|missing| *missing != body);
        consumer.finish(&message).await;
    }
    node.stop().await.unwrap();
    assert!(!check::check(&fixture.data_path()).unwrap()[0].is_damaged());
}

#[tokio::test]
async fn a_damaged_checkpoint_costs_no_channel_and_no_message() {
    check_one_damaged("checkpoint").await;
}

#[tokio::test]
async fn a_damaged_copy_of_a_checkpoint_costs_nothing() {
    check_one_damaged("checkpoint.copy").await;
}

#[tokio::test]
async fn a_flipped_bit_in_a_header_is_found_and_put_right() {
    let (fixture, bodies, last) = stopped_with_segments().await;
    let whole: Vec<_> = (1..=last).map(|number| std::fs::read(segment(&fixture, number)).unwrap()).collect();
    for number in [1, 2, last] {
        let mut content = whole[number as usize - 1].clone();
        content[5 * number as usize] ^= 0x40;
        std::fs::write(segment(&fixture, number), content).unwrap();
    }
    let reports = check::check(&fixture.data_path()).unwrap();
    assert!(reports[0].is_damaged());
    assert_eq!(reports[0].messages, bodies.len() as u64);
    let damaged: Vec<_> = reports[0].segments.iter().flat_map(|segment| &segment.damage).collect();
    assert_eq!(
        damaged.iter().map(|d| (d.segment.0, d.from, d.to)).collect::<Vec<_>>(),
        [(1, 0, 32), (2, 0, 32), (last, 0, 32)]
    );
    assert_eq!(check::repair(&fixture.data_path()).unwrap().len(), 3);
    for (number, whole) in (1..).zip(&whole) {
        assert_eq!(std::fs::read(segment(&fixture, number)).unwrap(), *whole, "segment {number}");
    }
    assert!(!check::check(&fixture.data_path()).unwrap()[0].is_damaged());
    assert!(check::repair(&fixture.data_path()).unwrap().is_empty());
}

#[tokio::test]
async fn a_topic_without_a_log_is_said_and_the_others_are_looked_at() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    node.publish("other", &["a"]).await;
    let _channel = node.subscribe("t", "c", 0).await;
    node.publish("t", &["lost"]).await;
    node.stop().await.unwrap();
    std::fs::remove_dir_all(topic_dir(&fixture).join("log")).unwrap();
    std::fs::create_dir(fixture.data_path().join("topics/unmade.topic")).unwrap();

    let reports = check::check(&fixture.data_path()).unwrap();
    let seen: Vec<_> =
        reports.iter().map(|r| (r.topic.as_str(), r.has_log, r.messages, r.is_damaged())).collect();
    assert_eq!(seen, [("other", true, 1, false), ("t", false, 0, true), ("unmade", false, 0, false)]);
    let repairs = check::repair(&fixture.data_path()).unwrap();
    assert_eq!(
        repairs.iter().map(|repair| repair.topic.as_ref().unwrap().as_str()).collect::<Vec<_>>(),
        ["t"]
    );
    let reports = check::check(&fixture.data_path()).unwrap();
    assert!(!reports.iter().any(check::TopicReport::is_damaged), "{reports:?}");
    fixture.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_published_after_a_log_was_lost_is_not_lost_too() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _channel = node.subscribe("t", "c", 0).await;
    publish_three_segments(&node).await;
    node.stop().await.unwrap();
    std::fs::remove_dir_all(topic_dir(&fixture).join("log")).unwrap();

    let node = fixture.start().await;
    assert_eq!(node.channel_stats("t", "c").await["channel_name"], "c");
    node.publish("t", &["a", "b"]).await;
    node.kill().await;
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    for body in ["a", "b"] {
        let message = consumer.expect_message(body).await;
        consumer.finish(&message).await;
    }
    consumer.expect_silence().await;
}

/// Appends a record of a kind that nothing knows to the log of a stopped node's topic.
fn append_unknown(fixture: &Fixture) {
    #[derive(Debug)]
    struct Nobody;
    impl Observer for Nobody {
        fn committed(&self, _: &Commit) {}
        fn failed(&self, _: &SyncFailure) {}
    }
    let committer = Committer::start(Arc::new(RealDisk), None, Arc::new(Nobody)).unwrap();
    let dir = topic_dir(fixture).join("log");
    let (log, _) = Log::open(&dir, LogOptions::default(), &committer, Position::START).unwrap();
    let (done, appended) = std::sync::mpsc::channel();
    let complete = move |result| done.send(result).unwrap();
    log.append(Record::from(Bytes::from_static(b"\xee later")), Durability::Synced, Box::new(complete));
    appended.recv().unwrap().unwrap();
}

#[tokio::test]
async fn records_of_a_later_release_are_no_damage_and_outlive_a_repair() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _channel = node.subscribe("t", "c", 0).await;
    node.publish("t", &["first", "second"]).await;
    node.stop().await.unwrap();
    append_unknown(&fixture);
    let look = || {
        let reports = check::check(&fixture.data_path()).unwrap();
        (reports[0].unknown_records, reports[0].is_damaged())
    };
    assert_eq!(look(), (1, false));
    assert!(check::repair(&fixture.data_path()).unwrap().is_empty());
    flip(&segment(&fixture, 1), "first");
    assert_eq!(look(), (1, true));
    assert_eq!(check::repair(&fixture.data_path()).unwrap().len(), 1);
    assert_eq!(look(), (1, false));
}
