//! The bytes of a connection: plain or TLS, compressed or not.

mod socket;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use punctual_queue_wire::compress::{Compression, Decoder, Encoder};
use punctual_service::socket::Stream;
use rustls::ServerConnection;
use tokio::task::coop;
use tokio_rustls::TlsAcceptor;

use socket::Socket;

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

/// What stands between the socket and the protocol once compression was negotiated.
#[derive(Debug)]
struct PackingLayer {
    encoder: Encoder,
    decoder: Decoder,
    /// Read from the socket, not yet unpacked.
    received: BytesMut,
    /// Packed, not yet sent.
    packed: BytesMut,
}

/// What could be done first, and how it went.
pub(super) enum Exchanged {
    /// Some of the output was sent.
    Sent(io::Result<()>),
    /// So many bytes have come; 0 when the client closed its side.
    Read(io::Result<usize>),
}

impl Transport {
    pub(super) fn new(stream: Stream) -> Self {
        Self { socket: Socket::Plain(stream), packing: None }
    }

    /// Sends some of what is left of `output`, or reads some of what has come behind `input`, if it is given: whichever
    /// can be done first. May be dropped and called again, as all that sends here but for
    /// [`shutdown`](Self::shutdown): what was taken off `output` is on its way.
    pub(super) async fn exchange(
        &mut self,
        output: &mut BytesMut,
        mut input: Option<&mut BytesMut>,
    ) -> Exchanged {
        poll_fn(|cx| {
            if self.has_unsent(output)
                && let Poll::Ready(sent) = self.poll_send(cx, output)
            {
                return Poll::Ready(Exchanged::Sent(sent));
            }
            match &mut input {
                Some(input) => self.poll_read(cx, input).map(Exchanged::Read),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Sends as much of `output` as the client takes without being waited for; says whether it took any.
    pub(super) async fn send_now(&mut self, output: &mut BytesMut) -> io::Result<bool> {
        let mut took = false;
        poll_fn(|cx| {
            while self.has_unsent(output) {
                match self.poll_send(cx, output) {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => break,
                }
                took = true;
            }
            Poll::Ready(Ok(took))
        })
        .await
    }

    /// Sends all of `output`.
    pub(super) async fn send_all(&mut self, output: &mut BytesMut) -> io::Result<()> {
        while self.has_unsent(output) {
            poll_fn(|cx| self.poll_send(cx, output)).await?;
        }
        Ok(())
    }

    /// Whether anything of `output`, or of what was taken off it, is still to be sent.
    pub(super) fn has_unsent(&self, output: &BytesMut) -> bool {
        !output.is_empty()
            || self.packing.as_ref().is_some_and(|layer| !layer.packed.is_empty())
            || self.socket.has_unsent()
    }

    /// One step of it, where there is something unsent.
    fn poll_send(&mut self, cx: &mut Context<'_>, output: &mut BytesMut) -> Poll<io::Result<()>> {
        let Some(layer) = &mut self.packing else { return self.socket.poll_send(cx, output) };
        if layer.packed.is_empty() && !output.is_empty() {
            layer.encoder.encode(output, &mut layer.packed);
            output.clear();
        }
        let sent = self.socket.poll_send(cx, &mut layer.packed);
        if layer.packed.is_empty() && layer.packed.capacity() > KEPT_BYTES {
            layer.packed = BytesMut::new();
        }
        sent
    }

    /// Reads some of what has come behind `input`; 0 when the client closed its side. May be dropped and called again.
    pub(super) async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, input)).await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let Some(layer) = &mut self.packing else { return self.socket.poll_read(cx, input) };
        loop {
            // A few bytes may keep the decoder busy for long, without the socket ever making it wait.
            ready!(coop::poll_proceed(cx)).made_progress();
            let before = input.len();
            layer
                .decoder
                .decode(&mut layer.received, input, MAX_UNPACKED_BYTES)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if input.len() > before {
                return Poll::Ready(Ok(input.len() - before));
            }
            layer.received.reserve(COMPRESSED_READ_BYTES);
            if ready!(self.socket.poll_read(cx, &mut layer.received))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
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
        self.socket.tls()
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
        self.socket.shutdown().await
    }

    /// Reads what the client still sends, for nobody, until it closes its side.
    pub(super) async fn discard(&mut self) -> io::Result<()> {
        let mut rest = BytesMut::with_capacity(COMPRESSED_READ_BYTES);
        while poll_fn(|cx| self.socket.poll_read(cx, &mut rest)).await? > 0 {
            rest.clear();
        }
        Ok(())
    }
}
