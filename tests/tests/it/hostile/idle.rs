//! Very many connections that do nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use punctual_tests::raw_client::{RawClient, with_body};
use punctual_tests::wait::until;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Victim;

/// What an idle connection may cost the node, in bytes.
const PLAIN_BYTES: u64 = 8 * 1024;
const TLS_BYTES: u64 = 40 * 1024;

/// Connections that are not counted: with them the node takes what it takes once, and what its other load does.
const FIRST: u64 = 300;

/// Who connect at the same time.
const AT_A_TIME: usize = 50;

/// Files that the test itself and the node have open besides.
const OTHER_FILES: u64 = 200;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little_and_hold_up_nobody() -> anyhow::Result<()> {
    let count = how_many()?;
    let mut victim = Victim::start().await?;
    let address = victim.node.address()?.to_owned();
    let _first = connect(FIRST, || an_idle_consumer(address.clone())).await?;
    victim.settles().await?;
    let idle = connect(count, || an_idle_consumer(address.clone())).await?;
    cost_at_most(PLAIN_BYTES, count, &victim).await?;
    drop(idle);
    victim.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_with_tls_cost_little_more() -> anyhow::Result<()> {
    let count = how_many()?;
    let dir = tempfile::tempdir()?;
    let signed = generate_simple_self_signed(["localhost".to_owned()])?;
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, signed.cert.pem())?;
    std::fs::write(&key, signed.signing_key.serialize_pem())?;
    let arguments = [("--tls-cert", &cert), ("--tls-key", &key)]
        .into_iter()
        .flat_map(|(flag, path)| [flag.to_owned(), path.to_string_lossy().into_owned()]);
    let mut victim = Victim::start_with(&arguments.collect::<Vec<_>>()).await?;

    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let address = victim.node.address()?.to_owned();
    let _first = connect(FIRST, || an_idle_consumer_with_tls(address.clone(), tls.clone())).await?;
    victim.settles().await?;
    let idle = connect(count, || an_idle_consumer_with_tls(address.clone(), tls.clone())).await?;
    cost_at_most(TLS_BYTES, count, &victim).await?;
    drop(idle);
    victim.end().await
}

/// Makes so many connections, some at a time.
async fn connect<C, F>(count: u64, one: impl Fn() -> F) -> anyhow::Result<Vec<C>>
where
    C: Send + 'static,
    F: Future<Output = anyhow::Result<C>> + Send + 'static,
{
    let (mut idle, mut connecting) = (Vec::new(), JoinSet::new());
    for _ in 0..count {
        if connecting.len() >= AT_A_TIME
            && let Some(connected) = connecting.join_next().await
        {
            idle.push(connected??);
        }
        connecting.spawn(one());
    }
    while let Some(connected) = connecting.join_next().await {
        idle.push(connected??);
    }
    Ok(idle)
}

/// All of them are there, the others go on, and each costs no more than that.
async fn cost_at_most(bytes: u64, count: u64, victim: &Victim) -> anyhow::Result<()> {
    until("the node to know all of them", PATIENCE, async || {
        let stats = victim.node.channel_stats("idle", "c").await.map_err(|error| error.to_string())?;
        match stats.get("client_count").and_then(Value::as_u64) {
            Some(consumers) if consumers == FIRST + count => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    victim.others_go_on().await?;
    let taken = victim.has_taken_at_most(count * bytes);
    if let Ok(taken) = taken {
        eprintln!("{count} idle connections: {} bytes each", taken / count);
    }
    taken.map(drop)
}

const WHO: &str =
    r#"{"client_id":"idle","heartbeat_interval":60000,"feature_negotiation":true,"tls_v1":true}"#;

/// One that has said who it is and subscribed, and wants nothing at the moment.
async fn an_idle_consumer(address: String) -> anyhow::Result<RawClient> {
    let mut client = RawClient::dial(&address).await?;
    client.identify(WHO).await?;
    client.subscribe("idle", "c").await?;
    Ok(client)
}

/// The same, to a node that has a certificate.
async fn an_idle_consumer_with_tls(
    address: String,
    tls: TlsConnector,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut client = RawClient::dial(&address).await?;
    client.identify(WHO).await?;
    let name = ServerName::try_from("localhost")?;
    let mut stream = tls.connect(name, client.stream).await?;
    expect_ok(&mut stream).await?;
    stream.write_all(b"SUB idle c\n").await?;
    expect_ok(&mut stream).await?;
    Ok(stream)
}

async fn expect_ok(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
    let expected = with_body("", b"\0\0\0\0OK");
    let mut answer = vec![0; expected.len()];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
    ensure!(answer == expected, "{} in place of OK", answer.escape_ascii());
    Ok(())
}

/// As many as this run is for; this process, and the node that it starts, may have so many files open.
fn how_many() -> anyhow::Result<u64> {
    let count = 10_000;
    let files = FIRST + count + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard >= files, "this needs {files} open files; `ulimit -Hn` says {hard}");
    if soft < files {
        setrlimit(Resource::RLIMIT_NOFILE, files, hard).context("cannot allow so many open files")?;
    }
    Ok(count)
}
