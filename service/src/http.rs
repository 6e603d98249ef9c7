//! Serves a router over HTTP/1.1.

mod lingering;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use lingering::Lingering;

/// How long a client may take to send a request's head, and may stay idle between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long answers in progress may take to complete after `shutdown`.
const DRAIN: Duration = Duration::from_secs(10);

/// How long to wait before accepting again when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `app` on `listener` until `shutdown`, then completes the requests in hand.
///
/// A client that does not send a whole request head within 5 s is cut off, and one that sends something else gets
/// 400. How large a body may be is the router's business; a client that is answered while it still sends has a moment
/// to read the answer. Dropping the future closes every connection.
///
/// # Errors
/// When the listener itself breaks; what happens on one connection ends that connection only.
pub async fn serve(listener: TcpListener, app: Router, shutdown: CancellationToken) -> io::Result<()> {
    let shutdown = shutdown.child_token(); // a broken listener ends its connections, not the process
    let mut connections = JoinSet::new();
    let outcome = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = connections.join_next() => log_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_connection(stream, peer, app.clone(), shutdown.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) if is_passing(&error) => {
                    tracing::warn!(%error, "cannot accept connections at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    shutdown.cancel();
    drain(connections).await;
    outcome
}

async fn drain(mut connections: JoinSet<()>) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "closing connections that did not complete in time");
    }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a handler panicked; its connection was closed");
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, app: Router, shutdown: CancellationToken) {
    // Small answers must not wait for more bytes to come. A socket that refuses is about to fail anyway.
    let _best_effort = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(Lingering::new(stream)), TowerToHyperService::new(app));
    tokio::pin!(connection);

    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}

/// The peer was gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The process or the machine is out of something that others may give back: ENOMEM, ENFILE, EMFILE, ENOBUFS.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}
