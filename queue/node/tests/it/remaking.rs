//! A topic is deleted and made again while it is used.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Buf;
use punctual_queue_node::check;
use punctual_queue_node::node::Node;
use punctual_queue_wire::frame::Frame;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::failing_disk::FailingDisk;
use crate::fixture::{Client, Fixture, PATIENCE, Running, publish_command};

/// Large enough that a segment is soon full.
const BODY_BYTES: usize = 20_000;

/// What the publishers and consumers of one topic have seen.
#[derive(Default)]
struct Seen {
    /// How often the topic was made.
    made: AtomicU32,
    acknowledged: RefCell<BTreeSet<String>>,
    received: RefCell<BTreeSet<String>>,
    publishing_ends: CancellationToken,
    consuming_ends: CancellationToken,
}

impl Seen {
    /// The acknowledged messages whose publication began after the topic was made for the last time.
    fn last_acknowledged(&self) -> BTreeSet<String> {
        let prefix = format!("{} ", self.made.load(Ordering::SeqCst));
        self.acknowledged.borrow().iter().filter(|id| id.starts_with(&prefix)).cloned().collect()
    }

    /// Publishes one message after the other, over a new connection whenever one ends.
    async fn publish(&self, node: &Running, publisher: u32) {
        let mut client = node.connect().await;
        for number in 0_u32.. {
            if self.publishing_ends.is_cancelled() {
                return;
            }
            let id = format!("{} {publisher} {number}", self.made.load(Ordering::SeqCst));
            let body = format!("{id} {}", "x".repeat(BODY_BYTES));
            if client.try_send(&publish_command("t", body.as_bytes())).await {
                match answer(&mut client).await {
                    Some(Frame::Response(answer)) if answer.chunk() == b"OK" => {
                        self.acknowledged.borrow_mut().insert(id);
                        continue;
                    }
                    Some(Frame::Error { code, .. }) => assert_eq!(code, "E_PUB_FAILED"),
                    None => {}
                    other => panic!("{other:?} instead of an answer"),
                }
            }
            client = node.connect().await;
        }
    }

    /// Finishes all that comes, over a new connection whenever one ends.
    async fn consume(&self, node: &Running) {
        while !self.consuming_ends.is_cancelled() {
            let mut client = node.connect().await;
            if client.try_send(b"SUB t c\nRDY 10\n").await {
                tokio::select! {
                    () = self.consume_from(&mut client) => {}
                    () = self.consuming_ends.cancelled() => {}
                }
            }
        }
    }

    async fn consume_from(&self, client: &mut Client) {
        while let Some(frame) = answer(client).await {
            match frame {
                Frame::Message(message) => {
                    let body = std::str::from_utf8(&message.body).unwrap();
                    let (id, _) = body.rsplit_once(' ').unwrap();
                    self.received.borrow_mut().insert(id.to_owned());
                    if !client.try_send(format!("FIN {}\n", message.id).as_bytes()).await {
                        return;
                    }
                }
                Frame::Response(answer) => assert_eq!(answer.chunk(), b"OK"),
                // The topic was deleted between the connection's commands, or after the message came.
                Frame::Error { code, .. } if ["E_SUB_FAILED", "E_FIN_FAILED"].contains(&code.as_str()) => {}
                Frame::Error { .. } => panic!("{frame:?}"),
            }
        }
    }

    /// Deletes the topic and makes it again, so many times; now and then when it had time for a checkpoint.
    async fn remake(&self, node: &Running, times: u32, first_segment: &Path) {
        for time in 0..times {
            self.wait_until(|| !self.last_acknowledged().is_empty()).await;
            if time % 25 == 0 {
                self.wait_until(|| !first_segment.exists()).await;
            }
            let deleted = node.post("/topic/delete?topic=t").await;
            assert_eq!(deleted, (200, String::new()));
            for path in ["/topic/create?topic=t", "/channel/create?topic=t&channel=c"] {
                assert_eq!(node.post(path).await, (200, String::new()));
            }
            self.made.fetch_add(1, Ordering::SeqCst);
        }
        self.wait_until(|| self.last_acknowledged().len() >= 100).await;
        self.publishing_ends.cancel();
    }

    /// What was acknowledged after the last time comes.
    async fn receive_the_last(&self) {
        self.publishing_ends.cancelled().await;
        self.wait_until(|| self.last_acknowledged().is_subset(&self.received.borrow())).await;
        self.consuming_ends.cancel();
    }

    async fn wait_until(&self, holds: impl Fn() -> bool) {
        let reached = async {
            while !holds() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        if timeout(PATIENCE, reached).await.is_err() {
            let (acknowledged, received) = (self.last_acknowledged(), self.received.borrow());
            let missing: Vec<_> = acknowledged.difference(&received).collect();
            panic!("of {} messages, never received: {missing:?}", acknowledged.len());
        }
    }
}

/// The next frame that is no heartbeat; these are answered.
async fn answer(client: &mut Client) -> Option<Frame> {
    loop {
        match client.next().await {
            Some(Frame::Response(data)) if data.chunk() == b"_heartbeat_" => {
                let _gone = client.try_send(b"NOP\n").await; // then the next frame is the end
            }
            frame => return frame,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_deleted_and_made_again_under_load_loses_nothing_acknowledged_since() {
    let times = if std::env::var_os("PUNCTUAL_TEST_FULL").is_some() { 1000 } else { 50 };
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let seen = Seen::default();
    node.post("/topic/create?topic=t").await;
    node.post("/channel/create?topic=t&channel=c").await;
    let first_segment = fixture.data_path().join("topics/t.topic/log/0000000001.seg");
    tokio::join!(
        seen.publish(&node, 1),
        seen.publish(&node, 2),
        seen.consume(&node),
        seen.consume(&node),
        seen.remake(&node, times, &first_segment),
        seen.receive_the_last(),
    );
    assert_eq!(seen.made.load(Ordering::SeqCst), times);
    node.stop().await.unwrap();

    let topics = std::fs::read_dir(fixture.data_path().join("topics")).unwrap();
    let names: Vec<_> = topics.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["t.topic"], "nothing is left of those that were deleted");
    let reports = check::check(&fixture.data_path()).unwrap();
    assert!(!reports[0].is_damaged() && reports[0].unknown_records == 0, "{reports:?}");
}

#[tokio::test]
async fn topics_are_made_while_the_files_of_a_deleted_one_are_removed() {
    let (fixture, disk) = (Fixture::new(), Arc::new(FailingDisk::default()));
    let node = fixture.run(Node::open_on(disk.clone(), fixture.options()).await.unwrap());
    node.publish("large", &["m"]).await;
    let held_up = disk.removal_waits.lock().await;
    let made_meanwhile = async {
        while node.post("/topic/pause?topic=large").await.0 == 200 {
            tokio::time::sleep(Duration::from_millis(2)).await; // until it is gone
        }
        node.publish("other", &["m"]).await;
        node.publish("large", &["anew"]).await;
        drop(held_up);
    };
    let (deleted, ()) = tokio::join!(node.post("/topic/delete?topic=large"), made_meanwhile);
    assert_eq!(deleted.0, 200);
    node.subscribe("large", "c", 1).await.expect_message("anew").await;
    node.stop().await.unwrap();
}
