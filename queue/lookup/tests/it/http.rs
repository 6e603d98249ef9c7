//! Clients ask.

use punctual_queue_lookup::lookup::{Lookup, LookupError};
use punctual_service::bind::BindError;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::lookup::{Node, PATIENCE, Running, options};

#[tokio::test]
async fn operators_create_hide_and_delete_over_http() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut node = Node::identified(&lookup, "node-1").await?;
    assert_eq!(node.send(b"REGISTER orders mail\n").await?, "OK");
    let post = async |path: &str| -> anyhow::Result<u16> {
        let url = format!("http://{}{path}", lookup.http);
        Ok(reqwest::Client::new().post(url).send().await?.status().as_u16())
    };
    assert_eq!(post("/topic/tombstone?topic=orders&node=node-1:4151").await?, 200);
    assert_eq!(lookup.get("/lookup?topic=orders").await?.1, r#"{"channels":["mail"],"producers":[]}"#);
    assert!(lookup.get("/nodes").await?.1.contains(r#""tombstones":[true],"topics":["orders"]"#));
    assert_eq!(post("/channel/create?topic=new&channel=c%23ephemeral").await?, 200);
    assert_eq!(lookup.get("/channels?topic=new").await?.1, r##"{"channels":["c#ephemeral"]}"##);
    assert_eq!(post("/topic/delete?topic=new").await?, 200);
    assert_eq!(lookup.get("/topics").await?.1, r#"{"topics":["orders"]}"#);
    Ok(())
}

#[tokio::test]
async fn answers_carry_the_header_that_go_nsq_needs() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let response = reqwest::get(format!("http://{}/topics", lookup.http)).await?;
    assert_eq!(response.headers()["x-nsq-content-type"], "nsq; version=1.0");
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let head = format!("http://{}/ping", lookup.http);
    let response = reqwest::Client::new().request(Method::HEAD, head).send().await?;
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"GET, OPTIONS".parse()?));
    Ok(())
}

#[tokio::test]
async fn the_port_also_tells_of_health_and_metrics() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let _node = Node::identified(&lookup, "node-1").await?;
    assert_eq!(lookup.get("/ping").await?, (200, "OK".to_owned()));
    assert_eq!(lookup.get("/livez").await?.0, 200);
    assert_eq!(lookup.get("/readyz").await?.0, 200);
    assert!(lookup.get("/metrics").await?.1.contains("punctual_lookup_nodes"));
    assert_eq!(lookup.get("/unknown").await?, (404, r#"{"message":"NOT_FOUND"}"#.to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_kept() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut stream = TcpStream::connect(lookup.http).await?;
    // The answer comes although the body, of which there could be a terabyte, does not.
    let head = "POST /topic/create?topic=t HTTP/1.1\r\nhost: x\r\ncontent-length: 1099511627776\r\n\r\nxxx";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 15];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(lookup.get("/topics").await?.1, r#"{"topics":["t"]}"#);
    Ok(())
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut stream = TcpStream::connect(lookup.http).await?;
    stream.write_all(b"  V1PING\n\n\n").await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", answer.escape_ascii());
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() -> anyhow::Result<()> {
    let lookup = Running::start(&[]).await?;
    let mut taken = options(&[]);
    taken.http_address = lookup.http;
    let error = Lookup::bind(taken).await.expect_err("the port is taken");
    assert!(matches!(error, LookupError::Bind(BindError::InUse { flag: "--http-address", .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_wide_bind_must_be_asked_for() {
    let mut wide = options(&[]);
    wide.tcp_address = ([0, 0, 0, 0], 0).into();
    let error = Lookup::bind(wide.clone()).await.expect_err("nothing authenticates");
    assert!(
        matches!(error, LookupError::Bind(BindError::Exposed { flag: "--tcp-address", .. })),
        "{error:?}"
    );
    wide.allow_unauthenticated = true;
    assert!(Lookup::bind(wide).await.is_ok());
}
