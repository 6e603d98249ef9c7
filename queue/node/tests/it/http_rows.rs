//! The HTTP interface, endpoint by endpoint: what nsqd's clients send, and what they take for its answer.

use reqwest::{Client, Method, header};

use crate::fixture::{Fixture, Running};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// What an answer's body is; its headers follow from that.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Nothing,
    Text(&'static str),
    /// The same without NSQ's header.
    Plain(&'static str),
    Object,
    Error(&'static str),
}

use Answer::{Error, Nothing, Object, Plain, Text};

struct Asked {
    status: u16,
    headers: header::HeaderMap,
    body: String,
}

impl Asked {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn ask(node: &Running, method: &Method, path: &str, body: Vec<u8>) -> Asked {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.request(method.clone(), format!("http://{}{path}", node.http)).body(body);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Asked { status, headers, body: response.text().await.unwrap() }
}

#[track_caller]
fn check(row: &str, asked: &Asked, status: u16, answer: Answer) {
    let (body, content_type, nsqs) = match answer {
        Nothing => (Some(String::new()), None, true),
        Text(text) => (Some(text.to_owned()), Some(TEXT), true),
        Plain(text) => (Some(text.to_owned()), Some(TEXT), false),
        Object => (None, Some(JSON), true),
        Error(code) => (Some(format!(r#"{{"message":"{code}"}}"#)), Some(JSON), true),
    };
    assert_eq!(asked.status, status, "{row}: {}", asked.body);
    if let Some(body) = body {
        assert_eq!(asked.body, body, "{row}");
        assert_eq!(asked.header(header::CONTENT_LENGTH), Some(body.len().to_string().as_str()), "{row}");
    }
    assert_eq!(asked.header(header::CONTENT_TYPE), content_type, "{row}");
    assert_eq!(asked.header("x-nsq-content-type"), nsqs.then_some("nsq; version=1.0"), "{row}");
    assert_eq!(asked.header(header::CONNECTION), (status == 413).then_some("close"), "{row}");
}

type Row<'a> = (Method, &'a str, &'a [u8], u16, Answer);

async fn check_all(node: &Running, rows: &[Row<'_>]) {
    for (method, path, body, status, answer) in rows {
        let asked = ask(node, method, path, body.to_vec()).await;
        check(&format!("{method} {path} {}", body.len()), &asked, *status, *answer);
    }
}

#[tokio::test]
async fn publishing() {
    let node = Fixture::new().start().await;
    let largest = vec![b'x'; 1024 * 1024];
    let too_large = vec![b'x'; 1024 * 1024 + 1];
    let lines = [&largest[..], b"\n", &largest, b"\nx\r\n"].concat();
    let a_long_line = [b"a\n", &too_large[..], b"\n"].concat();
    let too_many = vec![b'\n'; 5 * 1024 * 1024 + 1];
    let post = Method::POST;
    let rows: &[Row<'_>] = &[
        (post.clone(), "/pub?topic=t", b"m", 200, Text("OK")),
        (post.clone(), "/pub?topic=t", &largest, 200, Text("OK")),
        (post.clone(), "/pub?topic=t%23ephemeral", b"m", 200, Text("OK")),
        // In this order.
        (post.clone(), "/pub?topic=%zz&defer=x", &too_large, 413, Error("MSG_TOO_BIG")),
        (post.clone(), "/pub?topic=%zz&defer=x", b"", 400, Error("MSG_EMPTY")),
        (post.clone(), "/pub?topic=%zz&defer=x", b"m", 400, Error("INVALID_REQUEST")),
        (post.clone(), "/pub?topic=t;defer=x", b"m", 400, Error("INVALID_REQUEST")),
        (post.clone(), "/pub?defer=x", b"m", 400, Error("MISSING_ARG_TOPIC")),
        (post.clone(), "/pub?topic=b@d&defer=x", b"m", 400, Error("INVALID_TOPIC")),
        (post.clone(), "/pub?topic=&defer=x", b"m", 400, Error("INVALID_TOPIC")),
        (post.clone(), "/pub?topic=t&defer=x", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/pub?topic=t&defer=", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/pub?topic=t&defer=-1", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/pub?topic=t&defer=1.5", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/pub?topic=t&defer=3600001", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/pub?topic=t&defer=3600000", b"m", 200, Text("OK")),
        (post.clone(), "/pub?topic=t&defer=0", b"m", 200, Text("OK")),
        // What a form sends is a message.
        (post.clone(), "/pub", b"topic=t", 400, Error("MISSING_ARG_TOPIC")),
        (post.clone(), "/mpub?topic=lines", b"a\n\nb\r\n\nc", 200, Text("OK")),
        (post.clone(), "/mpub?topic=lines", &lines, 200, Text("OK")),
        (post.clone(), "/mpub?topic=empty", b"", 200, Text("OK")),
        (post.clone(), "/mpub?topic=empty", b"\n\n", 200, Text("OK")),
        (post.clone(), "/mpub?topic=%zz", &too_many, 413, Error("BODY_TOO_BIG")),
        (post.clone(), "/mpub?topic=%zz", b"m", 400, Error("INVALID_REQUEST")),
        (post.clone(), "/mpub", b"m", 400, Error("MISSING_ARG_TOPIC")),
        (post.clone(), "/mpub?topic=b@d", b"m", 400, Error("INVALID_TOPIC")),
        (post.clone(), "/mpub?topic=t", &a_long_line, 413, Error("MSG_TOO_BIG")),
        (post.clone(), "/mpub?topic=t&defer=x", b"m", 400, Error("INVALID_DEFER")),
        (post.clone(), "/mpub?topic=put-off&defer=3600000", b"a\nb\n", 200, Text("OK")),
    ];
    check_all(&node, rows).await;
    let figure = async |topic: &str| {
        let path = format!("/stats?format=json&topic={topic}");
        let stats: serde_json::Value = node.get(&path).await.json().await.unwrap();
        stats["topics"][0]["message_count"].clone()
    };
    assert_eq!(figure("lines").await, 6);
    assert_eq!(figure("empty").await, 0, "the topic is made for no message too");
    assert_eq!(figure("put-off").await, 2);
}

#[tokio::test]
async fn publishing_many_as_in_the_tcp_protocol() {
    let node = Fixture::new().start().await;
    let two = b"\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc";
    let large = [b"\0\0\0\x01\0\x10\0\x01", &[b'x'; 0x10_0001][..]].concat();
    let post = Method::POST;
    let rows: &[Row<'_>] = &[
        (post.clone(), "/mpub?topic=two&binary=true", two, 200, Text("OK")),
        (post.clone(), "/mpub?topic=two&binary=1", two, 200, Text("OK")),
        (post.clone(), "/mpub?topic=two&binary=yes", two, 200, Text("OK")),
        (post.clone(), "/mpub?topic=two&binary", two, 200, Text("OK")),
        (post.clone(), "/mpub?topic=lines&binary=false", b"a\nb", 200, Text("OK")),
        (post.clone(), "/mpub?topic=lines&binary=0", b"a\nb", 200, Text("OK")),
        (post.clone(), "/mpub?topic=two&binary=true&defer=5", two, 200, Text("OK")),
        (post.clone(), "/mpub?topic=two&binary=true", &[two, &b"surplus"[..]].concat(), 200, Text("OK")),
        (post.clone(), "/mpub?topic=t&binary=true", b"", 413, Error("BAD_BODY")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0", 413, Error("BAD_BODY")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0\0", 413, Error("BAD_BODY")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\xff\xff\xff\xff", 413, Error("BAD_BODY")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\x10\0\0\0\0\0\x01a", 413, Error("BAD_BODY")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0\x01", 413, Error("BAD_MESSAGE")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0\x01\0\0\0\0", 413, Error("BAD_MESSAGE")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0\x01\xff\xff\xff\xff", 413, Error("BAD_MESSAGE")),
        (post.clone(), "/mpub?topic=t&binary=true", b"\0\0\0\x01\0\0\0\x02x", 413, Error("BAD_MESSAGE")),
        (post.clone(), "/mpub?topic=t&binary=true", &large, 413, Error("BAD_MESSAGE")),
        (post.clone(), "/mpub?binary=true", b"", 400, Error("MISSING_ARG_TOPIC")),
    ];
    check_all(&node, rows).await;
    let stats: serde_json::Value = node.get("/stats?format=json").await.json().await.unwrap();
    let counts: Vec<_> =
        stats["topics"].as_array().unwrap().iter().map(|topic| &topic["message_count"]).collect();
    assert_eq!(counts, [4, 0, 12], "of lines, t and two");
}

#[tokio::test]
async fn topics_and_channels() {
    let node = Fixture::new().start().await;
    let rows = |rows: &[(&'static str, u16, Answer)]| -> Vec<Row<'static>> {
        rows.iter().map(|(path, status, answer)| (Method::POST, *path, &b""[..], *status, *answer)).collect()
    };
    let of_topics = [
        ("/topic/create?topic=t", 200, Nothing),
        ("/topic/create?topic=t", 200, Nothing),
        ("/topic/create?topic=e%23ephemeral", 200, Nothing),
        ("/topic/create", 400, Error("MISSING_ARG_TOPIC")),
        ("/topic/create?topic=b@d", 400, Error("INVALID_TOPIC")),
        ("/topic/create?topic=%zz", 400, Error("INVALID_REQUEST")),
        ("/topic/empty?topic=t", 200, Nothing),
        ("/topic/empty", 400, Error("MISSING_ARG_TOPIC")),
        ("/topic/empty?topic=b@d", 400, Error("INVALID_TOPIC")),
        ("/topic/empty?topic=none", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/pause?topic=t", 200, Nothing),
        ("/topic/pause", 400, Error("MISSING_ARG_TOPIC")),
        ("/topic/pause?topic=b@d", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/pause?topic=none", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/unpause?topic=t", 200, Nothing),
        ("/topic/unpause", 400, Error("MISSING_ARG_TOPIC")),
        ("/topic/unpause?topic=none", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/delete", 400, Error("MISSING_ARG_TOPIC")),
        ("/topic/delete?topic=b@d", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/delete?topic=none", 404, Error("TOPIC_NOT_FOUND")),
        ("/topic/delete?topic=e%23ephemeral", 200, Nothing),
        ("/topic/delete?topic=e%23ephemeral", 404, Error("TOPIC_NOT_FOUND")),
    ];
    check_all(&node, &rows(&of_topics)).await;
    check_all(&node, &rows(&[("/channel/create?topic=t&channel=c", 200, Nothing)])).await;
    check_all(&node, &rows(&[("/channel/create?topic=t&channel=c", 200, Nothing)])).await;
    for action in ["create", "empty", "pause", "unpause", "delete"] {
        for (query, status, answer) in [
            ("", 400, Error("MISSING_ARG_TOPIC")),
            ("?topic=b@d", 400, Error("INVALID_ARG_TOPIC")),
            ("?topic=none", 400, Error("MISSING_ARG_CHANNEL")),
            ("?topic=t&channel=b@d", 400, Error("INVALID_ARG_CHANNEL")),
            ("?topic=none&channel=c", 404, Error("TOPIC_NOT_FOUND")),
            ("?topic=t&channel=c;x", 400, Error("INVALID_REQUEST")),
            ("?topic=t&channel=c", 200, Nothing),
        ] {
            let path = format!("/channel/{action}{query}");
            check(&path, &ask(&node, &Method::POST, &path, Vec::new()).await, status, answer);
        }
        if action != "create" {
            let path = format!("/channel/{action}?topic=t&channel=none");
            let asked = ask(&node, &Method::POST, &path, Vec::new()).await;
            check(&path, &asked, 404, Error("CHANNEL_NOT_FOUND"));
        }
    }
    let gone = [
        ("/channel/delete?topic=t&channel=c", 404, Error("CHANNEL_NOT_FOUND")),
        ("/topic/delete?topic=t", 200, Nothing),
        ("/topic/pause?topic=t", 404, Error("TOPIC_NOT_FOUND")),
    ];
    check_all(&node, &rows(&gone)).await;
}

#[tokio::test]
async fn looking_and_debugging() {
    let node = Fixture::new().start().await;
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let rows: &[Row<'_>] = &[
        (get.clone(), "/ping", b"", 200, Plain("OK")),
        (get.clone(), "/ping?topic=%zz", b"", 200, Plain("OK")),
        (get.clone(), "/info", b"", 200, Object),
        (get.clone(), "/stats?format=json", b"", 200, Object),
        (get.clone(), "/stats?format=%zz", b"", 400, Error("INVALID_REQUEST")),
        (get.clone(), "/config/max_msg_size", b"", 200, Object),
        (get.clone(), "/config/none", b"", 400, Error("INVALID_OPTION")),
        (get.clone(), "/debug/pprof/", b"", 301, Nothing),
        (get.clone(), "/debug/pprof", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/cmdline", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/symbol", b"", 501, Error("NOT_IMPLEMENTED")),
        (post.clone(), "/debug/pprof/symbol", b"0x1", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/profile?seconds=1", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/heap", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/goroutine", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/block", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/threadcreate", b"", 501, Error("NOT_IMPLEMENTED")),
        (get.clone(), "/debug/pprof/none", b"", 404, Error("NOT_FOUND")),
        (put.clone(), "/debug/setblockrate?rate=100", b"", 200, Nothing),
        (put.clone(), "/debug/setblockrate?rate=-1", b"", 200, Nothing),
        (put.clone(), "/debug/setblockrate", b"", 400, Plain(r#"invalid block rate : "" is not a number"#)),
        (
            put.clone(),
            "/debug/setblockrate?rate=x",
            b"",
            400,
            Plain(r#"invalid block rate : "x" is not a number"#),
        ),
        (post.clone(), "/debug/freememory", b"", 200, Nothing),
        (get.clone(), "/nowhere", b"", 404, Error("NOT_FOUND")),
        (get.clone(), "/", b"", 404, Error("NOT_FOUND")),
        (post.clone(), "/put?topic=t", b"m", 404, Error("NOT_FOUND")),
    ];
    for (method, path, body, status, answer) in rows {
        let asked = ask(&node, method, path, body.to_vec()).await;
        if *status == 301 {
            assert_eq!((asked.status, asked.header(header::LOCATION)), (301, Some("/debug/pprof")), "{path}");
        } else {
            check(&format!("{method} {path}"), &asked, *status, *answer);
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let node = Fixture::new().start().await;
    for (path, allowed) in [
        ("/ping", "GET, OPTIONS"),
        ("/info", "GET, OPTIONS"),
        ("/stats", "GET, OPTIONS"),
        ("/pub", "OPTIONS, POST"),
        ("/mpub", "OPTIONS, POST"),
        ("/topic/create", "OPTIONS, POST"),
        ("/topic/delete", "OPTIONS, POST"),
        ("/channel/pause", "OPTIONS, POST"),
        ("/config/log_level", "GET, OPTIONS, PUT"),
        ("/debug/pprof/heap", "GET, OPTIONS"),
        ("/debug/pprof/symbol", "GET, OPTIONS, POST"),
        ("/debug/setblockrate", "OPTIONS, PUT"),
        ("/debug/freememory", "OPTIONS, POST"),
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if allowed.contains(method.as_str()) {
                continue;
            }
            let asked = ask(&node, &method, path, Vec::new()).await;
            assert_eq!((asked.status, asked.header(header::ALLOW)), (405, Some(allowed)), "{method} {path}");
            if method != Method::HEAD {
                check(path, &asked, 405, Error("METHOD_NOT_ALLOWED"));
            }
        }
        let options = ask(&node, &Method::OPTIONS, path, Vec::new()).await;
        assert_eq!((options.status, options.header(header::ALLOW)), (200, Some(allowed)), "{path}");
        assert_eq!(options.body, "", "{path}");
    }
    assert_eq!(ask(&node, &Method::OPTIONS, "/nowhere", Vec::new()).await.status, 404);
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_path_without_it() {
    let node = Fixture::new().start().await;
    for (method, path, status, location) in [
        (Method::GET, "/ping/", 301, "/ping"),
        (Method::GET, "/stats/?format=json", 301, "/stats?format=json"),
        (Method::POST, "/pub/?topic=t", 307, "/pub?topic=t"),
        (Method::PUT, "/config/log_level/", 307, "/config/log_level"),
    ] {
        let asked = ask(&node, &method, path, Vec::new()).await;
        assert_eq!((asked.status, asked.header(header::LOCATION)), (status, Some(location)), "{path}");
    }
    assert_eq!(ask(&node, &Method::GET, "/nowhere/", Vec::new()).await.status, 404);
}
