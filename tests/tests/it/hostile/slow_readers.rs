//! Clients that do not read what they asked for.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_queue_client::wire::frame::Frame;
use punctual_tests::raw_client::{RawClient, with_body};
use punctual_tests::wait::until;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{MIB, Victim, is_closed};

/// Large messages in the topic that is read slowly.
const LARGE: u64 = 100;

/// Nobody writes for so long to a client that reads.
const STUCK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_read_a_byte_a_second_take_neither_memory_nor_the_others_messages()
-> anyhow::Result<()> {
    let victim = Victim::start().await?;
    victim.node.create("large", &["slow", "quick"]).await?;
    for _ in 0..LARGE {
        let (status, answer) = victim.node.post("pub?topic=large", vec![b'x'; MIB as usize]).await?;
        ensure!(status == 200, "{status} {answer}");
    }
    let mut slow = JoinSet::new();
    for _ in 0..2 {
        let mut client = RawClient::dial_without_room(victim.node.address()?).await?;
        client.identify("{}").await?;
        client.subscribe("large", "slow").await?;
        client.send(b"RDY 2500\n").await?;
        slow.spawn(async move {
            let (mut second, mut byte) = (interval(Duration::from_secs(1)), [0]);
            while client.stream.read(&mut byte).await.is_ok_and(|bytes| bytes > 0) {
                second.tick().await;
            }
        });
    }
    // Once they have all they may have, or all there is.
    until("the slow ones to be given messages", Duration::from_secs(20), async || {
        let stats = victim.node.channel_stats("large", "slow").await.map_err(|error| error.to_string())?;
        let in_flight = stats.get("in_flight_count").and_then(Value::as_u64).unwrap_or(0);
        if in_flight > 0 { Ok(()) } else { Err("nothing is in flight".to_owned()) }
    })
    .await?;
    victim.others_go_on().await?;
    let mut quick = RawClient::dial(victim.node.address()?).await?;
    quick.identify("{}").await?;
    quick.subscribe("large", "quick").await?;
    quick.send(b"RDY 1\n").await?;
    for _ in 0..LARGE {
        let message = next_message(&mut quick).await?;
        quick.send(format!("FIN {message}\n").as_bytes()).await?;
        victim.has_taken_at_most(64 * MIB)?;
    }
    victim.end().await?; // with the slow ones still there
    slow.shutdown().await;
    Ok(())
}

async fn next_message(client: &mut RawClient) -> anyhow::Result<String> {
    loop {
        match client.frame().await?.context("the node closed the connection")? {
            Frame::Message(message) => return Ok(message.id.to_string()),
            Frame::Response(_) => client.send(b"NOP\n").await?,
            error @ Frame::Error { .. } => anyhow::bail!("{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_their_answers_are_not_answered_for_ever() -> anyhow::Result<()> {
    let victim = Victim::start().await?;
    let publishing = with_body("PUB unread\n", b"x").repeat(1000);
    let finishing = b"FIN ffffffffffffffff\nTOUCH ffffffffffffffff\nREQ ffffffffffffffff 0\n".repeat(500);
    let mut crowd = JoinSet::new();
    for commands in [&publishing, &finishing, &publishing, &finishing] {
        let mut client = RawClient::dial_without_room(victim.node.address()?).await?;
        client.identify(r#"{"heartbeat_interval":1000}"#).await?;
        client.subscribe("unread", "c#ephemeral").await?;
        crowd.spawn(sends_until_it_is_cut_off(client, commands.clone()));
    }
    while let Some(sent) = crowd.join_next().await {
        eprintln!("cut off after {} kB", sent?? / 1024);
        victim.others_go_on().await?;
        victim.has_taken_at_most(32 * MIB)?;
    }
    victim.end().await
}

/// Says how much it could send.
async fn sends_until_it_is_cut_off(mut client: RawClient, commands: Vec<u8>) -> anyhow::Result<usize> {
    for times in 0..100_000 {
        match timeout(STUCK, client.stream.write_all(&commands)).await {
            Ok(Ok(())) => {}
            Ok(Err(_cut_off)) => return Ok(times * commands.len()),
            // The node does not read on before it was heard; nor does it wait for ever.
            Err(_stuck) => {
                is_closed(&mut client.stream, Duration::from_secs(10)).await?;
                return Ok(times * commands.len());
            }
        }
    }
    anyhow::bail!("it could send as much as it liked")
}
