//! Slowloris: a byte now and then, and nothing that ever ends.

use std::time::Duration;

use anyhow::Context;
use punctual_tests::raw_client::{RawClient, with_body};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{MIB, Victim, is_closed};

/// How many do each of it.
const CROWD: usize = 25;

const A_BYTE_EVERY: Duration = Duration::from_millis(100);

/// A heartbeat is missed by then, and HTTP's time for a request's head is over.
const CUT_WITHIN: Duration = Duration::from_secs(20);

/// HTTP's time for the next part of a body is over by then.
const BODY_CUT_WITHIN: Duration = Duration::from_secs(45);

/// Asks for a heartbeat each second: whoever has sent no command for two is cut off.
const IMPATIENT: &str = r#"{"heartbeat_interval":1000}"#;

/// What is sent at first; then it goes on with one byte at a time.
const STARTS: &[&[u8]] = &[
    b"",
    b"PUB a_topic_that_is_never_na",
    b"PUB slow\n",
    b"PUB slow\n\x00\x10\x00\x00begins",
    b"MPUB slow\n\x00\x10\x00\x00\x00\x00\x10\x00\x00\x00\x00\x05first",
    b"IDENTIFY\n\x00\x10\x00\x00{",
];

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_byte_at_a_time_hold_up_nobody_and_are_cut_off() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let mut crowd = JoinSet::new();
    for start in STARTS {
        for _ in 0..CROWD {
            let mut client = RawClient::dial(victim.node.address()?).await?;
            client.identify(IMPATIENT).await?;
            client.send(start).await?;
            crowd.spawn(drips_until_it_is_cut_off(client.stream));
        }
    }
    for _ in 0..CROWD {
        let mut head = TcpStream::connect(victim.node.http_address()?).await?;
        head.write_all(b"POST /pub?topic=slow HTTP/1.1\r\nHost: node\r\nX-Slow: ").await?;
        crowd.spawn(drips_until_it_is_cut_off(head));
    }
    victim.others_go_on().await?;
    // What is begun is not kept waiting for: six kinds of them, and HTTP.
    victim.has_taken_at_most(16 * MIB)?;
    while let Some(outcome) = crowd.join_next().await {
        outcome??;
    }
    victim.end().await
}

async fn drips_until_it_is_cut_off(mut stream: TcpStream) -> anyhow::Result<()> {
    let by = Instant::now() + CUT_WITHIN;
    while Instant::now() < by {
        if stream.write_all(b"x").await.is_err() {
            return Ok(());
        }
        // Whether the node has closed it shows in what is to be read; what it says before does not matter.
        if is_closed(&mut stream, A_BYTE_EVERY).await.is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("a client that sends a byte at a time was not cut off within {CUT_WITHIN:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_bodies_never_end_hold_up_nobody_and_are_cut_off() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let mut held = Vec::new();
    for path in ["/pub?topic=slow", "/mpub?topic=slow", "/mpub?topic=slow&binary=true"] {
        for length in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
            for _ in 0..CROWD {
                let mut stream = TcpStream::connect(victim.node.http_address()?).await?;
                let head = format!("POST {path} HTTP/1.1\r\nHost: node\r\n{length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(b"5\r\nbegin\r\n").await?;
                held.push(stream);
            }
        }
    }
    victim.others_go_on().await?;
    victim.has_taken_at_most(16 * MIB)?;
    let (status, _) = victim.node.get("ping").await.context("HTTP is held up")?;
    anyhow::ensure!(status == 200, "/ping: {status}");
    for mut stream in held {
        is_closed(&mut stream, BODY_CUT_WITHIN).await?;
    }
    victim.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_all_in_single_bytes_is_served_like_any_other() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let mut client = RawClient::dial(victim.node.address()?).await?;
    client.stream.set_nodelay(true)?;
    client.identify(IMPATIENT).await?;
    for byte in with_body("PUB slow\n", b"a body") {
        client.send(&[byte]).await?;
    }
    client.expect_ok().await?;
    victim.end().await
}
