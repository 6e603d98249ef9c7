//! A running daemon, and a node's connection to it.

use std::{net::SocketAddr, time::Duration};

use bytes::BytesMut;
use clap::Parser;
use punctual_queue_lookup::{
    lookup::{Lookup, LookupError},
    options::LookupOptions,
};
use punctual_queue_wire::lookup::{MAGIC_V1, PeerInfo, RegistrationCommand, decode_answer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: LookupOptions,
}

/// Options as an operator would give them, on ports of the system's choice.
pub(crate) fn options(flags: &[&str]) -> LookupOptions {
    let ports = ["lookup", "--tcp-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"];
    Command::parse_from(ports.iter().chain(flags)).options
}

pub(crate) struct Running {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    tasks: JoinSet<Result<(), LookupError>>,
    _stop: DropGuard,
}

impl Running {
    pub(crate) async fn start(flags: &[&str]) -> anyhow::Result<Self> {
        // The tests' HTTP client wants a crypto provider, with TLS or without.
        punctual_service::tls::install_crypto_provider();
        let lookup = Lookup::bind(options(flags)).await?;
        let (tcp, http) = (lookup.tcp_address(), lookup.http_address());
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(lookup.run(shutdown.clone()));
        Ok(Self { tcp, http, shutdown: shutdown.clone(), tasks, _stop: shutdown.drop_guard() })
    }

    /// Waits for the daemon's end.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let ended = timeout(PATIENCE, self.tasks.join_next()).await?;
        Ok(ended.expect("there is one task")??)
    }

    /// Status and body of a GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = reqwest::get(format!("http://{}{path}", self.http)).await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Asks until the answer holds, or does not hold, `text`.
    pub(crate) async fn wait_for(&self, path: &str, text: &str, expect: bool) -> anyhow::Result<()> {
        let wait = async {
            while self.get(path).await?.1.contains(text) != expect {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, wait).await?
    }
}

/// A node's end of a registration connection.
pub(crate) struct Node {
    pub(crate) stream: TcpStream,
    input: BytesMut,
}

impl Node {
    pub(crate) async fn connect(lookup: &Running) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(lookup.tcp).await?;
        stream.write_all(MAGIC_V1).await?;
        Ok(Self { stream, input: BytesMut::new() })
    }

    /// A node that has said who it is.
    pub(crate) async fn identified(lookup: &Running, host: &str) -> anyhow::Result<Self> {
        let mut node = Self::connect(lookup).await?;
        let answer = node.command(&RegistrationCommand::Identify(peer(host))).await?;
        anyhow::ensure!(answer.starts_with('{'), "IDENTIFY was answered by {answer}");
        Ok(node)
    }

    pub(crate) async fn command(&mut self, command: &RegistrationCommand) -> anyhow::Result<String> {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        self.send(&out).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<String> {
        self.stream.write_all(bytes).await?;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(answer) = decode_answer(&mut self.input, 1024 * 1024)? {
                return Ok(String::from_utf8(answer.to_vec())?);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await??;
            anyhow::ensure!(read > 0, "the daemon closed the connection");
        }
    }

    /// Waits until the daemon has closed the connection.
    pub(crate) async fn closed(&mut self) -> anyhow::Result<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await??;
        anyhow::ensure!(read == 0, "the daemon sent {:?}", self.input);
        Ok(())
    }
}

pub(crate) fn peer(host: &str) -> PeerInfo {
    PeerInfo {
        broadcast_address: host.to_owned(),
        hostname: host.to_owned(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    }
}
