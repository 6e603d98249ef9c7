//! Nodes register, ping, and go.

use std::io::ErrorKind;

use punctual_queue_wire::lookup::{LookupIdentity, Registration, RegistrationCommand};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::lookup::{Node, PATIENCE, Running, peer};

fn names(topic: &str, channel: Option<&str>) -> Registration {
    Registration {
        topic: topic.parse().expect("a topic's name"),
        channel: channel.map(|channel| channel.parse().expect("a channel's name")),
    }
}

#[tokio::test]
async fn what_a_node_registers_is_found_until_it_disconnects() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    let register = RegistrationCommand::Register(names("orders", Some("mail")));
    assert_eq!(node.command(&register).await?, "OK");
    assert_eq!(node.command(&RegistrationCommand::Ping).await?, "OK");
    let (status, found) = lookup.get("/lookup?topic=orders").await?;
    assert_eq!(status, 200);
    assert!(
        found.contains(r#""broadcast_address":"node-1""#) && found.contains(r#""channels":["mail"]"#),
        "{found}"
    );

    let unregister = RegistrationCommand::Unregister(names("orders", Some("mail")));
    assert_eq!(node.command(&unregister).await?, "OK");
    drop(node);
    lookup.wait_for("/lookup?topic=orders", "node-1", false).await?;
    assert_eq!(lookup.get("/lookup?topic=orders").await?.1, r#"{"channels":["mail"],"producers":[]}"#);
    assert_eq!(lookup.get("/nodes").await?.1, r#"{"producers":[]}"#);
    Ok(())
}

#[tokio::test]
async fn a_name_too_many_is_refused_and_the_others_stay() -> anyhow::Result<()> {
    let lookup = Running::start(&["--max-names-per-node=2"]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    let register = RegistrationCommand::Register(names("orders", Some("mail")));
    assert_eq!(node.command(&register).await?, "OK");
    let refused = node.command(&RegistrationCommand::Register(names("more", None))).await?;
    assert_eq!(refused, "E_REGISTER_FAILED REGISTER a node may have no more than 2 topics and channels");
    assert_eq!(node.command(&RegistrationCommand::Ping).await?, "OK");
    assert_eq!(lookup.get("/topics").await?.1, r#"{"topics":["orders"]}"#);
    Ok(())
}

#[tokio::test]
async fn a_node_is_told_where_to_ask_over_http() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::connect(&lookup).await?;
    let answer = node.command(&RegistrationCommand::Identify(peer("node-1"))).await?;
    let identity = LookupIdentity::from_json(answer.as_bytes()).expect("the answer is JSON");
    // A loopback listener is not reachable under the host's name.
    assert_eq!(format!("{}:{}", identity.broadcast_address, identity.http_port), lookup.http.to_string());
    assert_eq!(identity.tcp_port, lookup.tcp.port());
    Ok(())
}

#[tokio::test]
async fn commands_may_arrive_in_pieces_and_together() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    node.stream.write_all(b"REGISTER or").await?;
    assert_eq!(node.send(b"ders\nREGISTER more\nPING\n").await?, "OK");
    assert_eq!((node.answer().await?, node.answer().await?), ("OK".to_owned(), "OK".to_owned()));
    assert_eq!(lookup.get("/topics").await?.1, r#"{"topics":["more","orders"]}"#);
    Ok(())
}

/// Sends bytes to a fresh connection, past the magic, and expects an answer and the connection's end.
async fn check(bytes: &[u8], answer: &str) -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut other = Node::identified(&lookup, "other").await?;
    let mut node = Node::connect(&lookup).await?;
    assert_eq!(node.send(bytes).await?, answer);
    node.closed().await?;
    assert_eq!(other.command(&RegistrationCommand::Ping).await?, "OK", "others are not disturbed");
    Ok(())
}

#[tokio::test]
async fn a_node_that_breaks_the_protocol_is_told_and_let_go() -> anyhow::Result<()> {
    check(b"NONSENSE\n", "E_INVALID invalid command NONSENSE").await?;
    check(b"REGISTER t\n", "E_INVALID client must IDENTIFY").await?;
    check(b"IDENTIFY\n\xff\xff\xff\xff", "E_BAD_BODY IDENTIFY failed to read body size").await?;
    check(b"IDENTIFY\n\x7f\xff\xff\xff", "E_BAD_BODY IDENTIFY failed to read body size").await?;
    check(b"IDENTIFY\n\x00\x00\x00\x01x", "E_BAD_BODY IDENTIFY failed to decode JSON body").await?;
    check(b"IDENTIFY\n\x00\x01\x00\x01", "E_BAD_BODY IDENTIFY failed to read body size").await?;
    check(b"IDENTIFY\n\x00\x00\x00\x02{}", "E_BAD_BODY IDENTIFY missing fields").await
}

#[tokio::test]
async fn garbage_is_answered_and_disturbs_nobody() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    let mut garbage = TcpStream::connect(lookup.tcp).await?;
    garbage.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, garbage.read_to_end(&mut answer)).await??;
    assert_eq!(answer, b"\x00\x00\x00\x0eE_BAD_PROTOCOL");
    assert_eq!(node.command(&RegistrationCommand::Ping).await?, "OK");
    Ok(())
}

#[tokio::test]
async fn a_silent_node_is_not_listed_until_it_pings() -> anyhow::Result<()> {
    let lookup = Running::start(&["--inactive-producer-timeout", "200ms"]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    assert_eq!(node.send(b"REGISTER orders\n").await?, "OK");
    lookup.wait_for("/nodes", "node-1", false).await?;
    assert_eq!(lookup.get("/lookup?topic=orders").await?.1, r#"{"channels":[],"producers":[]}"#);
    assert!(lookup.get("/debug").await?.1.contains("node-1"), "it is still known");
    assert_eq!(node.command(&RegistrationCommand::Ping).await?, "OK", "its connection still stands");
    lookup.wait_for("/lookup?topic=orders", "node-1", true).await
}

#[tokio::test]
async fn an_identify_that_breaks_off_is_named() -> anyhow::Result<()> {
    for (bytes, answer) in [
        (&b"IDENTIFY\n\0\0"[..], "E_BAD_BODY IDENTIFY failed to read body size"),
        (b"IDENTIFY\n\0\0\0\x0a{", "E_BAD_BODY IDENTIFY failed to read body"),
    ] {
        let lookup = Running::start(&[]).await?;
        let mut node = Node::connect(&lookup).await?;
        node.stream.write_all(bytes).await?;
        node.stream.shutdown().await?;
        assert_eq!(node.answer().await?, answer);
        node.closed().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_ping_needs_no_identity() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::connect(&lookup).await?;
    assert_eq!(node.command(&RegistrationCommand::Ping).await?, "OK");
    assert_eq!(lookup.get("/nodes").await?.1, r#"{"producers":[]}"#);
    Ok(())
}

#[tokio::test]
async fn two_connections_of_one_node_are_two_entries() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let (mut old, mut new) =
        (Node::identified(&lookup, "node-1").await?, Node::identified(&lookup, "node-1").await?);
    assert_eq!(old.send(b"REGISTER orders\n").await?, "OK");
    assert_eq!(new.send(b"REGISTER orders\n").await?, "OK");
    let listed =
        async || anyhow::Ok(lookup.get("/lookup?topic=orders").await?.1.matches("node-1\",\"tcp").count());
    assert_eq!(listed().await?, 2);
    drop(old);
    // A node that comes back before its old connection is noticed stays listed when that one goes.
    let wait = async {
        while listed().await? != 1 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, wait).await??;
    assert_eq!(new.command(&RegistrationCommand::Ping).await?, "OK");
    Ok(())
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_after_the_handshake_time() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut silent = TcpStream::connect(lookup.tcp).await?;
    let read = timeout(PATIENCE, silent.read_u8()).await?;
    assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::UnexpectedEof));
    Ok(())
}

#[tokio::test]
async fn connections_that_say_half_of_something_hold_nobody_up() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let halves = [&b"  V"[..], b"  V1", b"  V1REGISTER ord", b"  V1IDENTIFY\n\0\0\xff\xff{"];
    let mut idle = Vec::new();
    for half in halves.iter().cycle().take(200) {
        let mut stream = TcpStream::connect(lookup.tcp).await?;
        stream.write_all(half).await?;
        idle.push(stream);
    }
    let mut node = Node::identified(&lookup, "node-1").await?;
    assert_eq!(node.send(b"REGISTER orders\n").await?, "OK");
    assert_eq!(lookup.get("/topics").await?.1, r#"{"topics":["orders"]}"#);
    assert_eq!(lookup.get("/nodes").await?.1.matches("\"remote_address\"").count(), 1);
    Ok(())
}

#[tokio::test]
async fn stopping_closes_the_nodes_connections() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    lookup.shutdown.cancel();
    node.closed().await?;
    lookup.end().await
}
