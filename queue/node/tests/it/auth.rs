//! Authorisation by an authentication server, on both interfaces.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use parking_lot::Mutex;
use punctual_queue_node::options::{AuthMethod, NodeOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fixture::{Client, Fixture, Running};

/// An authentication server that answers what it is told to, and remembers what it was asked.
#[derive(Clone, Default)]
struct Script {
    answer: Arc<Mutex<(u16, Value)>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    method: String,
    uri: String,
    accept: String,
    body: String,
}

struct AuthServer {
    address: SocketAddr,
    script: Script,
    _stop: DropGuard,
}

impl AuthServer {
    #[expect(clippy::disallowed_methods, reason = "the guard ends it")]
    async fn start() -> Self {
        let script = Script::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let app = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(punctual_service::http::serve(listener, app, stop.clone()));
        let server = Self { address, script, _stop: stop.drop_guard() };
        server.answers(200, granting(3600));
        server
    }

    fn answers(&self, status: u16, answer: Value) {
        *self.script.answer.lock() = (status, answer);
    }

    fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().clone()
    }

    fn options(&self, fixture: &Fixture) -> NodeOptions {
        let mut options = fixture.options();
        options.auth.auth_http_addresses = vec![self.address.to_string()];
        options
    }
}

async fn answer(State(script): State<Script>, request: Request) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let accept = head.headers["accept"].to_str().unwrap().to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let asked = Asked { method: head.method.to_string(), uri: head.uri.to_string(), accept, body };
    script.asked.lock().push(asked);
    let (status, answer) = script.answer.lock().clone();
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

/// Subscribe to `in*`, any channel; publish to `out*`.
fn granting(ttl: i64) -> Value {
    json!({
        "ttl": ttl,
        "identity": "ann",
        "identity_url": "https://people/ann",
        "authorizations": [
            { "permissions": ["subscribe"], "topic": "^in", "channels": ["^c"] },
            { "permissions": ["publish"], "topic": "^out", "channels": [".*"] },
        ],
    })
}

fn auth(secret: &str) -> Vec<u8> {
    [b"AUTH\n", &(secret.len() as u32).to_be_bytes()[..], secret.as_bytes()].concat()
}

async fn authenticated(node: &Running) -> Client {
    let mut client = node.connect().await;
    client.send(&auth("s3 cret")).await;
    client
        .expect_response(
            r#"{\"identity\":\"ann\",\"identity_url\":\"https://people/ann\",\"permission_count\":2}"#,
        )
        .await;
    client
}

#[tokio::test]
async fn a_client_may_do_what_its_secret_is_granted() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let node = fixture.start_with(server.options(&fixture)).await;
    let mut client = node.connect().await;
    assert_eq!(client.negotiate(json!({})).await["auth_required"], true);
    drop(client);

    let mut client = authenticated(&node).await;
    client.publish("out.1", b"m").await;
    client.expect_ok().await;
    client.send(b"SUB in.1 c1\n").await;
    client.expect_ok().await;
    let stats = node.channel_stats("in.1", "c1").await;
    assert_eq!(stats["clients"][0]["authed"], true);
    assert_eq!(stats["clients"][0]["auth_identity"], "ann");
    assert_eq!(stats["clients"][0]["auth_identity_url"], "https://people/ann");
    assert_eq!(
        server.asked(),
        [Asked {
            method: "GET".to_owned(),
            uri: "/auth?common_name=&remote_ip=127.0.0.1&secret=s3+cret&tls=false".to_owned(),
            accept: "application/vnd.nsq; version=1.0".to_owned(),
            body: String::new(),
        }]
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_granted_is_refused_in_nsqs_words_and_leaves_nothing_behind() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let node = fixture.start_with(server.options(&fixture)).await;
    let one = |command: &str, topic: &str| {
        [format!("{command} {topic}\n").as_bytes(), &1_u32.to_be_bytes()[..], b"m"].concat()
    };
    let deferred = [b"DPUB in.1 5\n", &1_u32.to_be_bytes()[..], b"m"].concat();
    for (bytes, expected) in [
        (one("PUB", "in.1"), r#"E_UNAUTHORIZED AUTH failed for PUB on "in.1" """#),
        (deferred, r#"E_UNAUTHORIZED AUTH failed for DPUB on "in.1" """#),
        // Nothing of the body is awaited.
        (b"MPUB in.1\n".to_vec(), r#"E_UNAUTHORIZED AUTH failed for MPUB on "in.1" """#),
        (b"SUB out.1 c\n".to_vec(), r#"E_UNAUTHORIZED AUTH failed for SUB on "out.1" "c""#),
        (b"SUB in.1 other\n".to_vec(), r#"E_UNAUTHORIZED AUTH failed for SUB on "in.1" "other""#),
        (auth("again"), "E_INVALID AUTH already set"),
    ] {
        let mut client = authenticated(&node).await;
        client.send(&bytes).await;
        client.expect_error(expected).await;
        client.expect_end().await;
    }
    for (bytes, command) in
        [(one("PUB", "out"), "PUB"), (b"MPUB out\n".to_vec(), "MPUB"), (b"SUB in c\n".to_vec(), "SUB")]
    {
        let mut client = node.connect().await;
        client.send(&bytes).await;
        client.expect_error(&format!("E_AUTH_FIRST AUTH required before {command}")).await;
        client.expect_end().await;
    }
    let stats: Value = node.get("/stats?format=json").await.json().await.unwrap();
    assert_eq!(stats["topics"], json!([]));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_no_server_vouches_for_is_refused() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let node = fixture.start_with(server.options(&fixture)).await;
    for (status, answer, expected) in [
        (200, json!({ "ttl": 5, "authorizations": [] }), "E_UNAUTHORIZED AUTH no authorizations found"),
        (200, json!({ "ttl": 0, "authorizations": [] }), "E_AUTH_FAILED AUTH failed"),
        (500, granting(5), "E_AUTH_FAILED AUTH failed"),
        (403, json!({ "message": "NO" }), "E_AUTH_FAILED AUTH failed"),
        (302, granting(5), "E_AUTH_FAILED AUTH failed"),
    ] {
        server.answers(status, answer);
        let mut client = node.connect().await;
        client.send(&auth("s")).await;
        client.expect_error(expected).await;
        client.expect_end().await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn auth_is_refused_where_there_is_none() {
    let node = Fixture::new().start().await;
    let mut client = node.connect().await;
    client.send(&auth("s")).await;
    client.expect_error("E_AUTH_DISABLED AUTH disabled").await;
    client.expect_end().await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn another_server_is_asked_when_one_is_out_of_reach() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let mut options = server.options(&fixture);
    options.auth.auth_http_addresses =
        vec!["127.0.0.1:1".to_owned(), format!("http://{}/own/path", server.address)];
    options.auth.auth_http_request_method = AuthMethod::Post;
    let node = fixture.start_with(options).await;
    authenticated(&node).await;
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.uri.as_str()), ("POST", "/own/path"));
    let expected =
        json!({ "common_name": [""], "remote_ip": ["127.0.0.1"], "secret": ["s3 cret"], "tls": ["false"] });
    assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap(), expected);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_granted_is_asked_for_again_when_its_time_is_over() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let node = fixture.start_with(server.options(&fixture)).await;
    server.answers(200, granting(1));
    let mut client = authenticated(&node).await;
    let mut publish_until_asked = async |times: usize| {
        while server.asked().len() < times {
            client.publish("out", b"m").await;
            match client.next().await {
                Some(punctual_queue_wire::frame::Frame::Response(_)) => {}
                other => return Some(format!("{other:?}")),
            }
        }
        None
    };
    assert_eq!(publish_until_asked(3).await, None);
    server.answers(500, Value::Null);
    let refused = publish_until_asked(5).await.unwrap();
    assert!(refused.contains("E_AUTH_FAILED"), "{refused}");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn http_asks_for_the_secret_too_when_that_is_switched_on() {
    let (fixture, server) = (Fixture::new(), AuthServer::start().await);
    let mut options = server.options(&fixture);
    options.auth.http_auth_required = true;
    let node = fixture.start_with(options).await;
    let client = reqwest::Client::new();
    let ask = async |method: &str, path: &str, secret: Option<&str>| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("http://{}{path}", node.http)).body("m");
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (method, path, secret, status, body) in [
        ("GET", "/ping", None, 200, "OK"),
        ("POST", "/pub?topic=out", None, 401, r#"{"message":"AUTH_REQUIRED"}"#),
        ("POST", "/pub?topic=out", Some("s"), 200, "OK"),
        ("POST", "/pub?topic=in", Some("s"), 403, r#"{"message":"UNAUTHORIZED"}"#),
        ("POST", "/topic/delete?topic=in", Some("s"), 403, r#"{"message":"UNAUTHORIZED"}"#),
        ("POST", "/channel/create?topic=out&channel=c", Some("s"), 403, r#"{"message":"UNAUTHORIZED"}"#),
        ("POST", "/channel/create?topic=in&channel=c", Some("s"), 404, r#"{"message":"TOPIC_NOT_FOUND"}"#),
        ("GET", "/stats?format=json", None, 401, r#"{"message":"AUTH_REQUIRED"}"#),
        ("PUT", "/config/nsqlookupd_tcp_addresses", Some("s"), 403, r#"{"message":"UNAUTHORIZED"}"#),
    ] {
        assert_eq!(ask(method, path, secret).await, (status, body.to_owned()), "{method} {path}");
    }
    assert_eq!(ask("GET", "/stats?format=json", Some("s")).await.0, 200);
    assert_eq!(ask("GET", "/metrics", Some("s")).await.0, 200);
    assert_eq!(server.asked().len(), 1, "the answer is remembered");
    server.answers(200, json!({ "ttl": 0 }));
    assert_eq!(ask("GET", "/info", Some("other")).await, (403, r#"{"message":"AUTH_FAILED"}"#.to_owned()));
    let everything = json!({ "permissions": ["subscribe", "publish"], "topic": ".*", "channels": [".*"] });
    server.answers(200, json!({ "ttl": 5, "authorizations": [everything] }));
    assert_eq!(ask("PUT", "/config/nsqlookupd_tcp_addresses", Some("root")).await.0, 400, "m is no JSON");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_be_asked_is_refused_at_the_start() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.auth.auth_http_addresses = vec!["ftp://somewhere".to_owned()];
    let error = punctual_queue_node::node::Node::open(options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "--auth-http-address ftp://somewhere is neither host:port nor an http or https URL"
    );
}
