//! Very many connections that do nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use punctual_tests::effort;
use punctual_tests::raw_client::RawClient;
use punctual_tests::wait::until;
use serde_json::Value;
use tokio::task::JoinSet;

use super::Victim;

/// What an idle connection may cost the node, in bytes.
const BYTES_PER_CONNECTION: u64 = 8 * 1024;

/// Who connect at the same time.
const AT_A_TIME: usize = 50;

/// Files that the test itself and the node have open besides.
const OTHER_FILES: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little_and_hold_up_nobody() -> anyhow::Result<()> {
    let count = if effort::is_full() { 10_000 } else { 1_500 };
    allow_open_files(count + OTHER_FILES)?;
    let victim = Victim::start().await?;
    let mut idle = Vec::new();
    while (idle.len() as u64) < count {
        let mut connecting = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let address = victim.node.address()?.to_owned();
            connecting.spawn(async move { an_idle_consumer(&address).await });
        }
        while let Some(connected) = connecting.join_next().await {
            idle.push(connected??);
        }
    }
    until("the node to know all of them", Duration::from_secs(30), async || {
        let stats = victim.node.channel_stats("idle", "c").await.map_err(|error| error.to_string())?;
        match stats.get("client_count").and_then(Value::as_u64) {
            Some(consumers) if consumers == idle.len() as u64 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    victim.others_go_on().await?;
    let connections = idle.len() as u64;
    let taken = victim.has_taken_at_most(connections * BYTES_PER_CONNECTION)?;
    eprintln!("{connections} idle connections: {} bytes each", taken / connections);
    drop(idle);
    victim.end().await
}

/// One that has said who it is and subscribed, and wants nothing at the moment.
async fn an_idle_consumer(address: &str) -> anyhow::Result<RawClient> {
    let mut client = RawClient::dial(address).await?;
    client.identify(r#"{"client_id":"idle","heartbeat_interval":60000,"feature_negotiation":true}"#).await?;
    client.subscribe("idle", "c").await?;
    Ok(client)
}

/// For this process, and for the node that it starts.
fn allow_open_files(count: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard >= count, "this needs {count} open files; `ulimit -Hn` says {hard}");
    if soft < count {
        setrlimit(Resource::RLIMIT_NOFILE, count, hard).context("cannot allow so many open files")?;
    }
    Ok(())
}
