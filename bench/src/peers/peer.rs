//! What is asked of every server, whatever its protocol.

use std::io;
use std::net::TcpStream;
use std::path::Path;

use tempfile::TempDir;

use crate::machine;
use crate::pinned::{self, Pinned};

/// A server on a directory of its own. Killed when dropped.
pub(super) trait Peer: Sync {
    fn process(&self) -> &Pinned;

    /// Bytes on the disk.
    fn disk(&self) -> anyhow::Result<u64>;

    /// Makes a topic with one group of consumers.
    fn make(&self, topic: &str) -> anyhow::Result<()>;

    fn publisher(&self, topic: &str) -> anyhow::Result<Box<dyn Publisher>>;

    fn consumer(&self, topic: &str) -> anyhow::Result<Box<dyn Consumer>>;
}

/// A connection that publishes to one topic.
pub(super) trait Publisher: Send {
    /// Appends what publishes so many messages to `output`.
    fn publish(&self, body: &[u8], batch: usize, output: &mut Vec<u8>);

    /// Waits for acknowledgements; how many messages they are of, where each command had `batch`.
    fn acknowledged(&mut self, batch: usize) -> anyhow::Result<usize>;

    /// A handle to send by, while another thread may wait for acknowledgements.
    fn sender(&self) -> io::Result<TcpStream>;
}

/// A connection that consumes one topic together with others.
pub(super) trait Consumer: Send {
    /// Waits for a moment for messages, hands over their bodies and finishes them; 0 when none came.
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<usize>;
}

/// The process of a peer, and where it writes.
pub(super) struct Running {
    pub(super) process: Pinned,
    pub(super) address: String,
    data: TempDir,
}

impl Running {
    /// Starts `name` on an empty directory; `command` is told the directory and the host and port to listen at.
    pub(super) fn start(
        name: &str,
        command: impl FnOnce(&Path, &str, &str) -> anyhow::Result<std::process::Command>,
    ) -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(machine::scratch()?)?;
        let [address] = pinned::free_addresses()?;
        let (host, port) = address.split_once(':').unwrap_or((&address, ""));
        let mut command = command(data.path(), host, port)?;
        let process = Pinned::launch(name, &mut command, &address)?;
        Ok(Self { process, address, data })
    }

    pub(super) fn disk(&self) -> anyhow::Result<u64> {
        pinned::disk_use(self.data.path())
    }
}
