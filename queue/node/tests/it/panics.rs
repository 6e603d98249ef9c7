//! Work on a thread that may block panics: what waited for it is not stopped for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use punctual_queue_node::node::Node;

use crate::failing_disk::{FailingDisk, Moment};
use crate::fixture::{Client, Fixture, PATIENCE, Running};

async fn start_on(disk: &Arc<FailingDisk>, fixture: &Fixture) -> Running {
    fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap())
}

#[tokio::test]
async fn messages_are_read_after_a_read_that_panicked() {
    let (fixture, disk) = (Fixture::new(), Arc::new(FailingDisk::default()));
    let node = start_on(&disk, &fixture).await;
    node.post("/topic/create?topic=t").await;
    node.post("/channel/create?topic=t&channel=c").await;
    node.publish("t", &["a", "b"]).await;
    node.wait_for("t", "c", "depth", 2).await;
    disk.read_panics.store(true, Ordering::SeqCst);
    let mut consumer = node.subscribe("t", "c", 2).await;
    consumer.expect_message("a").await;
    consumer.expect_message("b").await;
    assert!(!disk.read_panics.load(Ordering::SeqCst), "it did panic");
}

fn body(number: u32) -> String {
    format!("{number:04} {}", "x".repeat(30_000))
}

/// Leaves every fortieth message of three full segments and finishes the others, so that these are to be rewritten.
async fn leave_a_few(node: &Running) -> Vec<String> {
    let mut consumer = node.subscribe("t", "c", 100).await;
    let mut producer = node.connect().await;
    let mut left = Vec::new();
    for number in 0..250 {
        producer.publish("t", body(number).as_bytes()).await;
        producer.expect_ok().await;
        let message = consumer.expect_message(&body(number)).await;
        if number % 40 == 5 {
            left.push(body(number));
        } else {
            consumer.finish(&message).await;
        }
    }
    node.wait_for("t", "c", "in_flight_count", left.len() as u64).await;
    left
}

/// Gets each of these messages, which are read from where the channel takes them to be, and puts them off for a moment.
async fn read_again(consumer: &mut Client, bodies: &[String]) {
    let mut missing: BTreeSet<_> = bodies.iter().map(|body| body.clone().into_bytes()).collect();
    while !missing.is_empty() {
        let message = consumer.message().await;
        missing.remove(&message.body[..]);
        consumer.requeue(&message, 1).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let reached = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(4 * PATIENCE, reached).await.unwrap_or_else(|_| panic!("not reached: {what}"));
}

async fn check(moment: Moment) {
    let (fixture, disk) = (Fixture::new(), Arc::new(FailingDisk::default()));
    let node = start_on(&disk, &fixture).await;
    let left = leave_a_few(&node).await;
    node.stop().await.unwrap();

    *disk.replace_panics.lock().unwrap() = Some(moment);
    let node = start_on(&disk, &fixture).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    read_again(&mut consumer, &left).await;
    until("a replacement panics", || disk.replace_panics.lock().unwrap().is_none()).await;
    // Messages are still found, and the segments are rewritten after all.
    read_again(&mut consumer, &left).await;
    let log = fixture.data_path().join("topics/t.topic/log");
    let length = |number| std::fs::metadata(log.join(format!("{number:010}.seg"))).unwrap().len();
    until("three segments are rewritten", || (1..=3).all(|number| length(number) < 200_000)).await;
    read_again(&mut consumer, &left).await;
    let mut finished = BTreeSet::new();
    for _ in &left {
        let message = consumer.message().await;
        consumer.finish(&message).await;
        finished.insert(String::from_utf8(message.body.to_vec()).unwrap());
    }
    assert!(finished.iter().eq(&left), "each once");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_before_a_segment_was_replaced_leaves_the_old_one() {
    check(Moment::Before).await;
}

#[tokio::test]
async fn a_panic_after_a_segment_was_replaced_leaves_the_new_one() {
    check(Moment::After).await;
}
