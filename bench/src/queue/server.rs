//! The server that is measured: a node of this build, or any server of the NSQ protocol that runs already.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use crate::machine;
use crate::pinned::{self, Pinned, free_addresses};

const NOT_OURS: &str = "the server was not started here";

/// A server of the NSQ protocol.
pub(crate) struct Server {
    pub(crate) address: String,
    node: Option<Node>,
}

/// A queue node of this build. Killed when dropped.
struct Node {
    process: Pinned,
    data: TempDir,
}

impl Server {
    /// The one at `address`, else a node started on an empty directory.
    pub(super) fn at_or_start(address: Option<&str>) -> anyhow::Result<Self> {
        match address {
            Some(address) => {
                pinned::leave_its_core()?;
                Ok(Self { address: address.to_owned(), node: None })
            }
            None => Self::start(),
        }
    }

    /// Starts a node on an empty directory.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("node-").tempdir_in(machine::scratch()?)?;
        let (process, address) = launch(data.path())?;
        Ok(Self { address, node: Some(Node { process, data }) })
    }

    /// Kills the node and starts it anew on its data; how long until it listens again.
    pub(super) fn restart(&mut self) -> anyhow::Result<Duration> {
        let node = self.node.as_mut().context(NOT_OURS)?;
        node.process.kill();
        let started = Instant::now();
        (node.process, self.address) = launch(node.data.path())?;
        Ok(started.elapsed())
    }

    /// Processor time so far; unknown of a server that was not started here.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        self.node.as_ref().map(|node| node.process.cpu())
    }

    /// Bytes on the disk; unknown of a server that was not started here.
    pub(crate) fn disk(&self) -> Option<u64> {
        pinned::disk_use(self.node.as_ref()?.data.path()).ok()
    }

    /// The node's process.
    pub(crate) fn process(&self) -> anyhow::Result<&Pinned> {
        Ok(&self.node.as_ref().context(NOT_OURS)?.process)
    }
}

fn launch(data: &Path) -> anyhow::Result<(Pinned, String)> {
    let [tcp, http] = free_addresses()?;
    let mut command = Command::new(machine::punctual()?);
    command.args(["queue", "--tcp-address", &tcp, "--http-address", &http, "--data-path"]).arg(data);
    command.args(["--log-level", "warn"]);
    Ok((Pinned::launch("node", &mut command, &tcp)?, tcp))
}
