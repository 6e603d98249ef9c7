//! A served router, and raw bytes to and from it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use punctual_service::{bind, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    serving: AbortOnDropHandle<std::io::Result<()>>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the handle aborts it with the test")]
    pub(crate) async fn start(app: Router) -> Self {
        let listener = bind::listen(([127, 0, 0, 1], 0).into(), "--http-address").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving: JoinHandle<_> = tokio::spawn(http::serve(listener, app, shutdown.clone()));
        Self { address, shutdown, serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// A whole exchange on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut connection = self.connect().await;
        connection.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")).await;
        connection.rest().await
    }

    /// Waits until it has stopped serving.
    pub(crate) async fn ended(self) {
        within(self.serving).await.unwrap().unwrap();
    }
}

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// What the server says until it closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut said = Vec::new();
        within(self.0.read_to_end(&mut said)).await.unwrap();
        String::from_utf8(said).unwrap()
    }
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}
