//! What a connection's bytes go through last.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use punctual_service::socket::Stream;
use rustls::ServerConnection;
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio_rustls::server::TlsStream;
use tokio_util::io::poll_read_buf;

#[derive(Debug)]
pub(super) enum Socket {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
    /// A handshake failed, which ended the connection.
    Closed,
}

impl Socket {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => poll_read_buf(Pin::new(stream), cx, input),
            Self::Tls(stream) => poll_read_buf(Pin::new(stream), cx, input),
            Self::Closed => Poll::Ready(Ok(0)),
        }
    }

    /// Sends some of `output`, and takes it off; without any, all that TLS has made of what it was given before.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, output: &mut BytesMut) -> Poll<io::Result<()>> {
        if output.is_empty() {
            return self.poll_flush(cx);
        }
        match ready!(self.poll_write(cx, output))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written if written == output.len() => {
                output.clear();
                // One that was sent in pieces gets back the room that these took.
                let _is_whole = output.try_reclaim(output.capacity() + 1);
            }
            written => output.advance(written),
        }
        Poll::Ready(Ok(()))
    }

    /// Whether TLS has something to send, of its own or of what it was given.
    pub(super) fn has_unsent(&self) -> bool {
        self.tls().is_some_and(|session| session.wants_write())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, output: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, output),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, output),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Plain(_) | Self::Closed => Poll::Ready(Ok(())),
        }
    }

    /// The TLS session, if there is one.
    pub(super) fn tls(&self) -> Option<&ServerConnection> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().1),
            Self::Plain(_) | Self::Closed => None,
        }
    }

    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Closed => Ok(()),
        }
    }
}
