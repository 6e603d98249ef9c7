//! Tells HTTP/2 from HTTP/1.1 by the first bytes of a connection.

use std::io::{self, Cursor};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

/// What every HTTP/2 client that does not ask first begins with.
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocol a client has begun to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Reads until the version is certain, and gives it with the connection as if nothing had been read. A client that
/// stays silent, or stops within the preface, is cut off: it would hold a connection for nothing.
///
/// # Errors
/// When it takes longer than `patience`, or the connection ends first.
pub(super) async fn detect<S>(
    stream: S,
    patience: Duration,
) -> io::Result<(Version, impl AsyncRead + AsyncWrite + Unpin + Send + 'static)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut from, to) = tokio::io::split(stream);
    let begun = timeout(patience, read_preface(&mut from)).await;
    let (version, read) = begun.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((version, tokio::io::join(Cursor::new(read).chain(from), to)))
}

async fn read_preface(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Version, Vec<u8>)> {
    let mut read = Vec::with_capacity(HTTP2.len());
    while read.len() < HTTP2.len() {
        // Never past the preface: what follows is left to whoever speaks the protocol.
        let missing = (HTTP2.len() - read.len()) as u64;
        if from.take(missing).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !HTTP2.starts_with(&read) {
            return Ok((Version::Http1, read));
        }
    }
    Ok((Version::Http2, read))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// Sends `chunks` one by one; gives the version and all that the server then reads.
    async fn check(chunks: &[&[u8]], expect: Version) {
        let (mut client, server) = duplex(8);
        let sent = chunks.concat();
        let send = async {
            for chunk in chunks {
                client.write_all(chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let receive = async {
            let (version, mut stream) = detect(server, PATIENCE).await.unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            (version, received)
        };
        let ((), (version, received)) = tokio::join!(send, receive);
        assert_eq!((version, received), (expect, sent));
    }

    #[tokio::test]
    async fn the_version_is_told_and_no_byte_is_lost() {
        check(&[HTTP2, b"frames"], Version::Http2).await;
        check(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n", b"\r\nframes"], Version::Http2).await;
        check(&[b"GET / HTTP/1.1\r\n\r\n"], Version::Http1).await;
        check(&[b"P", b"OST /v1/jobs HTTP/1.1\r\n\r\n"], Version::Http1).await;
        check(&[b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"], Version::Http1).await;
        check(&[b"\x16\x03\x01"], Version::Http1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_for_ever() {
        for begun in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\n"] {
            let (mut client, server) = duplex(64);
            client.write_all(begun).await.unwrap();
            let error = detect(server, PATIENCE).await.map(|(version, _)| version).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_at_once_is_no_protocol() {
        let (client, server) = duplex(64);
        drop(client);
        let error = detect(server, PATIENCE).await.map(|(version, _)| version).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
