//! Channels go back to messages that they have finished.

use serde_json::json;

use crate::fixture::{Client, Fixture, Running, publish_command};

async fn set(node: &Running, path: &str) {
    assert_eq!(node.post(path).await, (200, String::new()), "{path}");
}

async fn consume(consumer: &mut Client, bodies: &[&str]) {
    for body in bodies {
        let message = consumer.expect_message(body).await;
        assert_eq!(message.attempts, 1, "as if it never was delivered");
        consumer.finish(&message).await;
    }
}

#[tokio::test]
async fn a_channel_goes_back_in_time_and_still_has_after_a_kill() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let mut other = node.subscribe("t", "other", 9).await;
    set(&node, "/topic/keep?topic=t&for=1h").await;
    node.publish("t", &["a", "b", "c"]).await;
    consume(&mut consumer, &["a", "b"]).await;
    consumer.expect_message("c").await;
    consume(&mut other, &["a", "b", "c"]).await;
    set(&node, "/channel/seek?topic=t&channel=c&back=1m").await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["depth"], &stats["in_flight_count"]), (&json!(2), &json!(1)), "a is there again");
    consume(&mut consumer, &["a"]).await;
    // What was finished is written a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    node.kill().await;

    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    let b = consumer.expect_message("b").await; // it was on its way when the node was killed
    consumer.finish(&b).await;
    consume(&mut consumer, &["c"]).await;
    consumer.expect_silence().await;
    assert_eq!(node.channel_stats("t", "other").await["depth"], 0, "the others stay where they are");
    node.stop().await.unwrap();
    let node = fixture.start().await; // from the checkpoint
    set(&node, "/channel/seek?topic=t&channel=other&back=1m").await;
    consume(&mut node.subscribe("t", "other", 1).await, &["a", "b", "c"]).await;
    set(&node, "/channel/seek?topic=t&channel=other&back=0s").await;
    assert_eq!(node.channel_stats("t", "other").await["depth"], 0);
    let refused = (400, r#"{"message":"INVALID_ARG_BACK"}"#.to_owned());
    assert_eq!(node.post("/channel/seek?topic=t&channel=c&back=soon").await, refused);
    node.stop().await.unwrap();
}

/// Publishes several segments, finishes all, and says how many are there when the channel goes back.
async fn there_again(keep: bool) -> u64 {
    const MESSAGES: u64 = 2000;
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut consumer = node.subscribe("t", "c", 2500).await;
    if keep {
        set(&node, "/topic/keep?topic=t&for=1h").await;
    }
    let mut producer = node.connect().await;
    let body = vec![b'x'; 4000];
    let mut commands = Vec::new();
    for _ in 0..MESSAGES {
        commands.extend(publish_command("t", &body));
    }
    producer.send(&commands).await;
    for _ in 0..MESSAGES {
        let message = consumer.message().await;
        consumer.finish(&message).await;
    }
    node.wait_for("t", "c", "in_flight_count", 0).await;
    drop(consumer);
    node.wait_for("t", "c", "client_count", 0).await;
    node.stop().await.unwrap(); // with a checkpoint, which takes away what nobody needs
    let node = fixture.start().await;
    set(&node, "/channel/seek?topic=t&channel=c&back=1h").await;
    let mut consumer = node.subscribe("t", "c", 2500).await;
    consumer.message().await;
    let stats = node.channel_stats("t", "c").await;
    stats["depth"].as_u64().unwrap() + stats["in_flight_count"].as_u64().unwrap()
}

#[tokio::test]
async fn what_is_to_be_kept_is_there_to_go_back_to_and_nothing_else() {
    assert_eq!(there_again(true).await, 2000);
    let unkept = there_again(false).await;
    assert!(unkept < 2000, "{unkept}");
}
