//! Clients that do not read what they are sent: they are heard all the same, and hold up nobody.

use std::sync::Arc;
use std::time::Duration;

use punctual_queue_node::node::Node;
use punctual_queue_wire::compress::Compression;
use punctual_queue_wire::message::Message;
use rustls::version::TLS13;
use serde_json::json;
use tokio::time::timeout;

use crate::failing_disk::FailingDisk;
use crate::fixture::{A_WHILE, Client, Fixture, PATIENCE, Running, publish_command};
use crate::tls::{Authority, upgrade};

/// Many times what the system keeps between the two ends of a connection.
const MESSAGES: u64 = 80;
const BODY_BYTES: usize = 200_000;

/// What a client may send that does not read, before the node leaves it in the socket: with what the system keeps.
const HEARD_BYTES: usize = 24 << 20;

/// A body that is like no other, and that no compression makes smaller.
fn body(number: u64) -> Vec<u8> {
    let mut state = number + 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    std::iter::repeat_with(next).take(BODY_BYTES / 8).flatten().collect()
}

async fn publish_all(node: &Running) {
    let mut producer = node.connect().await;
    for number in 0..MESSAGES {
        producer.publish("t", &body(number)).await;
        producer.expect_ok().await;
    }
}

/// Subscribes, takes the first three messages, and leaves so many unread that the node can send no more.
async fn stall(node: &Running, consumer: &mut Client) -> Vec<Message> {
    consumer.send(b"SUB t c\nRDY 3\n").await;
    consumer.expect_ok().await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(consumer.message().await);
    }
    consumer.send(b"RDY 2500\n").await;
    let in_flight = async || node.channel_stats("t", "c").await["in_flight_count"].as_u64().unwrap();
    let all_that_fits = async {
        let mut before = 3;
        while in_flight().await == 3 || in_flight().await > before {
            before = in_flight().await;
            tokio::time::sleep(A_WHILE).await;
        }
    };
    timeout(PATIENCE, all_that_fits).await.expect("the node gives no more to who does not read");
    assert!(in_flight().await < MESSAGES, "there are more than are given");
    taken
}

/// Waits until the node knows that a client of the channel has finished three messages.
async fn three_are_finished(node: &Running) {
    let finished = async || node.channel_stats("t", "c").await["clients"][0]["finish_count"].clone();
    let all = async {
        while finished().await != 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, all).await.is_ok(), "finished are {}", finished().await);
}

/// What is sent to a consumer that takes a pause comes in full, and what it says meanwhile is heard.
async fn check(node: &Running, mut consumer: Client) {
    publish_all(node).await;
    for message in stall(node, &mut consumer).await {
        consumer.finish(&message).await;
    }
    three_are_finished(node).await;
    for number in 3..MESSAGES {
        let message = consumer.message().await;
        assert!(message.body == body(number), "message {number} comes as it was published");
        consumer.finish(&message).await;
    }
    node.wait_for("t", "c", "in_flight_count", 0).await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["depth"], &stats["timeout_count"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn what_a_consumer_finishes_counts_though_it_does_not_read() {
    let node = Fixture::new().start().await;
    check(&node, node.connect_without_room().await).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn nor_does_it_matter_that_the_connection_is_compressed() {
    for (asked, compression) in [
        (json!({ "snappy": true }), Compression::Snappy),
        (json!({ "deflate": true, "deflate_level": 1 }), Compression::Deflate { level: 1 }),
    ] {
        let node = Fixture::new().start().await;
        let mut consumer = node.connect_without_room().await;
        consumer.negotiate(asked).await;
        consumer.pack(compression);
        consumer.expect_ok().await;
        check(&node, consumer).await;
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn nor_that_it_is_encrypted() {
    let authority = Authority::new();
    let connector = authority.connector(None, &[&TLS13]);
    for asked in [json!({}), json!({ "snappy": true })] {
        let fixture = Fixture::new();
        let node = fixture.start_with(authority.options(&fixture)).await;
        let unread = node.connect_without_room().await;
        let mut consumer = upgrade(unread, &connector, asked.clone()).await.unwrap();
        consumer.expect_ok().await;
        if asked["snappy"] == true {
            consumer.pack(Compression::Snappy);
            consumer.expect_ok().await;
        }
        check(&node, consumer).await;
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_consumer_finishes_counts_though_it_closes_with_messages_unread() {
    for _ in 0..3 {
        let node = Fixture::new().start().await;
        publish_all(&node).await;
        let mut consumer = node.connect_without_room().await;
        for message in stall(&node, &mut consumer).await {
            consumer.finish(&message).await;
        }
        drop(consumer);
        node.wait_for("t", "c", "client_count", 0).await;
        node.wait_for("t", "c", "depth", MESSAGES - 3).await;
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_same_when_the_node_has_more_to_send_at_that_moment() {
    let node = Fixture::new().start().await;
    for round in 0..50 {
        let topic = format!("t{round}");
        let mut consumer = node.subscribe(&topic, "c", 3).await;
        node.publish(&topic, &["a"; 100]).await;
        let mut finishes = Vec::new();
        for _ in 0..3 {
            finishes.extend(format!("FIN {}\n", consumer.message().await.id).into_bytes());
        }
        consumer.send(b"RDY 50\n").await;
        consumer.send(&finishes).await;
        drop(consumer);
        node.wait_for(&topic, "c", "client_count", 0).await;
        node.wait_for(&topic, "c", "depth", 97).await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_only_talks_is_listened_to() {
    let node = Fixture::new().start().await;
    publish_all(&node).await;
    let mut consumer = node.connect_without_room().await;
    stall(&node, &mut consumer).await;
    let chatter = b"NOP\n".repeat(1 << 18);
    for _ in 0..16 {
        let sent = timeout(PATIENCE, consumer.try_send(&chatter)).await;
        assert_eq!(sent, Ok(true), "the node reads though it is not read from");
    }
    consumer.expect_message(&body(3).escape_ascii().to_string()).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_stops_soon_though_nobody_reads_what_it_sends() {
    let node = Fixture::new().start().await;
    publish_all(&node).await;
    let mut deaf = node.connect_without_room().await;
    stall(&node, &mut deaf).await;
    let mut slow = node.connect_without_room().await;
    slow.send(b"SUB t slow\nRDY 2500\n").await;
    node.wait_for("t", "slow", "client_count", 1).await;
    publish_all(&node).await;
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
    tokio::spawn(async move {
        while slow.next_bytes().await > 0 {
            tokio::time::sleep(A_WHILE).await;
        }
    });
    // A publisher without heartbeats may take as long as it likes otherwise.
    let mut patient = node.connect_without_room().await;
    patient.identify(&json!({ "heartbeat_interval": -1 })).await;
    sends_until_it_is_stuck(&mut patient, &publish_command("other", b"x").repeat(10_000)).await;
    let started = std::time::Instant::now();
    node.stop().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn deleting_a_channel_ends_consumers_that_do_not_read() {
    let node = Fixture::new().start().await;
    publish_all(&node).await;
    let mut consumer = node.connect_without_room().await;
    stall(&node, &mut consumer).await;
    assert_eq!(node.post("/channel/delete?topic=t&channel=c").await.0, 200);
    let cut = async {
        while consumer.try_send(b"NOP\n").await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE / 2, cut).await.expect("the connection ends");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn answers_that_are_not_read_are_not_gathered_without_end() {
    let node = Fixture::new().start().await;
    let mut client = node.connect_without_room().await;
    client.send(b"SUB t c\n").await;
    client.expect_ok().await;
    let finishes = b"FIN ffffffffffffffff\n".repeat(10_000);
    sends_until_it_is_stuck(&mut client, &finishes).await;
    client.expect_error("E_FIN_FAILED FIN ffffffffffffffff failed ID not in flight").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn nor_are_answers_that_wait_for_a_publish() {
    let (fixture, disk) = (Fixture::new(), Arc::new(FailingDisk::default()));
    let node = fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap());
    let mut client = node.subscribe("t", "c", 0).await;
    let stalled = disk.sync_waits.lock().await;
    client.publish("t", b"m").await;
    let finishes = b"FIN ffffffffffffffff\n".repeat(10_000);
    let sent = sends_until_it_is_stuck(&mut client, &finishes).await;
    client.expect_silence().await;
    drop(stalled);
    client.expect_ok().await;
    for _ in 0..sent / 21 {
        client.expect_error("E_FIN_FAILED FIN ffffffffffffffff failed ID not in flight").await;
    }
    node.stop().await.unwrap();
}

/// Sends the same again and again until the node does not take it; says how many bytes it took whole.
async fn sends_until_it_is_stuck(client: &mut Client, commands: &[u8]) -> usize {
    let mut sent = 0;
    while sent < HEARD_BYTES {
        match timeout(Duration::from_secs(1), client.try_send(commands)).await {
            Ok(true) => sent += commands.len(),
            Ok(false) => panic!("the node closed the connection after {sent} bytes"),
            Err(_stuck) => return sent,
        }
    }
    panic!("the node took {sent} bytes from a client that does not read")
}
