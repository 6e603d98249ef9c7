//! What consumers get, and what becomes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use punctual_queue_node::node::Node;
use punctual_queue_node::options::NodeOptions;

use crate::failing_disk::FailingDisk;
use crate::fixture::{A_WHILE, Fixture, PATIENCE};

#[tokio::test]
async fn every_channel_gets_its_own_copy() {
    let node = Fixture::new().start().await;
    let mut first = node.subscribe("t", "first", 10).await;
    let mut second = node.subscribe("t", "second", 10).await;
    node.publish("t", &["a", "b"]).await;
    for consumer in [&mut first, &mut second] {
        for body in ["a", "b"] {
            let message = consumer.expect_message(body).await;
            assert_eq!(message.attempts, 1);
            consumer.finish(&message).await;
        }
        consumer.expect_silence().await;
    }
}

#[tokio::test]
async fn the_first_channel_gets_the_backlog_and_later_ones_what_follows() {
    let node = Fixture::new().start().await;
    node.publish("t", &["early"]).await;
    let mut first = node.subscribe("t", "first", 10).await;
    first.expect_message("early").await;
    let mut second = node.subscribe("t", "second", 10).await;
    node.publish("t", &["late"]).await;
    first.expect_message("late").await;
    second.expect_message("late").await;
    second.expect_silence().await;
}

#[tokio::test]
async fn ready_is_a_ceiling_on_what_is_in_flight() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 2).await;
    node.publish("t", &["a", "b", "c", "d"]).await;
    let first = consumer.expect_message("a").await;
    consumer.expect_message("b").await;
    consumer.expect_silence().await;
    consumer.finish(&first).await;
    consumer.expect_message("c").await;
    consumer.expect_silence().await;
    consumer.send(b"RDY 0\n").await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["depth"], &stats["in_flight_count"]), (&1.into(), &2.into()));
}

#[tokio::test]
async fn a_requeued_message_comes_again_with_one_attempt_more() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["m"]).await;
    let first = consumer.expect_message("m").await;
    consumer.requeue(&first, 0).await;
    let second = consumer.expect_message("m").await;
    assert_eq!((second.id, second.timestamp_ns, second.attempts), (first.id, first.timestamp_ns, 2));

    consumer.requeue(&second, 300).await;
    let started = Instant::now();
    node.wait_for("t", "c", "deferred_count", 1).await;
    let third = consumer.expect_message("m").await;
    assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    assert_eq!((third.id, third.attempts), (first.id, 3));
    consumer.finish(&third).await;
    consumer.finish(&third).await;
    consumer.expect_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", third.id)).await;
    assert_eq!(node.channel_stats("t", "c").await["requeue_count"], 2);
}

#[tokio::test]
async fn a_deferred_publish_comes_when_it_is_due() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    let mut producer = node.connect().await;
    let started = Instant::now();
    producer.send(b"DPUB t 300\n\0\0\0\x05later").await;
    producer.expect_ok().await;
    producer.publish("t", b"now").await;
    producer.expect_ok().await;
    consumer.expect_message("now").await;
    let later = consumer.expect_message("later").await;
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    assert_eq!(later.attempts, 1);
}

#[tokio::test]
async fn a_message_in_flight_too_long_goes_to_another_consumer() {
    let fixture = Fixture::new();
    let options = NodeOptions { msg_timeout: Duration::from_millis(200), ..fixture.options() };
    let node = fixture.start_with(options).await;
    let mut slow = node.subscribe("t", "c", 1).await;
    node.publish("t", &["m"]).await;
    let held = slow.expect_message("m").await;
    slow.send(b"RDY 0\n").await;
    let mut other = node.subscribe("t", "c", 1).await;
    let again = other.expect_message("m").await;
    assert_eq!((again.id, again.attempts), (held.id, 2));
    slow.finish(&held).await;
    slow.expect_error(&format!("E_FIN_FAILED FIN {} failed client does not own message", held.id)).await;
    other.finish(&again).await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["timeout_count"], &stats["requeue_count"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn a_touched_message_stays_until_the_longest_time_is_over() {
    let fixture = Fixture::new();
    let options = NodeOptions {
        msg_timeout: Duration::from_millis(300),
        max_msg_timeout: Duration::from_millis(900),
        ..fixture.options()
    };
    let node = fixture.start_with(options).await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["m"]).await;
    let started = Instant::now();
    let message = consumer.expect_message("m").await;
    for _ in 0..12 {
        consumer.send(format!("TOUCH {}\n", message.id).as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(node.channel_stats("t", "c").await["timeout_count"], 0);
    let again = consumer.expect_message("m").await;
    assert_eq!(again.attempts, 2);
    assert!(started.elapsed() >= Duration::from_millis(850), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_a_lost_consumer_held_goes_to_others_at_once() {
    let node = Fixture::new().start().await;
    let mut first = node.subscribe("t", "c", 10).await;
    node.publish("t", &["a", "b"]).await;
    first.expect_message("a").await;
    first.expect_message("b").await;
    let mut second = node.subscribe("t", "c", 10).await;
    second.expect_silence().await;
    drop(first);
    for body in ["a", "b"] {
        assert_eq!(second.expect_message(body).await.attempts, 2);
    }
}

#[tokio::test]
async fn when_so_told_the_node_leaves_them_to_their_timeout() {
    let fixture = Fixture::new();
    let options = NodeOptions {
        hold_on_disconnect: true,
        msg_timeout: Duration::from_millis(500),
        ..fixture.options()
    };
    let node = fixture.start_with(options).await;
    let mut first = node.subscribe("t", "c", 10).await;
    node.publish("t", &["a"]).await;
    first.expect_message("a").await;
    drop(first);
    let mut second = node.subscribe("t", "c", 10).await;
    second.expect_silence().await;
    assert_eq!(second.expect_message("a").await.attempts, 2);
}

#[tokio::test]
async fn after_cls_nothing_new_comes_and_what_is_in_flight_can_be_finished() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["a", "b"]).await;
    let message = consumer.expect_message("a").await;
    consumer.send(b"CLS\n").await;
    consumer.expect_response("CLOSE_WAIT").await;
    consumer.finish(&message).await;
    consumer.send(b"RDY 1\n").await;
    consumer.expect_silence().await;
    let stats = node.channel_stats("t", "c").await;
    assert_eq!((&stats["depth"], &stats["in_flight_count"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn a_paused_channel_delivers_nothing_until_it_is_resumed() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    assert_eq!(node.post("/channel/pause?topic=t&channel=c").await, (200, String::new()));
    node.publish("t", &["m"]).await;
    consumer.expect_silence().await;
    node.post("/channel/unpause?topic=t&channel=c").await;
    consumer.expect_message("m").await;
}

#[tokio::test]
async fn messages_of_a_paused_topic_wait_in_the_topic() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    node.post("/topic/pause?topic=t").await;
    node.publish("t", &["a", "b"]).await;
    consumer.expect_silence().await;
    let stats: serde_json::Value = node.get("/stats?format=json&topic=t").await.json().await.unwrap();
    assert_eq!((&stats["topics"][0]["depth"], &stats["topics"][0]["paused"]), (&2.into(), &true.into()));
    assert_eq!(stats["topics"][0]["channels"][0]["depth"], 0);
    // A channel made now gets them too, once the topic goes on.
    let mut late = node.subscribe("t", "late", 10).await;
    late.expect_silence().await;
    node.post("/topic/unpause?topic=t").await;
    for body in ["a", "b"] {
        consumer.expect_message(body).await;
        late.expect_message(body).await;
    }
}

#[tokio::test]
async fn an_emptied_channel_forgets_what_waits_and_what_is_in_flight() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["a", "b", "c"]).await;
    let message = consumer.expect_message("a").await;
    assert_eq!(node.post("/channel/empty?topic=t&channel=c").await.0, 200);
    consumer.finish(&message).await;
    consumer.expect_error(&format!("E_FIN_FAILED FIN {} failed ID not in flight", message.id)).await;
    node.publish("t", &["d"]).await;
    consumer.expect_message("d").await;
    assert_eq!(node.channel_stats("t", "c").await["depth"], 0);
}

#[tokio::test]
async fn an_emptied_topic_forgets_what_waits_in_it() {
    let node = Fixture::new().start().await;
    node.publish("t", &["a"]).await;
    assert_eq!(node.post("/topic/empty?topic=t").await.0, 200);
    node.publish("t", &["b"]).await;
    let mut consumer = node.subscribe("t", "c", 10).await;
    consumer.expect_message("b").await;
    consumer.expect_silence().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_counted_and_emptied_at_once() {
    let node = Fixture::new().start().await;
    assert_eq!(node.post("/topic/create?topic=t").await.0, 200);
    assert_eq!(node.post("/channel/create?topic=t&channel=c").await.0, 200);
    for round in 1..=20_u64 {
        node.publish("t", &["a"]).await;
        assert_eq!(node.channel_stats("t", "c").await["message_count"], 2 * round - 1);
        node.publish("t", &["b"]).await;
        assert_eq!(node.post("/channel/empty?topic=t&channel=c").await.0, 200);
        assert_eq!(node.channel_stats("t", "c").await["depth"], 0);
    }
}

#[tokio::test]
async fn deleting_a_channel_or_its_topic_ends_its_consumers() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 1).await;
    assert_eq!(node.post("/channel/delete?topic=t&channel=c").await.0, 200);
    consumer.expect_end().await;
    assert_eq!(node.post("/channel/delete?topic=t&channel=c").await.0, 404);

    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["m"]).await;
    consumer.expect_message("m").await;
    assert_eq!(node.post("/topic/delete?topic=t").await.0, 200);
    consumer.expect_end().await;
    assert_eq!(node.post("/topic/delete?topic=t").await.0, 404);

    // The name is free again, and nothing of the old topic is left.
    let mut consumer = node.subscribe("t", "c", 1).await;
    node.publish("t", &["new"]).await;
    consumer.expect_message("new").await;
}

#[tokio::test]
async fn an_ephemeral_channel_goes_with_its_last_consumer() {
    let node = Fixture::new().start().await;
    let consumer = node.subscribe("t", "c#ephemeral", 1).await;
    assert_eq!(node.channel_stats("t", "c%23ephemeral").await["client_count"], 1);
    drop(consumer);
    let gone = async {
        while !node.channel_stats("t", "c%23ephemeral").await.is_null() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(crate::fixture::PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn an_ephemeral_topic_goes_with_its_last_channel() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t#ephemeral", "c#ephemeral", 1).await;
    node.publish("t#ephemeral", &["m"]).await;
    consumer.expect_message("m").await;
    drop(consumer);
    let gone = async {
        while node.post("/topic/pause?topic=t%23ephemeral").await.0 != 404 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(crate::fixture::PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn two_consumers_share_a_channel_and_nothing_comes_twice() {
    let node = Fixture::new().start().await;
    let mut consumers = [node.subscribe("t", "c", 5).await, node.subscribe("t", "c", 5).await];
    let bodies: Vec<String> = (0..40).map(|n| format!("m{n:02}")).collect();
    let refs: Vec<&str> = bodies.iter().map(String::as_str).collect();
    node.publish("t", &refs).await;
    let mut got = Vec::new();
    while got.len() < bodies.len() {
        for consumer in &mut consumers {
            for _ in 0..5 {
                if got.len() == bodies.len() {
                    break;
                }
                let Ok(message) = tokio::time::timeout(A_WHILE, consumer.message()).await else { break };
                consumer.finish(&message).await;
                got.push(message.body.escape_ascii().to_string());
            }
        }
    }
    got.sort();
    assert_eq!(got, bodies);
    node.wait_for("t", "c", "in_flight_count", 0).await;
    assert_eq!(node.channel_stats("t", "c").await["depth"], 0);
}

#[tokio::test]
async fn a_large_backlog_is_read_from_the_disk_in_order() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut producer = node.connect().await;
    let body = vec![b'x'; 500];
    let count = 20_000_u32;
    for batch in 0..count / 100 {
        let mut items = Vec::new();
        for n in 0..100 {
            let mut message = (batch * 100 + n).to_be_bytes().to_vec();
            message.extend(&body);
            items.extend((message.len() as u32).to_be_bytes());
            items.extend(message);
        }
        let mut command = b"MPUB t\n".to_vec();
        command.extend((items.len() as u32 + 4).to_be_bytes());
        command.extend(100_u32.to_be_bytes());
        command.extend(items);
        producer.send(&command).await;
        producer.expect_ok().await;
    }
    let mut consumer = node.subscribe("t", "c", 2500).await;
    for n in 0..count {
        let message = consumer.message().await;
        assert_eq!(message.body[..4], n.to_be_bytes());
        consumer.finish(&message).await;
    }
    consumer.expect_silence().await;
    let log = fixture.data_path().join("topics/t.topic/log");
    let only_the_last = async {
        while std::fs::read_dir(&log).unwrap().count() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::fixture::PATIENCE, only_the_last)
        .await
        .expect("consumed segments are removed");
}

#[tokio::test]
async fn messages_held_while_much_came_are_given_out_again_as_they_were() {
    let node = Fixture::new().start().await;
    let mut consumer = node.subscribe("t", "c", 80).await;
    let bodies: Vec<_> = (0..80).map(|number| format!("{number} {}", "x".repeat(100_000))).collect();
    let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
    node.publish("t", &bodies).await;
    for body in &bodies {
        consumer.expect_message(body).await;
    }
    drop(consumer);
    let mut consumer = node.subscribe("t", "c", 80).await;
    for body in &bodies {
        let message = consumer.expect_message(body).await;
        assert_eq!(message.attempts, 2);
        consumer.finish(&message).await;
    }
    node.wait_for("t", "c", "in_flight_count", 0).await;
    assert_eq!(node.channel_stats("t", "c").await["depth"], 0);
}

#[tokio::test]
async fn what_is_done_to_an_ephemeral_channel_waits_for_no_disk() {
    let (fixture, disk) = (Fixture::new(), Arc::new(FailingDisk::default()));
    let options = NodeOptions { retain: Some(Duration::from_secs(60)), ..fixture.options() };
    let node = fixture.run(Node::open_on(disk.clone(), options).await.unwrap());
    node.publish("t", &["m"]).await;
    let mut consumer = node.subscribe("t", "c#ephemeral", 1).await;
    consumer.expect_message("m").await;
    let stalled = disk.sync_waits.lock().await;
    for command in ["pause", "unpause", "empty", "seek"] {
        let path = format!("/channel/{command}?topic=t&channel=c%23ephemeral&back=10s");
        let answer = tokio::time::timeout(PATIENCE, node.post(&path)).await;
        assert_eq!(answer.map(|answer| answer.0), Ok(200), "{command}");
    }
    drop(stalled);
    node.stop().await.unwrap();
}
