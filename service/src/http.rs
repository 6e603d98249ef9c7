//! Serves a router over HTTP/1.1, with TLS or without.

mod awaited;
mod impatient;
mod lingering;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::socket::{Listener, Stream};
use awaited::Awaited;
use impatient::Impatient;
use lingering::Lingering;

/// How long a client may take to send a request's head, and may stay idle between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take nothing of its answer before it is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may send nothing of a body it has begun before the request fails.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How long answers in progress may take to complete after `shutdown`.
const DRAIN: Duration = Duration::from_secs(10);

/// Who sent a request: an extension of each.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from; `None` for a socket file of this machine.
    pub address: Option<SocketAddr>,
    /// Whether it is a TLS one.
    pub tls: bool,
    /// The certificate that the client showed.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Serves `app` on `listener` until `shutdown`, then completes the requests in hand.
///
/// A client that does not send a whole request head within 5 s is cut off, as is one that takes nothing of its answer
/// for 30 s, or sends nothing of its body; one that sends something else gets 400. How large a body may be is the router's business; a client that is
/// answered while it still sends has a moment to read the answer. Dropping the future closes every connection.
///
/// # Errors
/// When the listener itself breaks; what happens on one connection ends that connection only.
pub async fn serve(
    listener: impl Into<Listener>,
    app: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    accept_all(listener.into(), None, app, shutdown).await
}

/// The same over TLS. A handshake has as long as a request's head.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls(
    listener: impl Into<Listener>,
    tls: Arc<ServerConfig>,
    app: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    accept_all(listener.into(), Some(tls.into()), app, shutdown).await
}

async fn accept_all(
    listener: Listener,
    tls: Option<TlsAcceptor>,
    app: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let shutdown = shutdown.child_token(); // a broken listener ends its connections, not the process
    let mut connections = JoinSet::new();
    let outcome = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            Some(ended) = connections.join_next() => log_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (tls, app, shutdown) = (tls.clone(), app.clone(), shutdown.clone());
                    connections.spawn(greet(stream, peer, tls, app, shutdown));
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

async fn greet(
    stream: Stream,
    address: Option<SocketAddr>,
    tls: Option<TlsAcceptor>,
    app: Router,
    shutdown: CancellationToken,
) {
    let Some(tls) = tls else {
        let peer = Peer { address, tls: false, certificate: None };
        return serve_connection(stream, peer, app, shutdown).await;
    };
    let handshake = tokio::time::timeout(HEADER_READ_TIMEOUT, tls.accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let peer =
                Peer { address, tls: true, certificate: shown.cloned().map(CertificateDer::into_owned) };
            serve_connection(stream, peer, app, shutdown).await;
        }
        Some(Ok(Err(error))) => tracing::debug!(?address, %error, "a TLS handshake failed"),
        Some(Err(_elapsed)) => tracing::debug!(?address, "a TLS handshake took too long"),
        None => {}
    }
}

async fn serve_connection<S>(stream: S, peer: Peer, app: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    let app = TowerToHyperService::new(app);
    let app = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        app.call(request.map(|body| Awaited::new(body, BODY_PATIENCE)))
    });
    let stream = Impatient::new(Lingering::new(stream), WRITE_PATIENCE);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), app);
    tokio::pin!(connection);

    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(?address, %error, "connection ended early");
    }
}
