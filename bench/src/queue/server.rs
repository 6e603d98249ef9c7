//! The server that is measured: pinned to one core, with the load on the others, when there are two or more.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{cpu, machine};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A queue node. Killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
    data: TempDir,
}

impl Server {
    /// Starts a node on an empty directory.
    pub(super) fn start() -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("node-").tempdir_in(machine::scratch()?)?;
        let (child, address) = launch(data.path())?;
        Ok(Self { child, address, data })
    }

    /// Kills the node and starts it anew on its data; how long until it listens again.
    pub(super) fn restart(&mut self) -> anyhow::Result<Duration> {
        self.kill();
        let started = Instant::now();
        (self.child, self.address) = launch(self.data.path())?;
        Ok(started.elapsed())
    }

    /// Processor time so far.
    pub(super) fn cpu(&self) -> Duration {
        cpu::used_by_tree(self.child.id())
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
    }

    /// Bytes on the disk.
    pub(super) fn disk(&self) -> anyhow::Result<u64> {
        disk_use(self.data.path())
    }

    fn kill(&mut self) {
        if self.child.kill().is_ok() {
            let _reaped = self.child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(data: &Path) -> anyhow::Result<(Child, String)> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [tcp, http] = [listeners[0].local_addr()?.to_string(), listeners[1].local_addr()?.to_string()];
    drop(listeners);
    let log = File::create(machine::scratch()?.join("node.log"))?;
    let mut command = Command::new(machine::punctual()?);
    command.args(["queue", "--tcp-address", &tcp, "--http-address", &http, "--data-path"]).arg(data);
    command.args(["--log-level", "warn"]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = on_its_core(&mut command)?;
    let started = Instant::now();
    while std::net::TcpStream::connect(&tcp).is_err() {
        if started.elapsed() > STARTS_WITHIN {
            bail!("nothing listens at {tcp}");
        }
        std::thread::yield_now();
    }
    Ok((child, tcp))
}

/// Starts a server on core 0 and keeps this process off it.
pub(super) fn on_its_core(command: &mut Command) -> anyhow::Result<Child> {
    let this = Pid::from_raw(0);
    let cores = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    if cores.trim() == "0" {
        return Ok(command.spawn()?);
    }
    // A child has its parent's cores, and all its threads have them.
    sched_setaffinity(this, &core(0)?)?;
    let child = command.spawn();
    sched_setaffinity(this, &core(1)?)?;
    Ok(child?)
}

fn core(number: usize) -> anyhow::Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(number)?;
    Ok(set)
}

fn disk_use(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let mut dirs = vec![PathBuf::from(path)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                dirs.push(entry.path());
            } else {
                bytes += metadata.blocks() * 512;
            }
        }
    }
    Ok(bytes)
}
