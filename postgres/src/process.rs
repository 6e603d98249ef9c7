//! Processes that are not our children.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that is not our child. It stays the same process: its id cannot be given to another behind our back.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    handle: OwnedFd,
}

impl Process {
    /// The process with this id; `None` when there is none.
    pub(crate) fn open(pid: u32) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = pidfd_open(raw, PidfdFlags::empty()).ok()?;
        Some(Self { pid, handle })
    }

    /// Sends a signal. One to a process that has ended goes nowhere.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ended = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits for the process to end; `false` when it has not within `timeout`.
    pub(crate) fn ends_within(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut waited_for = [PollFd::new(&self.handle, PollFlags::IN)];
        matches!(poll(&mut waited_for, timeout.as_ref()), Ok(1))
    }

    /// Postgres's processes at work in `cluster`, the postmaster and its children alike: each of them has it as its
    /// working directory.
    pub(crate) fn of_cluster(cluster: &Path) -> Vec<Self> {
        let Ok(cluster) = cluster.canonicalize() else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&pid| is_postgres(pid) && works_in(pid, &cluster))
            .filter_map(Self::open)
            .collect()
    }
}

/// Whether the process with this id is one of some Postgres, and alive: one that has ended but that nobody has waited
/// for, as under a container's careless first process, keeps its name but has no directory any more.
pub(crate) fn is_postgres(pid: u32) -> bool {
    let named =
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"));
    let ended =
        fs::read_link(format!("/proc/{pid}/cwd")).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    named && !ended
}

fn works_in(pid: u32, cluster: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|dir| dir == cluster)
}
