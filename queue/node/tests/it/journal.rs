//! What many topics had synced in the journal they share outlives the files that had yet to be.

use std::path::PathBuf;

use punctual_queue_node::check;

use crate::fixture::{Fixture, Running};
use crate::process::NodeProcess;

const TOPICS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn segment(fixture: &Fixture, topic: &str) -> PathBuf {
    fixture.data_path().join(format!("topics/{topic}.topic/log/0000000001.seg"))
}

/// One message for each topic, all sent before the first is answered.
async fn publish_to_all(node: &Running, body: &str) {
    let mut producer = node.connect().await;
    for topic in TOPICS {
        producer.publish(topic, body.as_bytes()).await;
    }
    for _ in TOPICS {
        producer.expect_ok().await;
    }
}

/// Leaves the files of a node that had published "new" to every topic when the power went, and of that the journal alone.
async fn cut_power() -> Fixture {
    let fixture = Fixture::new();
    let (process, node) = NodeProcess::start(&fixture);
    publish_to_all(&node, "old").await;
    while !fixture.data_path().join("journal").exists() {
        publish_to_all(&node, "old").await;
    }
    let before = TOPICS.map(|topic| std::fs::read(segment(&fixture, topic)).unwrap());
    publish_to_all(&node, "new").await;
    process.kill();
    for (topic, before) in TOPICS.iter().zip(before) {
        std::fs::write(segment(&fixture, topic), before).unwrap();
    }
    fixture
}

async fn expect_new(fixture: &Fixture) {
    let node = fixture.start().await;
    for topic in TOPICS {
        let mut consumer = node.subscribe(topic, "c", 100).await;
        loop {
            let message = consumer.message().await;
            consumer.finish(&message).await;
            if message.body == "new" {
                break;
            }
        }
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_puts_what_the_journal_holds_into_the_logs() {
    let fixture = cut_power().await;
    expect_new(&fixture).await;
    assert!(!fixture.data_path().join("journal").exists());
}

#[tokio::test]
async fn check_tells_of_the_journal_and_repair_puts_it_into_the_logs() {
    let fixture = cut_power().await;
    let journal = check::check_journal(&fixture.data_path()).unwrap();
    assert!(journal.content.commits > 0 && journal.content.damaged == 0, "{journal:?}");
    let repairs = check::repair(&fixture.data_path()).unwrap();
    assert!(repairs.iter().any(|repair| repair.topic.is_none() && repair.kept.is_none()), "{repairs:?}");
    assert!(!fixture.data_path().join("journal").exists());
    expect_new(&fixture).await;
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_told_and_kept() {
    let fixture = cut_power().await;
    let path = fixture.data_path().join("journal");
    let mut content = std::fs::read(&path).unwrap();
    content[..8].fill(0xff);
    std::fs::write(&path, content).unwrap();
    assert_eq!(check::check_journal(&fixture.data_path()).unwrap().content.damaged, 1);
    fixture.start().await.stop().await.unwrap();
    let after = check::check_journal(&fixture.data_path()).unwrap();
    assert_eq!((after.content.damaged, after.aside), (0, vec![path.with_extension("damaged")]));
}
