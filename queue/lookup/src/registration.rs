//! The TCP interface: nodes say what they have.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use punctual_queue_wire::lookup::{
    LookupIdentity, MAGIC_V1, OK, RegistrationCommand, RegistrationError, RegistrationReader, encode_answer,
};
use punctual_service::socket::{Listener, Stream};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::{timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{lookup::SharedRegistry, registry::PeerId};

/// A connection has to say what it is within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A node takes its answers within this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest IDENTIFY: a few addresses and names.
const MAX_IDENTIFY_BYTES: usize = 64 * 1024;

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
enum ConnectionEnd {
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// No handshake, no sign of life, or an answer that was not taken.
    #[error("the peer completed nothing for {0:?}")]
    Silent(Duration),
    /// The peer broke the protocol, and was told.
    #[error(transparent)]
    Protocol(#[from] RegistrationError),
    /// It did not come to TLS: the node talks without it, or shows no certificate that is trusted.
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes connections of nodes.
#[derive(Debug)]
pub(crate) struct Registrations {
    pub(crate) registry: SharedRegistry,
    pub(crate) identity: LookupIdentity,
    /// A node that completes no command for this long is dropped.
    pub(crate) silence: Duration,
    /// With it, nodes register over TLS or not at all.
    tls: Option<Arc<ServerConfig>>,
    next_peer: AtomicU64,
}

impl Registrations {
    pub(crate) fn new(registry: SharedRegistry, identity: LookupIdentity, silence: Duration) -> Self {
        Self { registry, identity, silence, tls: None, next_peer: AtomicU64::new(1) }
    }

    /// The same over TLS, if there is any.
    pub(crate) fn over(self, tls: Option<Arc<ServerConfig>>) -> Self {
        Self { tls, ..self }
    }

    /// Serves until `shutdown`; then every connection is closed.
    ///
    /// # Errors
    /// The listener broke.
    pub(crate) async fn serve(self, listener: Listener, shutdown: CancellationToken) -> io::Result<()> {
        let shared = Arc::new(self);
        let mut connections = JoinSet::new();
        let outcome = loop {
            tokio::select! {
                () = shutdown.cancelled() => break Ok(()),
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the task of a registration connection failed");
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, Some(address))) => {
                        connections.spawn(shared.clone().connection(stream, address));
                    }
                    Ok((_, None)) => {} // through a socket file, of which there is none
                    Err(error) => break Err(error),
                },
            }
        };
        connections.shutdown().await;
        outcome
    }

    async fn connection(self: Arc<Self>, stream: Stream, address: SocketAddr) {
        let id = PeerId(self.next_peer.fetch_add(1, Ordering::Relaxed));
        // Struck off also when this task is aborted.
        let _peer = Peer { id, registry: self.registry.clone() };
        match self.greet(id, stream, address).await {
            Ok(()) | Err(ConnectionEnd::Closed) => debug!(peer.address = %address, "a node disconnected"),
            Err(end) => warn!(peer.address = %address, %end, "a registration connection was closed"),
        }
    }

    async fn greet(&self, id: PeerId, stream: Stream, address: SocketAddr) -> Result<(), ConnectionEnd> {
        let Some(tls) = &self.tls else { return self.converse(id, stream, address).await };
        let stream = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls.clone()).accept(stream))
            .await
            .map_err(|_| ConnectionEnd::Silent(HANDSHAKE_TIMEOUT))?
            .map_err(ConnectionEnd::Handshake)?;
        self.converse(id, stream, address).await
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        id: PeerId,
        mut stream: S,
        address: SocketAddr,
    ) -> Result<(), ConnectionEnd> {
        let mut answer = BytesMut::new();
        let mut magic = [0; MAGIC_V1.len()];
        timeout(HANDSHAKE_TIMEOUT, stream.read_exact(&mut magic))
            .await
            .map_err(|_| ConnectionEnd::Silent(HANDSHAKE_TIMEOUT))?
            .map_err(or_closed)?;
        if &magic != MAGIC_V1 {
            return refuse(&mut stream, RegistrationError::BadProtocol).await;
        }

        let mut reader = RegistrationReader::new(MAX_IDENTIFY_BYTES);
        let mut input = BytesMut::new();
        // From command to command, so that a byte now and then does not keep a connection.
        let mut deadline = tokio::time::Instant::now() + self.silence;
        loop {
            match reader.next(&mut input) {
                Ok(Some(command)) => {
                    self.apply(id, command, address, &mut answer);
                    write(&mut stream, &answer.split()).await?;
                    deadline = tokio::time::Instant::now() + self.silence;
                }
                Ok(None) => {
                    let read = timeout_at(deadline, stream.read_buf(&mut input)).await;
                    let read = read.map_err(|_| ConnectionEnd::Silent(self.silence))?;
                    if read.map_err(or_closed)? == 0 {
                        return match reader.end() {
                            Some(error) => refuse(&mut stream, error).await,
                            None => Err(ConnectionEnd::Closed),
                        };
                    }
                }
                Err(error) => return refuse(&mut stream, error).await,
            }
        }
    }

    fn apply(&self, id: PeerId, command: RegistrationCommand, address: SocketAddr, answer: &mut BytesMut) {
        let now = Instant::now();
        let mut registry = self.registry.lock();
        match command {
            RegistrationCommand::Identify(peer) => {
                info!(
                    peer.address = %address,
                    node.host = peer.broadcast_address,
                    node.tcp_port = peer.tcp_port,
                    "a node registered"
                );
                registry.identify(id, &peer, address.to_string(), now);
                self.registry.count(&registry);
                encode_answer(&self.identity.to_json(), answer);
                return;
            }
            RegistrationCommand::Register(registration) => {
                if let Err(refused) = registry.register(id, registration) {
                    debug!(peer.address = %address, %refused, "a name was not taken in");
                    encode_answer(refused.to_string().as_bytes(), answer);
                    return;
                }
            }
            RegistrationCommand::Unregister(registration) => registry.unregister(id, &registration),
            RegistrationCommand::Ping => registry.ping(id, now),
        }
        encode_answer(OK, answer);
    }
}

/// Strikes a node off when its connection ends, however that happens.
struct Peer {
    id: PeerId,
    registry: SharedRegistry,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut registry = self.registry.lock();
        registry.disconnect(self.id);
        self.registry.count(&registry);
    }
}

/// Says what was wrong, and ends the connection.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    error: RegistrationError,
) -> Result<(), ConnectionEnd> {
    let mut answer = BytesMut::new();
    encode_answer(error.to_string().as_bytes(), &mut answer);
    write(stream, &answer).await?;
    // Closing with unread bytes would reset the connection and could take the answer with it.
    stream.shutdown().await?;
    let (mut unread, mut nowhere) = (stream.take(MAX_REFUSED_BYTES), tokio::io::sink());
    let _gone_either_way = timeout(WRITE_TIMEOUT, tokio::io::copy(&mut unread, &mut nowhere)).await;
    Err(error.into())
}

/// How much of what a refused peer goes on to send is read, so that it gets to see the answer.
const MAX_REFUSED_BYTES: u64 = 64 * 1024;

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), ConnectionEnd> {
    let written = timeout(WRITE_TIMEOUT, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    })
    .await;
    Ok(written.map_err(|_| ConnectionEnd::Silent(WRITE_TIMEOUT))??)
}

fn or_closed(error: io::Error) -> ConnectionEnd {
    if error.kind() == io::ErrorKind::UnexpectedEof { ConnectionEnd::Closed } else { error.into() }
}

#[cfg(test)]
mod tests;
