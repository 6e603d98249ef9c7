use std::time::{Duration, Instant};

use punctual_queue_wire::lookup::{PeerInfo, Registration};

use super::*;
use crate::registry::{Bounds, PeerId};

fn registry(now: Instant, of_all: usize) -> Registry {
    let bounds = Bounds { of_node: 2, of_all };
    let mut registry = Registry::new(Duration::from_secs(300), Duration::from_secs(45), bounds);
    let info = PeerInfo {
        broadcast_address: "node-1".to_owned(),
        hostname: "host-1".to_owned(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    };
    registry.identify(PeerId(1), &info, "10.0.0.1:50000".to_owned(), now);
    let registration =
        Registration { topic: "orders".parse().unwrap(), channel: Some("mail".parse().unwrap()) };
    registry.register(PeerId(1), registration).unwrap();
    registry
}

/// Asks `METHOD /path?query` and compares status and body.
#[track_caller]
fn check(request: &str, status: u16, body: &str) {
    let answer = ask(request);
    assert_eq!((answer.status, str::from_utf8(&answer.body).unwrap()), (status, body), "{request}");
}

fn ask(request: &str) -> Answer {
    ask_bounded(request, 4)
}

fn ask_bounded(request: &str, names: usize) -> Answer {
    let instant = Instant::now();
    let now = Moment { instant, unix_ns: 1_700_000_000_000_000_000 };
    let (method, target) = request.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    answer(&Request { method, path, query }, &mut registry(instant, names), now)
}

const NODE: &str = concat!(
    r#""remote_address":"10.0.0.1:50000","hostname":"host-1","broadcast_address":"node-1","#,
    r#""tcp_port":4150,"http_port":4151,"version":"1.3.0","topology_zone":"","topology_region":"""#,
);

#[test]
fn readers_get_bare_objects() {
    check("GET /ping", 200, "OK");
    check("GET /info", 200, r#"{"version":"1.3.0"}"#);
    check("GET /lookup?topic=orders", 200, &format!(r#"{{"channels":["mail"],"producers":[{{{NODE}}}]}}"#));
    check("GET /topics", 200, r#"{"topics":["orders"]}"#);
    check("GET /channels?topic=orders", 200, r#"{"channels":["mail"]}"#);
    check("GET /channels?topic=unknown", 200, r#"{"channels":[]}"#);
    let entry = format!(r#"{{{NODE},"tombstones":[false],"topics":["orders"]}}"#);
    check("GET /nodes", 200, &format!(r#"{{"producers":[{entry}]}}"#));
}

#[test]
fn debug_shows_all_that_is_registered() {
    let entry = concat!(
        r#"{"id":"10.0.0.1:50000","hostname":"host-1","broadcast_address":"node-1","tcp_port":4150,"#,
        r#""http_port":4151,"version":"1.3.0","topology_zone":"","topology_region":"","#,
        r#""last_update":1700000000000000000,"tombstoned":false,"tombstoned_at":0}"#,
    );
    let all =
        format!(r#"{{"channel:orders:mail":[{entry}],"client::":[{entry}],"topic:orders:":[{entry}]}}"#);
    check("GET /debug", 200, &all);
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    check("GET /lookup", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("GET /lookup?topic=", 404, r#"{"message":"TOPIC_NOT_FOUND"}"#);
    check("GET /lookup?topic=unknown", 404, r#"{"message":"TOPIC_NOT_FOUND"}"#);
    check("GET /lookup?topic=%zz", 400, r#"{"message":"INVALID_REQUEST"}"#);
    check("GET /channels", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("POST /topic/create?topic=a%20b", 400, r#"{"message":"INVALID_ARG_TOPIC"}"#);
    check("POST /topic/create", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("POST /topic/create?topic=", 400, r#"{"message":"INVALID_ARG_TOPIC"}"#);
    check("POST /topic/delete", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("POST /channel/create?channel=c", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("POST /channel/create?topic=!&channel=c", 400, r#"{"message":"INVALID_ARG_TOPIC"}"#);
    check("POST /channel/delete?topic=t", 400, r#"{"message":"MISSING_ARG_CHANNEL"}"#);
    check("POST /channel/delete?topic=t&channel=!", 400, r#"{"message":"INVALID_ARG_CHANNEL"}"#);
    check("POST /topic/tombstone?node=n", 400, r#"{"message":"MISSING_ARG_TOPIC"}"#);
    check("POST /channel/create?topic=t", 400, r#"{"message":"MISSING_ARG_CHANNEL"}"#);
    check("POST /channel/create?topic=t&channel=!", 400, r#"{"message":"INVALID_ARG_CHANNEL"}"#);
    check("POST /channel/delete?topic=orders&channel=x", 404, r#"{"message":"CHANNEL_NOT_FOUND"}"#);
    check("POST /topic/tombstone?topic=orders", 400, r#"{"message":"MISSING_ARG_NODE"}"#);
    check("GET /unknown", 404, r#"{"message":"NOT_FOUND"}"#);
    check("HEAD /ping", 405, r#"{"message":"METHOD_NOT_ALLOWED"}"#);
    check("GET /topic/create?topic=t", 405, r#"{"message":"METHOD_NOT_ALLOWED"}"#);
}

#[test]
fn changes_are_answered_with_nothing() {
    check("POST /topic/create?topic=t%23ephemeral", 200, "");
    check("POST /topic/delete?topic=unknown", 200, "");
    check("POST /channel/create?topic=t&channel=c", 200, "");
    check("POST /channel/delete?topic=orders&channel=mail", 200, "");
    check("POST /topic/tombstone?topic=orders&node=node-1:4151", 200, "");
}

#[test]
fn names_beyond_the_bound_are_not_taken_in() {
    for request in ["POST /topic/create?topic=t", "POST /channel/create?topic=orders&channel=c"] {
        let answer = ask_bounded(request, 2);
        assert_eq!((answer.status, &answer.body[..]), (503, &br#"{"message":"TOO_MANY_NAMES"}"#[..]));
        assert_eq!(ask_bounded(request, 3).status, 200);
    }
}

#[track_caller]
fn check_headers(request: &str, expect: &[(&str, &str)]) {
    let headers = ask(request).headers;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(headers, expect, "{request}");
}

#[test]
fn the_headers_are_those_that_clients_read() {
    const MARK: (&str, &str) = ("x-nsq-content-type", "nsq; version=1.0");
    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    check_headers("GET /ping", &[("content-type", "text/plain; charset=utf-8")]);
    check_headers("GET /topics", &[MARK, JSON]);
    check_headers("POST /topic/create?topic=t", &[MARK]);
    check_headers("GET /unknown", &[MARK, JSON]);
    check_headers("POST /topics", &[MARK, JSON, ("allow", "GET, OPTIONS")]);
    check_headers("OPTIONS /topic/create", &[("allow", "OPTIONS, POST")]);
    check_headers("GET /lookup/?topic=a", &[("location", "/lookup?topic=a")]);
}

#[test]
fn a_trailing_slash_is_redirected() {
    check("GET /topics/", 301, "");
    check("POST /topic/create/?topic=t", 307, "");
}
