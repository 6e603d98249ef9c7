//! Compressed streams that are few bytes and stand for very many.

use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_client::wire::compress::{Compression, Encoder};
use punctual_tests::raw_client::{RawClient, with_body};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::{MIB, Victim, is_closed};

const DEFLATE: (Compression, &str) = (
    Compression::Deflate { level: 6 },
    r#"{"feature_negotiation":true,"deflate":true,"heartbeat_interval":1000}"#,
);
const SNAPPY: (Compression, &str) =
    (Compression::Snappy, r#"{"feature_negotiation":true,"snappy":true,"heartbeat_interval":1000}"#);

/// How many do it at the same time.
const CROWD: usize = 10;

/// What `start` and then very many of the same byte come to, compressed.
fn bomb(compression: Compression, start: &[u8], bytes: u64) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(compression), BytesMut::new());
    encoder.encode(start, &mut out);
    let piece = vec![b'x'; MIB as usize];
    (0..bytes / MIB).for_each(|_| encoder.encode(&piece, &mut out));
    out.to_vec()
}

async fn connected(victim: &Victim, json: &str) -> anyhow::Result<RawClient> {
    let mut client = RawClient::dial(victim.node.address()?).await?;
    client.identify(json).await?;
    Ok(client)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_very_much_is_taken_no_further_than_is_allowed() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    for (compression, json) in [DEFLATE, SNAPPY] {
        // A line without end, a body that is longer than it says, and one that says that it is too long.
        for start in [&b""[..], b"PUB bombs\n\x00\x00\x00\x01x", b"PUB bombs\n\x7f\xff\xff\xff"] {
            let bomb = bomb(compression, start, 256 * MIB);
            eprintln!("{compression:?}: {} kB stand for 256 MiB", bomb.len() / 1024);
            let mut crowd = JoinSet::new();
            for _ in 0..CROWD {
                let (mut client, bomb) = (connected(&victim, json).await?, bomb.clone());
                crowd.spawn(async move {
                    // It need not take all of it.
                    let _cut_off = client.stream.write_all(&bomb).await;
                    is_closed(&mut client.stream, Duration::from_secs(20)).await
                });
            }
            victim.others_go_on().await?;
            while let Some(closed) = crowd.join_next().await {
                closed??;
            }
            victim.has_taken_at_most(48 * MIB)?;
        }
    }
    victim.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_compressed_well_are_refused_where_they_are_too_many() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    for (compression, json) in [DEFLATE, SNAPPY] {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            // As much as an MPUB may hold is claimed, and all but the end of it comes.
            let mut client = connected(&victim, json).await?;
            let message = with_body("", &vec![b'y'; MIB as usize]);
            let start = [&b"MPUB bombs\n\x00\x50\x00\x00\x00\x00\x00\x05"[..], &message, &message].concat();
            let (mut encoder, mut out) = (Encoder::new(compression), BytesMut::new());
            encoder.encode(&start, &mut out);
            client.stream.write_all(&out).await?;
            crowd.push(client);
        }
        victim.others_go_on().await?;
        // What has really come is held, once.
        victim.has_taken_at_most(CROWD as u64 * 6 * MIB + 16 * MIB)?;
    }
    victim.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_were_compressed_well_leave_the_others_their_turn() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let (compression, json) = DEFLATE;
    let (mut encoder, mut packed) = (Encoder::new(compression), BytesMut::new());
    // 256 million commands, each of which means nothing and must be read.
    let commands = b"NOP\n".repeat(MIB as usize / 4);
    (0..1024).for_each(|_| encoder.encode(&commands, &mut packed));
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (mut client, packed) = (connected(&victim, json).await?, packed.clone());
        crowd.spawn(async move { client.stream.write_all(&packed).await });
    }
    for _ in 0..3 {
        victim.others_go_on().await?;
    }
    crowd.shutdown().await;
    victim.end().await
}
