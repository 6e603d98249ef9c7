//! Sizes and counts that are only claimed.

use anyhow::{Context, ensure};
use punctual_queue_client::wire::frame::Frame;
use punctual_tests::raw_client::RawClient;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{MIB, Victim};

/// How many claim each.
const CROWD: usize = 50;

/// What is allowed to be claimed, and never comes.
const CLAIMS: &[&[u8]] = &[
    b"PUB lies\n\x00\x10\x00\x00x",
    b"DPUB lies 1000\n\x00\x10\x00\x00x",
    b"IDENTIFY\n\x00\x50\x00\x00{",
    b"AUTH\n\x00\x50\x00\x00x",
    b"MPUB lies\n\x00\x50\x00\x00\x00\x0f\xff\xfe\x00\x00\x00\x01x\x00\x10\x00\x00y",
];

/// What is not allowed to be claimed, and what is said to it.
const REFUSED: &[(&[u8], &str)] = &[
    (b"PUB lies\n\x7f\xff\xff\xff", "E_BAD_MESSAGE PUB message too big 2147483647 > 1048576"),
    (b"PUB lies\n\xff\xff\xff\xff", "E_BAD_MESSAGE PUB invalid message body size -1"),
    (b"DPUB lies 0\n\x00\x10\x00\x01", "E_BAD_MESSAGE DPUB message too big 1048577 > 1048576"),
    (b"IDENTIFY\n\x7f\xff\xff\xff", "E_BAD_BODY IDENTIFY body too big 2147483647 > 5242880"),
    (b"AUTH\n\x80\x00\x00\x00", "E_BAD_BODY AUTH invalid body size -2147483648"),
    (b"MPUB lies\n\x00\x50\x00\x01", "E_BAD_BODY MPUB body too big 5242881 > 5242880"),
    (b"MPUB lies\n\x00\x00\x00\x10\x7f\xff\xff\xff", "E_BAD_BODY MPUB invalid message count 2147483647"),
    (b"MPUB lies\n\x00\x00\x00\x10\xff\xff\xff\xff", "E_BAD_BODY MPUB invalid message count -1"),
    (
        b"MPUB lies\n\x00\x00\x00\x10\x00\x00\x00\x02\x00\x00\x00\x01x\x7f\xff\xff\xff",
        "E_BAD_MESSAGE MPUB message too big 2147483647 > 1048576",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_claimed_takes_no_memory() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let mut held = Vec::new();
    for claim in CLAIMS {
        for _ in 0..CROWD {
            let mut client = RawClient::dial(victim.node.address()?).await?;
            client.send(&[b"  V2", *claim].concat()).await?;
            held.push(client.stream);
        }
    }
    for path in ["/pub?topic=lies", "/mpub?topic=lies&binary=true"] {
        for _ in 0..CROWD {
            let mut stream = TcpStream::connect(victim.node.http_address()?).await?;
            let head = format!("POST {path} HTTP/1.1\r\nHost: node\r\nContent-Length: 1000000\r\n\r\n\0");
            stream.write_all(head.as_bytes()).await?;
            held.push(stream);
        }
    }
    victim.others_go_on().await?;
    let taken = victim.has_taken_at_most(16 * MIB)?;
    eprintln!("{} claims of up to 5 MiB take {} kB", held.len(), taken / 1024);
    drop(held);
    victim.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_claimed_is_refused_by_name_and_ends_the_connection() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    for (claim, expected) in REFUSED {
        let mut client = RawClient::dial(victim.node.address()?).await?;
        client.send(&[b"  V2", *claim].concat()).await?;
        let answer = client.frame().await?.with_context(|| format!("no answer in place of {expected}"))?;
        let Frame::Error { code, text } = &answer else {
            anyhow::bail!("{answer:?} in place of {expected}");
        };
        ensure!(format!("{code} {text}") == *expected, "{answer:?} in place of {expected}");
        ensure!(client.frame().await?.is_none(), "the connection goes on after {expected}");
    }
    victim.end().await
}
