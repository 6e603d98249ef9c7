//! Addresses, listeners and streams of servers that listen on TCP or on a socket file of this machine.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// How long to wait before accepting again when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl Address {
    /// The address and port, if it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// What is neither HOST:PORT nor the path of a socket file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// There is neither a colon nor a slash in it.
    #[error("expected HOST:PORT, or the path of a socket file (with a /)")]
    Neither,
    /// The port is no number, or the host is not known.
    #[error("no such host or port: {0}")]
    Unresolved(String),
}

impl FromStr for Address {
    type Err = BadAddress;

    /// `HOST:PORT`, `:PORT` for all interfaces, or a path with a slash in it. A host's name is looked up, which may
    /// take a while.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.contains('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress::Neither)?;
        let unresolved = |reason: String| BadAddress::Unresolved(reason);
        let port: u16 = port.parse().map_err(|_| unresolved(format!("port {port:?}")))?;
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let mut found = (host, port).to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
        found.next().map(Self::Tcp).ok_or_else(|| unresolved(host.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<([u8; 4], u16)> for Address {
    fn from(address: ([u8; 4], u16)) -> Self {
        Self::Tcp(address.into())
    }
}

/// An open listener. Dropped, it removes its socket file.
#[derive(Debug)]
pub enum Listener {
    /// On an address and port.
    Tcp(TcpListener),
    /// On a socket file.
    Unix(UnixListener, SocketFile),
}

/// A socket file, for as long as somebody listens there.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that is gone already was removed by somebody who wanted it so.
        let _best_effort = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens on `address`. A socket file that a killed process left behind is replaced.
    ///
    /// # Errors
    /// What the system says; for a socket file that somebody listens on, that the address is in use.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                remove_abandoned(path).await?;
                Ok(Self::Unix(UnixListener::bind(path)?, SocketFile(path.clone())))
            }
        }
    }

    /// Where it listens; with the port that the system chose.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, SocketFile(path)) => Ok(Address::Unix(path.clone())),
        }
    }

    /// The next connection, and where it comes from: nowhere in particular through a socket file. A client that was gone
    /// before it was accepted is passed over; when the process is out of file descriptors or memory, it is tried again
    /// a moment later. May be dropped and called again.
    ///
    /// # Errors
    /// The listener itself is broken.
    pub async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        loop {
            match self.accept_one().await {
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) if is_passing(&error) => {
                    tracing::warn!(%error, "cannot accept connections at the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                accepted => return accepted,
            }
        }
    }

    async fn accept_one(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small answers must not wait for more to come. A socket that refuses is about to fail anyway.
                let _best_effort = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener, _) => Ok((Stream::Unix(listener.accept().await?.0), None)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
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

async fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    match UnixStream::connect(path).await {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        // There is none, it is another's file (binding says so), or somebody listens there.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Through a socket file.
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // neither holds anything back
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn an_address_is_a_host_and_port_or_a_path() {
        for (text, expected) in [
            ("127.0.0.1:4150", Ok("127.0.0.1:4150")),
            ("[::1]:4150", Ok("[::1]:4150")),
            (":4150", Ok("0.0.0.0:4150")),
            ("/run/nsqd.sock", Ok("/run/nsqd.sock")),
            ("./nsqd.sock", Ok("./nsqd.sock")),
            ("4150", Err(BadAddress::Neither)),
            ("host:port", Err(BadAddress::Unresolved(r#"port "port""#.to_owned()))),
        ] {
            let parsed = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
        let named = "localhost:80".parse::<Address>().unwrap();
        assert!(named.tcp().unwrap().ip().is_loopback(), "{named}");
    }

    #[tokio::test]
    async fn a_socket_file_serves_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
        let mut client = UnixStream::connect(&path).await.unwrap();
        let (mut served, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, None);
        client.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        served.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_file_that_a_kill_left_behind_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // leaves its file, as a kill does
        let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
        let second = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        std::fs::write(&path, "somebody's file").unwrap();
        let third = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
        assert_eq!(third.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's file");
    }
}
