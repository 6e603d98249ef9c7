//! Serves HTTP/2 and HTTP/1.1, with or without TLS, on one port.

mod preface;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use punctual_service::socket::{Listener, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::preface::{Version, detect};

/// Connections held at once; further ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4_096;
/// Calls in progress on one connection.
const MAX_STREAMS: u32 = 200;
/// Bytes of bodies that may wait unread, of one call and of a connection's calls together. h2 derives from the latter
/// how many small frames it lets wait before it suspects an attack and closes: half of it, at 256 bytes a frame, so
/// 1,024 frames for `MAX_STREAMS` calls.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// Bytes of a request's headers.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How long a client may take for its TLS handshake, for HTTP/2's preface, and for a request's head over HTTP/1.1.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls in progress may take to complete after `shutdown`.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves `app` until `shutdown`, then completes the calls in hand.
///
/// # Errors
/// When the listener itself breaks; what happens on one connection ends that connection only.
pub(super) async fn serve(
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
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(serve_connection(stream, tls.clone(), app.clone(), shutdown.clone()));
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    shutdown.cancel();
    let all = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "closing connections that did not complete in time");
    }
    outcome
}

async fn serve_connection(
    stream: Stream,
    tls: Option<TlsAcceptor>,
    app: Router,
    shutdown: CancellationToken,
) {
    let Some(tls) = tls else { return serve_stream(stream, app, shutdown).await };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_stream(stream, app, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_elapsed) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_stream<S>(stream: S, app: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (version, stream) = match shutdown.run_until_cancelled(detect(stream, HANDSHAKE_TIMEOUT)).await {
        Some(Ok(detected)) => detected,
        Some(Err(error)) => return tracing::debug!(%error, "a connection ended before its first call"),
        None => return,
    };
    let builder = builder(version);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "connection ended early");
    }
}

fn builder(version: Version) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    }
}

/// TLS with this identity; HTTP/2 preferred.
pub(super) fn tls_acceptor(identity: &punctual_service::tls::ServerIdentity) -> TlsAcceptor {
    TlsAcceptor::from(Arc::clone(&identity.server_config(&["h2", "http/1.1"])))
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a call panicked; its connection was closed");
    }
}
