use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use punctual_queue_log::committer::{Commit, Committer, Observer};
use punctual_queue_log::disk::RealDisk;
use punctual_queue_log::error::SyncFailure;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;
use punctual_queue_node::node::Node;
use punctual_queue_node::options::NodeOptions;
use punctual_service::socket::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::command::run;

/// Makes a node in `dir` that holds these messages, and stops it.
async fn a_stopped_node(dir: &Path, bodies: &[&str]) {
    let loopback = Address::from(([127, 0, 0, 1], 0));
    let options = NodeOptions {
        tcp_address: loopback.clone(),
        http_address: loopback.into(),
        data_path: dir.to_owned(),
        ..NodeOptions::default()
    };
    let node = Node::open(options).await.unwrap();
    let address = node.tcp_address().tcp().unwrap();
    let stop = CancellationToken::new();
    let publish = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"  V2").await.unwrap();
        for body in bodies {
            let mut command = b"PUB orders\n".to_vec();
            command.extend((body.len() as u32).to_be_bytes());
            command.extend(body.as_bytes());
            stream.write_all(&command).await.unwrap();
            let mut answer = [0; 10];
            stream.read_exact(&mut answer).await.unwrap();
            assert!(answer.ends_with(b"OK"));
        }
        stop.cancel();
    };
    let both = async { tokio::join!(node.run(stop.clone()), publish).0.unwrap() };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
}

#[tokio::test]
async fn damage_is_found_and_repaired_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    a_stopped_node(&dir, &["first", "second", "third"]).await;
    let path = dir.to_str().unwrap();
    let clean = run(&["queue", "check", path]).await;
    assert_eq!((clean.code, clean.err.as_str()), (0, ""));
    let clean = run(&["queue", "check", path, "-o", "json"]).await.json();
    assert_eq!((&clean[0]["messages"], &clean[0]["checkpoint"]), (&3.into(), &"ok".into()));

    let segment = dir.join("topics/orders.topic/log/0000000001.seg");
    let mut content = std::fs::read(&segment).unwrap();
    let at = content.windows(6).position(|window| window == b"second").unwrap();
    content[at] ^= 1;
    std::fs::write(&segment, content).unwrap();
    let found = run(&["queue", "check", path]).await;
    assert_eq!(found.code, 7);
    let last = found.out.lines().last().unwrap();
    insta::assert_snapshot!(last, @"damaged: topic orders, segment 0000000001, bytes 74 to 117");

    let repaired = run(&["queue", "repair", path, "-o", "json"]).await.json();
    assert_eq!(repaired[0]["topic"], "orders");
    let again = run(&["queue", "check", path, "-o", "json"]).await.json();
    assert_eq!((&again[0]["messages"], &again[0]["damage"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(again[0]["kept_aside"], serde_json::json!([repaired[0]["kept_as"]]));
    let nothing = run(&["queue", "repair", path]).await;
    assert_eq!((nothing.code, nothing.out.as_str()), (0, "nothing to repair\n"));
}

/// Appends a record that is whole, and of a kind that this release does not know, to a topic's log.
fn append_of_a_later_release(log: &Path) {
    #[derive(Debug)]
    struct Nobody;
    impl Observer for Nobody {
        fn committed(&self, _: &Commit) {}
        fn failed(&self, _: &SyncFailure) {}
    }
    let committer = Committer::start(Arc::new(RealDisk), None, Arc::new(Nobody)).unwrap();
    let (log, _) = Log::open(log, LogOptions::default(), &committer, Position::START).unwrap();
    let (done, appended) = mpsc::channel();
    let complete = move |result| done.send(result).unwrap();
    log.append(Record::from(Bytes::from_static(b"\xee later")), Durability::Synced, Box::new(complete));
    appended.recv().unwrap().unwrap();
}

#[tokio::test]
async fn records_of_a_later_release_have_an_exit_code_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    a_stopped_node(&dir, &["first"]).await;
    append_of_a_later_release(&dir.join("topics/orders.topic/log"));
    let found = run(&["queue", "check", dir.to_str().unwrap()]).await;
    assert_eq!(found.code, 8, "{found:?}");
    let last = found.out.lines().last().unwrap();
    insta::assert_snapshot!(last, @"not understood: topic orders, 1 records, perhaps of a later release");
}

#[tokio::test]
async fn a_directory_that_is_no_node_s_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let ended = run(&["queue", "check", path]).await;
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(ended.err.replace(path, "D"), @"error: could not list D/topics: No such file or directory (os error 2)");
    assert!(!folder.path().join("lock").exists());
}

#[tokio::test]
async fn flags_of_a_node_and_a_subcommand_do_not_go_together() {
    let ended = run(&["queue", "--retain", "1h", "check", "somewhere"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let ended = run(&["queue", "--retain", "soon"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
}
