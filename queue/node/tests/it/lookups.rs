//! Registering with a lookup: a scripted one listens.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use punctual_queue_node::options::NodeOptions;
use punctual_queue_wire::lookup::{
    LookupIdentity, OK, PeerInfo, RegistrationCommand, RegistrationReader, encode_answer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Fixture, PATIENCE};

/// What a lookup was told on its latest connection.
#[derive(Debug, Default)]
struct Told {
    connections: usize,
    peer: Option<PeerInfo>,
    registered: BTreeSet<String>,
}

/// Answers registrations; a connection ends when `cut` is notified or the node closes it.
async fn lookup(listener: TcpListener, told: Arc<Mutex<Told>>, cut: Arc<tokio::sync::Notify>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connections = told.lock().connections + 1;
        *told.lock() = Told { connections, ..Told::default() };
        tokio::select! {
            () = serve(stream, &told) => told.lock().peer = None,
            () = cut.notified() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, told: &Mutex<Told>) {
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
                    told.lock().registered.insert(name(r));
                    encode_answer(OK, &mut answer);
                }
                RegistrationCommand::Unregister(r) => {
                    told.lock().registered.remove(&name(r));
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

#[tokio::test]
async fn a_lookup_hears_of_every_topic_and_channel_also_after_it_was_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told = Arc::new(Mutex::new(Told::default()));
    let cut = Arc::new(tokio::sync::Notify::new());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(lookup(listener, Arc::clone(&told), Arc::clone(&cut)));

    let fixture = Fixture::new();
    let node =
        fixture.start_with(NodeOptions { lookupd_tcp_addresses: vec![address], ..fixture.options() }).await;
    let has = |names: &'static [&'static str]| {
        move |told: &Told| told.registered.iter().map(String::as_str).eq(names.iter().copied())
    };
    wait_until(&told, |told| told.peer.is_some()).await;
    let peer = told.lock().peer.clone().unwrap();
    assert_eq!(
        (peer.broadcast_address.as_str(), peer.tcp_port, peer.http_port),
        ("127.0.0.1", node.tcp.port(), node.http.port())
    );
    node.publish("a", &["m"]).await;
    let _consumer = node.subscribe("b", "c", 1).await;
    wait_until(&told, has(&["a", "b", "b:c"])).await;

    cut.notify_one();
    wait_until(&told, |told| told.connections == 2).await;
    wait_until(&told, has(&["a", "b", "b:c"])).await;

    node.post("/channel/delete?topic=b&channel=c").await;
    wait_until(&told, has(&["a", "b"])).await;
    node.post("/topic/delete?topic=a").await;
    wait_until(&told, has(&["b"])).await;

    node.stop().await.unwrap();
    wait_until(&told, |told| told.peer.is_none()).await;
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
