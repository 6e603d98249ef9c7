//! Servers that are measured: each pinned to one core, with the load on the others, when there are two or more.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::{cpu, machine};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A running server. Killed when dropped.
pub(crate) struct Pinned(Child);

impl Pinned {
    /// Starts it on core 0, with what it says in `NAME.log`, and returns when it listens at `address`.
    pub(crate) fn launch(name: &str, command: &mut Command, address: &str) -> anyhow::Result<Self> {
        let path = machine::scratch()?.join(format!("{name}.log"));
        let log = File::create(&path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = Self(on_its_core(command).with_context(|| format!("cannot start {name}"))?);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.0.try_wait()? {
                bail!("{name} ended with {status}: see {}", path.display());
            }
            if started.elapsed() > STARTS_WITHIN {
                bail!("nothing listens at {address}: see {}", path.display());
            }
            std::thread::yield_now();
        }
        Ok(server)
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu::used_by_tree(self.0.id())
    }

    /// Resident memory in bytes, with the pages of the program's file that the kernel happens to keep.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// What of it is the process's own: what the kernel cannot drop and read again.
    pub(crate) fn own_memory(&self) -> anyhow::Result<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, key: &'static str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)).context(key)?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
    }

    /// Open file descriptors.
    pub(crate) fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0.id()))?.count())
    }

    pub(crate) fn kill(&mut self) {
        if self.0.kill().is_ok() {
            let _reaped = self.0.wait();
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Addresses on loopback at which nothing listens.
pub(crate) fn free_addresses<const N: usize>() -> anyhow::Result<[String; N]> {
    // All are held at once, so that none is given out twice.
    let held: Vec<_> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
    let mut addresses = [const { String::new() }; N];
    for (address, listener) in addresses.iter_mut().zip(&held) {
        *address = listener.local_addr()?.to_string();
    }
    Ok(addresses)
}

/// Bytes on the disk below `path`; files may go while they are counted.
pub(crate) fn disk_use(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let mut dirs = vec![PathBuf::from(path)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)?.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => dirs.push(entry.path()),
                Ok(metadata) => bytes += metadata.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    Ok(bytes)
}

/// Keeps this thread, and those that it starts, off the core of the server.
pub(crate) fn leave_its_core() -> anyhow::Result<()> {
    if has_one_core() { Ok(()) } else { Ok(sched_setaffinity(Pid::from_raw(0), &core(1)?)?) }
}

fn on_its_core(command: &mut Command) -> anyhow::Result<Child> {
    if has_one_core() {
        return Ok(command.spawn()?);
    }
    // A child has its parent's cores, and all its threads have them.
    sched_setaffinity(Pid::from_raw(0), &core(0)?)?;
    let child = command.spawn();
    leave_its_core()?;
    Ok(child?)
}

fn has_one_core() -> bool {
    fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default().trim() == "0"
}

fn core(number: usize) -> anyhow::Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(number)?;
    Ok(set)
}
