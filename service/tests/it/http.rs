//! HTTP/1.1 from clients of every kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::server::{Server, within};

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn garbage_is_answered_with_400() {
    let server = Server::start(hello()).await;
    let mut connection = server.connect().await;
    connection.send("  V2\0\0\0\u{1}garbage\r\n\r\n").await;
    let said = connection.rest().await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert!(server.get("/").await.ends_with("hello"), "others are served");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off() {
    let server = Server::start(hello()).await;
    let started = Instant::now();
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nHost: ").await;
    slow.rest().await;
    assert!(started.elapsed() >= Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(server.get("/").await.ends_with("hello"), "others are served");
}

#[tokio::test]
async fn a_request_in_hand_is_answered_after_shutdown_and_new_ones_are_refused() {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = Router::new().route(
        "/slow",
        get({
            let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
            move || async move {
                arrived.notify_one();
                go_on.notified().await;
                "done"
            }
        }),
    );
    let server = Server::start(app).await;
    let mut connection = server.connect().await;
    connection.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await;
    within(arrived.notified()).await;
    server.shutdown.cancel();
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    go_on.notify_one();
    let said = connection.rest().await;
    assert!(said.ends_with("done"), "{said}");
    server.ended().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_shutdown() {
    let server = Server::start(hello()).await;
    let mut idle = server.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    server.get("/").await;
    server.shutdown.cancel();
    idle.rest().await;
    server.ended().await;
}

#[tokio::test]
async fn a_panicking_handler_ends_its_own_connection_only() {
    async fn broken() -> &'static str {
        panic!("broken")
    }
    let server = Server::start(hello().route("/broken", get(broken))).await;
    assert_eq!(server.get("/broken").await, "");
    assert!(server.get("/").await.ends_with("hello"));
}
