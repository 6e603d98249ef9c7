//! Registering with a lookup: a scripted one listens.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use punctual_queue_node::error::NodeError;
use punctual_queue_node::node::Node;
use punctual_queue_node::options::{HttpAddress, NodeOptions};
use punctual_queue_wire::lookup::{
    LookupIdentity, OK, PeerInfo, RegistrationCommand, RegistrationReader, encode_answer,
};
use punctual_service::socket::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, PATIENCE, Running};

/// What a lookup was told on its latest connection.
#[derive(Debug, Default)]
struct Told {
    connections: usize,
    peer: Option<PeerInfo>,
    registered: BTreeSet<String>,
    /// What was said, in order: `+t` for a registration, `-t` for its end.
    said: Vec<String>,
}

/// How a test steers the lookup.
#[derive(Debug, Default)]
struct Script {
    told: Mutex<Told>,
    /// Ends the connection.
    cut: Notify,
    /// Lets the answer to the registration of the topic `hold` go out.
    go_on: Notify,
}

/// Answers registrations; a connection ends when `cut` is notified or the node closes it.
async fn lookup(listener: TcpListener, script: Arc<Script>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connections = script.told.lock().connections + 1;
        *script.told.lock() = Told { connections, ..Told::default() };
        tokio::select! {
            () = serve(stream, &script) => script.told.lock().peer = None,
            () = script.cut.notified() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, Script { told, go_on, .. }: &Script) {
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).await.unwrap();
    assert_eq!(&magic, b"  V1");
    let mut reader = RegistrationReader::new(64 * 1024);
    let mut input = BytesMut::new();
    loop {
        while let Some(command) = reader.next(&mut input).unwrap() {
            let mut answer = BytesMut::new();
            let name = |r: punctual_queue_wire::lookup::Registration| match r.channel {
                Some(channel) => format!("{}:{channel}", r.topic),
                None => r.topic.to_string(),
            };
            match command {
                RegistrationCommand::Identify(peer) => {
                    told.lock().peer = Some(peer);
                    encode_answer(&LookupIdentity::default().to_json(), &mut answer);
                }
                RegistrationCommand::Register(r) => {
                    let name = name(r);
                    told.lock().said.push(format!("+{name}"));
                    if name == "hold" {
                        go_on.notified().await;
                    }
                    told.lock().registered.insert(name);
                    encode_answer(OK, &mut answer);
                }
                RegistrationCommand::Unregister(r) => {
                    let name = name(r);
                    told.lock().said.push(format!("-{name}"));
                    told.lock().registered.remove(&name);
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

async fn wait_until(told: &Mutex<Told>, reached: impl Fn(&Told) -> bool) {
    let wait = async {
        while !reached(&told.lock()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("not reached: {:?}", told.lock());
    }
}

/// A scripted lookup and a node that registers with it.
async fn registered(fixture: &Fixture) -> (Running, Arc<Script>, JoinSet<()>) {
    registered_with(fixture, fixture.options()).await
}

async fn registered_with(fixture: &Fixture, options: NodeOptions) -> (Running, Arc<Script>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = Arc::new(Script::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(lookup(listener, Arc::clone(&script)));
    let options = NodeOptions { lookupd_tcp_addresses: vec![address], ..options };
    let node = fixture.start_with(options).await;
    wait_until(&script.told, |told| told.peer.is_some()).await;
    (node, script, tasks)
}

#[tokio::test]
async fn a_lookup_hears_of_every_topic_and_channel_also_after_it_was_away() {
    let fixture = Fixture::new();
    let (node, script, _tasks) = registered(&fixture).await;
    let told = &script.told;
    let has = |names: &'static [&'static str]| {
        move |told: &Told| told.registered.iter().map(String::as_str).eq(names.iter().copied())
    };
    let peer = told.lock().peer.clone().unwrap();
    assert_eq!(
        (peer.broadcast_address.as_str(), peer.tcp_port, peer.http_port),
        ("127.0.0.1", node.tcp.port(), node.http.port())
    );
    node.publish("a", &["m"]).await;
    let _consumer = node.subscribe("b", "c", 1).await;
    wait_until(told, has(&["a", "b", "b:c"])).await;

    script.cut.notify_one();
    wait_until(told, |told| told.connections == 2).await;
    wait_until(told, has(&["a", "b", "b:c"])).await;

    node.post("/channel/delete?topic=b&channel=c").await;
    wait_until(told, has(&["a", "b"])).await;
    node.post("/topic/delete?topic=a").await;
    wait_until(told, has(&["b"])).await;

    node.stop().await.unwrap();
    wait_until(told, |told| told.peer.is_none()).await;
}

#[tokio::test]
async fn a_broadcast_port_of_zero_stands_for_the_one_that_is_listened_on() {
    let fixture = Fixture::new();
    let options =
        NodeOptions { broadcast_tcp_port: Some(0), broadcast_http_port: Some(0), ..fixture.options() };
    let (node, script, _tasks) = registered_with(&fixture, options).await;
    let peer = script.told.lock().peer.clone().unwrap();
    assert_eq!((peer.tcp_port, peer.http_port), (node.tcp.port(), node.http.port()));
    node.stop().await.unwrap();

    let options =
        NodeOptions { broadcast_tcp_port: Some(7), broadcast_http_port: Some(8), ..fixture.options() };
    let (node, script, _tasks) = registered_with(&fixture, options).await;
    let peer = script.told.lock().peer.clone().unwrap();
    assert_eq!((peer.tcp_port, peer.http_port), (7, 8));
    let info: serde_json::Value = node.get("/info").await.json().await.unwrap();
    assert_eq!((&info["tcp_port"], &info["http_port"]), (&node.tcp.port().into(), &node.http.port().into()));
    node.stop().await.unwrap();

    let options = NodeOptions {
        tcp_address: Address::Unix(fixture.data_path().join("socket")),
        broadcast_tcp_port: Some(0),
        lookupd_tcp_addresses: vec!["127.0.0.1:1".to_owned()],
        ..fixture.options()
    };
    let refused = Node::open(options).await.unwrap_err();
    assert!(matches!(refused, NodeError::NothingToRegister), "{refused:?}");
}

#[tokio::test]
async fn a_node_without_http_serves_and_registers_all_the_same() {
    let fixture = Fixture::new();
    let options = NodeOptions { http_address: HttpAddress::Off, ..fixture.options() };
    let (node, script, _tasks) = registered_with(&fixture, options).await;
    // Lookups take no node without a port for HTTP.
    assert_eq!(script.told.lock().peer.as_ref().map(|peer| peer.http_port), Some(4151));
    node.publish("t", &["m"]).await;
    node.subscribe("t", "c", 1).await.expect_message("m").await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_deleted_and_made_again_is_registered_anew() {
    let fixture = Fixture::new();
    let (node, script, _tasks) = registered(&fixture).await;
    let _consumer = node.subscribe("t", "c", 1).await;
    wait_until(&script.told, |told| told.registered.contains("t:c")).await;
    script.told.lock().said.clear();

    node.post("/topic/create?topic=hold").await;
    wait_until(&script.told, |told| told.said == ["+hold"]).await;
    // While the lookup keeps the node waiting, which so sees only that there is a `t` before and after.
    node.post("/topic/delete?topic=t").await;
    let _consumer = node.subscribe("t", "c", 1).await;
    script.go_on.notify_one();
    wait_until(&script.told, |told| told.said == ["+hold", "-t:c", "-t", "+t", "+t:c"]).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_lookup_out_of_reach_holds_nobody_up() {
    let fixture = Fixture::new();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = NodeOptions { lookupd_tcp_addresses: vec![unused.to_string()], ..fixture.options() };
    let node = fixture.start_with(options).await;
    node.publish("t", &["m"]).await;
    node.stop().await.unwrap();
}
