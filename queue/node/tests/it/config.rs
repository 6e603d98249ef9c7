//! What the node is set to, and changing it while it runs.

use punctual_queue_node::options::NodeOptions;
use reqwest::Method;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE, Running};

const LOOKUPS: &str = "nsqlookupd_tcp_addresses";

async fn ask(
    node: &Running,
    method: Method,
    option: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, String, String) {
    let url = format!("http://{}/config/{option}", node.http);
    let response = reqwest::Client::new().request(method, url).body(body).send().await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn options_have_nsqds_names_and_forms() {
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json; charset=utf-8";
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for (option, kind, value) in [
        ("msg_timeout", JSON, "60000000000"),
        ("max_msg_size", JSON, "1048576"),
        ("max_rdy_count", JSON, "2500"),
        ("broadcast_address", TEXT, "127.0.0.1"),
        (LOOKUPS, JSON, "[]"),
    ] {
        assert_eq!(ask(&node, Method::GET, option, "").await, (200, kind.to_owned(), value.to_owned()));
    }
    let port = ask(&node, Method::GET, "broadcast_tcp_port", "").await.2;
    assert_eq!(port, node.tcp.port().to_string());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_as_nsqd_does() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let error = |code: &str| format!(r#"{{"message":"{code}"}}"#);
    for (method, option, body, status, code) in [
        (Method::GET, "unknown", "", 400, "INVALID_OPTION"),
        (Method::PUT, "unknown", "1", 400, "INVALID_OPTION"),
        (Method::PUT, "max_msg_size", "1", 400, "INVALID_OPTION"),
        (Method::PUT, LOOKUPS, "", 413, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, "127.0.0.1:4160", 400, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, "[1]", 400, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, r#"["no-port"]"#, 400, "INVALID_VALUE"),
        (Method::POST, LOOKUPS, "[]", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "", "", 404, "NOT_FOUND"),
        (Method::GET, "a/b", "", 404, "NOT_FOUND"),
    ] {
        let (given, _, text) = ask(&node, method, option, body).await;
        assert_eq!((given, text), (status, error(code)), "{option} {body}");
    }
    let too_long = vec![b' '; NodeOptions::default().max_msg_size as usize + 1];
    assert_eq!(ask(&node, Method::PUT, LOOKUPS, too_long).await.0, 413);
    assert_eq!(ask(&node, Method::GET, LOOKUPS, "").await.2, "[]", "nothing was changed");
    node.stop().await.unwrap();
}

/// A lookup that takes connections and says nothing.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut magic = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut magic)).await.unwrap().unwrap();
    assert_eq!(&magic, b"  V1");
    stream
}

#[tokio::test]
async fn lookups_can_be_changed_while_the_node_runs() {
    let (old, old_address) = listener().await;
    let (new, new_address) = listener().await;
    let fixture = Fixture::new();
    let options = NodeOptions { lookupd_tcp_addresses: vec![old_address.clone()], ..fixture.options() };
    let node = fixture.start_with(options).await;
    let mut old_stream = accept(&old).await;
    assert_eq!(ask(&node, Method::GET, LOOKUPS, "").await.2, format!(r#"["{old_address}"]"#));

    let only_new = format!(r#"["{new_address}"]"#);
    let (status, _, value) = ask(&node, Method::PUT, LOOKUPS, only_new.clone()).await;
    assert_eq!((status, value), (200, only_new));
    accept(&new).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, old_stream.read_to_end(&mut rest)).await.unwrap().unwrap();

    assert_eq!(ask(&node, Method::PUT, LOOKUPS, "null").await.2, "[]");
    node.stop().await.unwrap();
}
