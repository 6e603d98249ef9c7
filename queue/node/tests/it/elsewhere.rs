//! Channels that lookups know of are made with the topic. A scripted lookup answers on both of its ports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use parking_lot::Mutex;
use punctual_queue_node::options::NodeOptions;
use punctual_queue_wire::lookup::{
    LookupIdentity, OK, Registration, RegistrationCommand, RegistrationReader, encode_answer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, PATIENCE, Running};

const CHANNELS: &str = r#"{"channels":["a","b","gone#ephemeral","no name!"]}"#;

/// A lookup that knows the channels of every topic. Of one called `slow` it says so only when it is told to.
pub(crate) struct Lookup {
    address: String,
    listed: Arc<Mutex<BTreeSet<String>>>,
    asked: Arc<AtomicUsize>,
    answer_slow: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Lookup {
    pub(crate) async fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        let identity = LookupIdentity {
            broadcast_address: "127.0.0.1".to_owned(),
            http_port: http.local_addr().unwrap().port(),
            ..LookupIdentity::default()
        };
        let listed = Arc::<Mutex<BTreeSet<String>>>::default();
        let (asked, answer_slow) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
        let mut tasks = JoinSet::new();
        let registered = Arc::clone(&listed);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                connections.spawn(register(
                    tcp.accept().await.unwrap().0,
                    identity.clone(),
                    Arc::clone(&registered),
                ));
            }
        });
        let (counter, gate) = (Arc::clone(&asked), Arc::clone(&answer_slow));
        tasks.spawn(async move {
            let mut requests = JoinSet::new();
            loop {
                let (stream, _) = http.accept().await.unwrap();
                requests.spawn(answer(stream, Arc::clone(&counter), Arc::clone(&gate)));
            }
        });
        Self { address, listed, asked, answer_slow, _tasks: tasks }
    }

    pub(crate) fn options(&self, fixture: &Fixture) -> NodeOptions {
        NodeOptions { lookupd_tcp_addresses: vec![self.address.clone()], ..fixture.options() }
    }

    /// Waits until exactly these topics and channels, as `topic:channel`, are registered.
    pub(crate) async fn lists(&self, expected: &[&str]) {
        let reached = async {
            while !self.listed.lock().iter().eq(expected) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{:?} rather than {expected:?}", self.listed.lock());
        }
    }

    async fn was_asked(&self, times: usize) {
        let reached = async {
            while self.asked.load(Ordering::SeqCst) < times {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the lookup is asked");
    }
}

async fn register(mut stream: TcpStream, identity: LookupIdentity, listed: Arc<Mutex<BTreeSet<String>>>) {
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).await.unwrap();
    let mut reader = RegistrationReader::new(64 * 1024);
    let mut input = BytesMut::new();
    loop {
        while let Some(command) = reader.next(&mut input).unwrap() {
            let mut answer = BytesMut::new();
            let name = |of: Registration| match of.channel {
                Some(channel) => format!("{}:{channel}", of.topic),
                None => of.topic.to_string(),
            };
            match command {
                RegistrationCommand::Identify(_) => encode_answer(&identity.to_json(), &mut answer),
                RegistrationCommand::Register(of) => {
                    listed.lock().insert(name(of));
                    encode_answer(OK, &mut answer);
                }
                RegistrationCommand::Unregister(of) => {
                    listed.lock().remove(&name(of));
                    encode_answer(OK, &mut answer);
                }
                RegistrationCommand::Ping => encode_answer(OK, &mut answer),
            }
            stream.write_all(&answer).await.unwrap();
        }
        if stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<AtomicUsize>, gate: Arc<Notify>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("GET /channels?topic="), "{request}");
    asked.fetch_add(1, Ordering::SeqCst);
    if request.starts_with("GET /channels?topic=slow ") {
        gate.notified().await;
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", CHANNELS.len());
    // The node that asked may be gone by now.
    let _ = stream.write_all(format!("{head}{CHANNELS}").as_bytes()).await;
}

async fn channels(node: &Running, topic: &str) -> Vec<String> {
    let stats: serde_json::Value =
        node.get(&format!("/stats?format=json&topic={topic}")).await.json().await.unwrap();
    let channels = stats["topics"][0]["channels"].as_array().cloned().unwrap_or_default();
    channels.iter().map(|channel| channel["channel_name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_channel_that_a_lookup_knows_of_gets_the_first_message() {
    let (fixture, lookup) = (Fixture::new(), Lookup::start().await);
    let node = fixture.start_with(lookup.options(&fixture)).await;
    node.publish("slow", &["first"]).await; // acknowledged while the lookup is being asked
    let mut early = node.subscribe("slow", "early", 9).await;
    lookup.was_asked(1).await;
    early.expect_silence().await;
    assert_eq!(channels(&node, "slow").await, ["early"]);

    node.publish("quick", &["first"]).await;
    let mut quick = node.subscribe("quick", "b", 9).await;
    quick.expect_message("first").await;

    lookup.answer_slow.notify_one();
    early.expect_message("first").await;
    assert_eq!(channels(&node, "slow").await, ["a", "b", "early"]);
    for channel in ["a", "b"] {
        assert_eq!(node.channel_stats("slow", channel).await["depth"], 1);
    }
    node.publish("slow", &["second"]).await;
    early.expect_message("second").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_killed_while_it_asks_goes_on_asking_at_the_next_start() {
    let (fixture, lookup) = (Fixture::new(), Lookup::start().await);
    let node = fixture.start_with(lookup.options(&fixture)).await;
    node.publish("slow", &["first"]).await;
    let early = node.subscribe("slow", "early", 9).await;
    lookup.was_asked(1).await;
    drop(early);
    node.kill().await;

    let node = fixture.start_with(lookup.options(&fixture)).await;
    node.publish("slow", &["second"]).await;
    lookup.was_asked(2).await;
    lookup.answer_slow.notify_waiters();
    for channel in ["a", "b", "early"] {
        let mut consumer = node.subscribe("slow", channel, 9).await;
        consumer.expect_message("first").await;
        consumer.expect_message("second").await;
    }
    node.stop().await.unwrap();
    let node = fixture.start_with(lookup.options(&fixture)).await;
    node.publish("slow", &["third"]).await;
    node.wait_for("slow", "a", "depth", 3).await;
    assert_eq!(lookup.asked.load(Ordering::SeqCst), 2, "asked once, it is open");
}

#[tokio::test]
async fn a_lookup_out_of_reach_keeps_no_message_back() {
    let fixture = Fixture::new();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = NodeOptions { lookupd_tcp_addresses: vec![unused.to_string()], ..fixture.options() };
    let node = fixture.start_with(options).await;
    node.publish("t", &["m"]).await;
    node.subscribe("t", "c", 1).await.expect_message("m").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_lookup_that_does_not_answer_keeps_messages_back_for_its_time_only() {
    let (fixture, lookup) = (Fixture::new(), Lookup::start().await);
    let mut options = lookup.options(&fixture);
    options.auth.http_client_request_timeout = std::time::Duration::from_millis(50);
    let node = fixture.start_with(options).await;
    node.publish("slow", &["m"]).await;
    let mut consumer = node.subscribe("slow", "c", 1).await;
    lookup.was_asked(1).await;
    consumer.expect_message("m").await;
    assert_eq!(channels(&node, "slow").await, ["c"]);
    node.stop().await.unwrap();
}
