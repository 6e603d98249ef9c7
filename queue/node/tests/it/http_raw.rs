//! The HTTP interface as a socket sees it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE, Running};

/// Sends this much, and reads until the node closes the connection.
async fn exchange(node: &Running, sent: &[u8]) -> String {
    let (mut read, mut write) = TcpStream::connect(node.http).await.unwrap().into_split();
    let mut answer = Vec::new();
    let both = async {
        // The node may have closed the connection before it has read all.
        let (_sent_or_not, got) = tokio::join!(write.write_all(sent), read.read_to_end(&mut answer));
        got.unwrap();
    };
    timeout(PATIENCE, both).await.expect("the node closes the connection");
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn check(answer: &str, status: &str, body: &str) {
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert_eq!(content, body);
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_waited_for() {
    let node = Fixture::new().start().await;
    for (path, bytes, code) in [
        ("/pub?topic=t", 1024 * 1024 + 1, "MSG_TOO_BIG"),
        ("/mpub?topic=t", 5 * 1024 * 1024 + 1, "BODY_TOO_BIG"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: node\r\nContent-Length: {bytes}\r\n\r\n");
        let refused = format!(r#"{{"message":"{code}"}}"#);
        check(&exchange(&node, head.as_bytes()).await, "413", &refused);
        // Nor does one that is sent all the same keep the sender from reading the answer.
        let all = [head.as_bytes(), &vec![b'x'; bytes]].concat();
        check(&exchange(&node, &all).await, "413", &refused);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_chunk_by_chunk_is_refused_too() {
    let node = Fixture::new().start().await;
    let chunk = [b"100000\r\n", &[b'x'; 0x10_0000][..], b"\r\n"].concat();
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n");
    let sent = [head("/pub?topic=t").as_bytes(), &chunk, b"1\r\nx\r\n0\r\n\r\n"].concat();
    check(&exchange(&node, &sent).await, "413", r#"{"message":"MSG_TOO_BIG"}"#);
    let sent = [head("/mpub?topic=t").as_bytes(), &chunk.repeat(6)].concat();
    check(&exchange(&node, &sent).await, "413", r#"{"message":"BODY_TOO_BIG"}"#);
}

/// go-nsq takes the first four bytes for a frame's size, and knows these.
#[tokio::test]
async fn stray_bytes_are_answered_in_http() {
    let node = Fixture::new().start().await;
    for stray in [
        &b"  V2"[..],
        b"  V2IDENTIFY\n\0\0\0\x02{}",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0",
        b"GET /ping\x01 HTTP/1.1\r\n\r\n",
        b"PUB t\n\0\0\0\x01x",
    ] {
        let answer = exchange(&node, stray).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{} got {answer:?}", stray.escape_ascii());
    }
}

#[tokio::test]
async fn connections_are_kept_and_pipelined() {
    let node = Fixture::new().start().await;
    let ping = "GET /ping HTTP/1.1\r\nHost: node\r\n\r\n";
    let refused = "POST /pub HTTP/1.1\r\nHost: node\r\nContent-Length: 1\r\n\r\nx";
    let last = "GET /ping HTTP/1.0\r\n\r\n";
    let answers = exchange(&node, [ping, refused, ping, last].concat().as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count() + answers.matches("HTTP/1.0 200 OK").count(), 3);
    assert_eq!(answers.matches(r#"{"message":"MISSING_ARG_TOPIC"}"#).count(), 1, "{answers}");
}
