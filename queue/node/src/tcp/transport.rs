//! The bytes of a connection: plain or TLS, compressed or not.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::compress::{Compression, Decoder, Encoder};
use punctual_service::socket::Stream;
use rustls::ServerConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Most bytes that one read may unpack into: a few compressed ones may claim to be gigabytes, of commands that take
/// next to nothing each, and the others wait while one connection's are carried out.
const MAX_UNPACKED_BYTES: usize = 32 * 1024;

/// What is read at a time of a compressed stream.
const COMPRESSED_READ_BYTES: usize = 4 * 1024;

/// Packed output that is kept as a buffer for the next.
const KEPT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Transport {
    socket: Socket,
    packing: Option<Box<PackingLayer>>,
}

#[derive(Debug)]
enum Socket {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
    /// A handshake failed, which ended the connection.
    Closed,
}

/// What stands between the socket and the protocol once compression was negotiated.
#[derive(Debug)]
struct PackingLayer {
    encoder: Encoder,
    decoder: Decoder,
    /// Read from the socket, not yet unpacked.
    received: BytesMut,
    /// Packed, to be written.
    packed: BytesMut,
}

impl Transport {
    pub(super) fn new(stream: Stream) -> Self {
        Self { socket: Socket::Plain(stream), packing: None }
    }

    /// Reads some of what has come behind `input`; 0 when the client closed its side. May be dropped and called again.
    pub(super) async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let Some(layer) = &mut self.packing else { return self.socket.read(input).await };
        loop {
            // A few bytes may keep the decoder busy for long, without the socket ever making it wait.
            tokio::task::consume_budget().await;
            let before = input.len();
            layer
                .decoder
                .decode(&mut layer.received, input, MAX_UNPACKED_BYTES)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if input.len() > before {
                return Ok(input.len() - before);
            }
            layer.received.reserve(COMPRESSED_READ_BYTES);
            if self.socket.read(&mut layer.received).await? == 0 {
                return Ok(0);
            }
        }
    }

    /// Sends all of `output`. With `patience`, an error when the client takes nothing for so long.
    pub(super) async fn write_all(&mut self, output: &[u8], patience: Option<Duration>) -> io::Result<()> {
        let Some(layer) = &mut self.packing else { return self.socket.write_all(output, patience).await };
        layer.packed.clear();
        layer.encoder.encode(output, &mut layer.packed);
        let written = self.socket.write_all(&layer.packed, patience).await;
        if layer.packed.capacity() > KEPT_BYTES {
            layer.packed = BytesMut::new();
        }
        written
    }

    /// Lets the client begin a TLS session, in which everything goes on.
    pub(super) async fn start_tls(&mut self, acceptor: TlsAcceptor) -> io::Result<&ServerConnection> {
        match std::mem::replace(&mut self.socket, Socket::Closed) {
            Socket::Plain(stream) => {
                self.socket = Socket::Tls(Box::new(acceptor.accept(stream).await?));
            }
            other => self.socket = other,
        }
        self.tls().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The TLS session, if there is one.
    pub(super) fn tls(&self) -> Option<&ServerConnection> {
        match &self.socket {
            Socket::Tls(stream) => Some(stream.get_ref().1),
            Socket::Plain(_) | Socket::Closed => None,
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// Packs what is written and unpacks what is read from now on, beginning with what has come already.
    pub(super) fn start_packing(&mut self, compression: Compression, received: BytesMut) {
        self.packing = Some(Box::new(PackingLayer {
            encoder: Encoder::new(compression),
            decoder: Decoder::new(compression),
            received,
            packed: BytesMut::new(),
        }));
    }

    /// Tells the client that nothing more comes.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.socket {
            Socket::Plain(stream) => stream.shutdown().await,
            Socket::Tls(stream) => stream.shutdown().await,
            Socket::Closed => Ok(()),
        }
    }

    /// Reads what the client still sends, for nobody, until it closes its side.
    pub(super) async fn discard(&mut self) -> io::Result<()> {
        let mut rest = BytesMut::with_capacity(COMPRESSED_READ_BYTES);
        while self.socket.read(&mut rest).await? > 0 {
            rest.clear();
        }
        Ok(())
    }
}

impl Socket {
    async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(input).await,
            Self::Tls(stream) => stream.read_buf(input).await,
            Self::Closed => Ok(0),
        }
    }

    async fn write_all(&mut self, mut output: &[u8], patience: Option<Duration>) -> io::Result<()> {
        while !output.is_empty() {
            let written = within(patience, self.write(output)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            output = &output[written..];
        }
        match self {
            Self::Tls(stream) => within(patience, stream.flush()).await,
            Self::Plain(_) | Self::Closed => Ok(()),
        }
    }

    async fn write(&mut self, output: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(output).await,
            Self::Tls(stream) => stream.write(output).await,
            Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

async fn within<T>(patience: Option<Duration>, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match patience {
        Some(patience) => timeout(patience, step).await?,
        None => step.await,
    }
}
