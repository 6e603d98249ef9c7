//! How long messages stay, and how much of the disk they take.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fixture::{Client, Fixture, Running};
use crate::process::NodeProcess;

const MIB: u64 = 1024 * 1024;

fn log_of(fixture: &Fixture) -> PathBuf {
    fixture.data_path().join("topics/t.topic/log")
}

fn segments(dir: &Path) -> usize {
    names(dir).iter().filter(|name| name.ends_with(".seg")).count()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Bytes that the files of a directory take on the disk.
fn disk_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    // A file may go between being listed and being looked at.
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.blocks() * 512)).sum()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let reached = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(40), reached).await.is_ok(), "not reached: {what}");
}

/// The metrics, once `line` is among them.
async fn metrics_with(node: &Running, line: &str) -> String {
    let reached = async {
        loop {
            let metrics = node.get("/metrics").await.text().await.unwrap();
            if metrics.contains(line) {
                return metrics;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(40), reached)
        .await
        .unwrap_or_else(|_| panic!("not reached: {line}"))
}

#[tokio::test]
async fn messages_older_than_they_are_kept_are_dropped_and_counted() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.retain = Some(Duration::from_millis(500));
    let node = fixture.start_with(options).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["held", "old"]).await;
    node.publish("waits", &["in the topic"]).await;
    let held = consumer.expect_message("held").await;
    node.wait_for("t", "c", "depth", 0).await;
    assert_eq!(node.channel_stats("t", "c").await["in_flight_count"], 1, "what is in flight is left alone");

    node.publish("t", &["new"]).await;
    consumer.finish(&held).await;
    let new = consumer.expect_message("new").await;
    consumer.finish(&new).await;
    node.wait_for("t", "c", "in_flight_count", 0).await;
    // Each topic looks at its own time.
    let topic = r#"punctual_queue_topic_expired_total{topic="waits"} 1"#;
    let metrics = metrics_with(&node, topic).await;
    let counted = |line: &str| line.starts_with("punctual_queue_dropped_total") && line.contains("expired");
    let expired: Vec<_> = metrics.lines().filter(|line| counted(line)).collect();
    assert!(expired.len() == 1 && expired[0].ends_with(" 1"), "{expired:?}");
}

#[tokio::test]
async fn segments_of_expired_messages_go_though_a_channel_never_read_them() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.retain = Some(Duration::from_millis(300));
    let node = fixture.start_with(options.clone()).await;
    let _idle = node.subscribe("t", "idle", 0).await;
    let mut producer = node.connect().await;
    publish_numbered(&mut producer, 0..1000, 4000).await;
    let log = log_of(&fixture);
    until("one segment is left", || segments(&log) == 1).await;
    node.wait_for("t", "idle", "depth", 0).await;
    node.kill().await;
    let node = fixture.start_with(options).await;
    assert_eq!(node.channel_stats("t", "idle").await["depth"], 0, "they do not come back");
    let mut consumer = node.subscribe("t", "idle", 1).await;
    node.publish("t", &["next"]).await;
    consumer.expect_message("next").await;
}

/// Publishes bodies of `size` bytes that begin with their number, and waits for all to be acknowledged.
async fn publish_numbered(producer: &mut Client, numbers: std::ops::Range<u32>, size: usize) {
    let mut commands = Vec::new();
    let count = numbers.len();
    for number in numbers {
        let mut body = format!("{number} ").into_bytes();
        body.resize(size, b'x');
        commands.extend_from_slice(b"PUB t\n");
        commands.extend((body.len() as u32).to_be_bytes());
        commands.extend(body);
    }
    producer.send(&commands).await;
    for _ in 0..count {
        producer.expect_ok().await;
    }
}

/// A consumer that finishes what it gets, or leaves one message in fifty: some of those it just holds, the others it
/// puts off for an hour.
struct Reader {
    channel: &'static str,
    /// Which of those it leaves it holds: one in so many. `None` when it leaves none.
    holds_one_in: Option<u32>,
    finished: BTreeSet<u32>,
    left: BTreeSet<u32>,
    put_off: BTreeSet<u32>,
    came_back: u32,
}

impl Reader {
    fn new(channel: &'static str, holds_one_in: Option<u32>) -> Self {
        let (finished, left, put_off) = Default::default();
        Self { channel, holds_one_in, finished, left, put_off, came_back: 0 }
    }

    async fn subscribe(&self, node: &Running) -> Client {
        node.subscribe("t", self.channel, 2500).await
    }

    fn has_seen(&self) -> usize {
        self.finished.len() + self.left.len() + self.put_off.len()
    }

    /// Reads until each of so many numbers was seen.
    async fn read_to(&mut self, client: &mut Client, count: u32) {
        while self.has_seen() < count as usize {
            let message = client.message().await;
            let number = number_of(&message.body);
            match self.holds_one_in.filter(|_| number % 50 == 49) {
                Some(holds) if (number / 50).is_multiple_of(holds) => drop(self.left.insert(number)),
                Some(_) => {
                    self.put_off.insert(number);
                    client.requeue(&message, 3_600_000).await;
                }
                None => {
                    self.came_back += u32::from(!self.finished.insert(number));
                    client.finish(&message).await;
                }
            }
        }
    }
}

fn number_of(body: &[u8]) -> u32 {
    let text = std::str::from_utf8(body).unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

/// Whether a segment is being rewritten now, or is within a moment.
async fn rewrites_soon(log: &Path) -> bool {
    for _ in 0..if disk_bytes(log) > 150 * MIB { 30 } else { 0 } {
        if names(log).iter().any(|name| name.ends_with(".new")) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

/// One channel takes everything, another leaves 1 in 50, and the node is killed again and again: the disk holds little
/// more than twice what is wanted, and exactly that is delivered in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_leaves_a_few_messages_does_not_pin_the_disk() {
    const ROUND: u32 = 500;
    let full = std::env::var_os("PUNCTUAL_TEST_FULL").is_some();
    // What is held must be less than RDY.
    let (rounds, size, holds_one_in) = if full { (5000, 400, 40) } else { (150, 8000, 2) };
    let fixture = Fixture::new();
    let log = log_of(&fixture);
    let (mut all, mut some) = (Reader::new("all", None), Reader::new("some", Some(holds_one_in)));
    let (mut process, mut node) = NodeProcess::start(&fixture);
    let (mut kills, mut killed_while_rewriting, mut abrupt, mut highest) = (0, false, false, 0);
    let mut round = 0;
    while round < rounds {
        let (mut first, mut second) = (all.subscribe(&node).await, some.subscribe(&node).await);
        let mut producer = node.connect().await;
        loop {
            publish_numbered(&mut producer, round * ROUND..(round + 1) * ROUND, size).await;
            round += 1;
            tokio::join!(all.read_to(&mut first, round * ROUND), some.read_to(&mut second, round * ROUND));
            highest = highest.max(disk_bytes(&log));
            let rewriting = !killed_while_rewriting && rewrites_soon(&log).await;
            // After a kill in the midst of things, the last moment's finishes may come back; after the others, none.
            let came_back = std::mem::take(&mut all.came_back) + std::mem::take(&mut some.came_back);
            assert!(
                came_back <= if abrupt { 2 * ROUND } else { 0 },
                "{came_back} finished messages came back"
            );
            abrupt = rewriting;
            if abrupt {
                killed_while_rewriting = true;
                break;
            }
            if round * 3 / rounds > kills || round >= rounds {
                node.wait_for("t", "all", "in_flight_count", 0).await;
                node.wait_for("t", "some", "in_flight_count", some.left.len() as u64).await;
                tokio::time::sleep(Duration::from_millis(50)).await; // it is written a moment later
                break;
            }
        }
        kills += 1;
        process.kill();
        (process, node) = NodeProcess::start(&fixture);
    }
    let live = (some.left.len() + some.put_off.len()) as u64 * size as u64;
    let published = u64::from(rounds * ROUND) * size as u64;
    println!(
        "{} MiB published, {} KiB wanted, {} MiB on the disk at most, {kills} kills, while rewriting: {killed_while_rewriting}",
        published / MIB,
        live / 1024,
        highest / MIB
    );
    // Twice what is wanted, one full segment, and the one that is written to.
    let allowed = 2 * live + 2 * 64 * MIB;
    assert!(published > 2 * allowed, "too little was published");
    until("the disk holds little beside what is wanted", || disk_bytes(&log) < allowed).await;
    // Checkpoints are a second apart, and much is published in one.
    assert!(highest < published * 3 / 4, "{} MiB at its highest", highest / MIB);

    let stats = node.channel_stats("t", "some").await;
    assert_eq!(stats["deferred_count"], some.put_off.len());
    assert_eq!(stats["depth"], some.left.len());
    let mut consumer = some.subscribe(&node).await;
    let mut got = BTreeSet::new();
    while got.len() < some.left.len() {
        let message = consumer.message().await;
        assert_eq!(message.body.len(), size);
        assert!(got.insert(number_of(&message.body)), "twice");
    }
    assert_eq!(got, some.left);
    consumer.expect_silence().await;
    assert_eq!(node.channel_stats("t", "all").await["depth"], 0);
    process.kill();
}

/// Takes and finishes so many messages.
async fn consume(mut consumer: Client, count: u32) {
    for _ in 0..count {
        let message = consumer.message().await;
        consumer.finish(&message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_sixteen_channels_that_never_consumes_keeps_its_messages_and_little_else() {
    const MESSAGES: u32 = 30_000;
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let _idle = node.subscribe("t", "idle", 0).await;
    let mut consumers = tokio::task::JoinSet::new();
    for channel in 0..15 {
        let consumer = node.subscribe("t", &format!("busy{channel}"), 500).await;
        consumers.spawn(consume(consumer, MESSAGES));
    }
    let mut producer = node.connect().await;
    for start in (0..MESSAGES).step_by(1000) {
        publish_numbered(&mut producer, start..start + 1000, 200).await;
    }
    while let Some(ended) = consumers.join_next().await {
        ended.unwrap();
    }
    let log = log_of(&fixture);
    let per_message = disk_bytes(&log) / u64::from(MESSAGES);
    println!("{per_message} bytes of disk per message of 200 bytes, room kept for the next included");
    assert!(per_message < 400, "{per_message} bytes per message");
    assert_eq!(node.channel_stats("t", "idle").await["depth"], MESSAGES);

    node.post("/channel/delete?topic=t&channel=idle").await;
    until("what it alone wanted is gone", || segments(&log) == 1).await;
}
