//! An HTTP server that answers what a test tells it to: a lookup, or a node's `/info`.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::upgrades::Stream;

pub(crate) struct Lookup {
    pub(crate) address: String,
    body: Arc<Mutex<String>>,
    _server: JoinSet<()>,
}

impl Lookup {
    pub(crate) async fn answering(body: &str) -> anyhow::Result<Self> {
        Self::start(body, None).await
    }

    /// A lookup that lists nodes on these ports of this machine, over https only.
    pub(crate) async fn listing_over_tls(ports: &[u16], tls: TlsAcceptor) -> anyhow::Result<Self> {
        Self::start(&nodes(ports), Some(tls)).await
    }

    async fn start(body: &str, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let body = Arc::new(Mutex::new(body.to_owned()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, body.clone(), tls));
        Ok(Self { address, body, _server: server })
    }

    /// A lookup that lists nodes on these ports of this machine.
    pub(crate) async fn listing(ports: &[u16]) -> anyhow::Result<Self> {
        Self::answering(&nodes(ports)).await
    }

    pub(crate) fn list(&self, ports: &[u16]) {
        *self.body.lock().expect("nobody panicked") = nodes(ports);
    }
}

/// Good as an answer to both `/lookup` and `/nodes`.
fn nodes(ports: &[u16]) -> String {
    let entry = |port: &u16| {
        format!(
            r#"{{"remote_address":"x","hostname":"x","broadcast_address":"127.0.0.1","tcp_port":{port},
                "http_port":1,"version":"1.3.0","tombstones":[],"topics":[]}}"#
        )
    };
    let entries: Vec<_> = ports.iter().map(entry).collect();
    format!(r#"{{"channels":[],"producers":[{}]}}"#, entries.join(","))
}

async fn serve(listener: TcpListener, body: Arc<Mutex<String>>, tls: Option<TlsAcceptor>) {
    while let Ok((stream, _)) = listener.accept().await {
        let body = body.lock().expect("nobody panicked").clone();
        // A client that breaks off is the test's business.
        let _ended = match &tls {
            None => answer(stream, &body).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => answer(stream, &body).await,
                Err(error) => Err(error),
            },
        };
    }
}

async fn answer(mut stream: impl Stream, body: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
