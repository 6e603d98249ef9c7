//! A program under way, with everything it has started.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use super::output::Pipes;

/// A program in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The group's number, which is the program's; `None` once it has been reaped and the number may be another's.
    group: Option<Pid>,
    /// Readable once the program has ended; `None` where the system has no such thing.
    end: Option<AsyncFd<OwnedFd>>,
}

impl Process {
    /// Starts `command` with pipes, in its own group, to be killed when the thread that calls this ends.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        die_with_parent(&mut command);
        let child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Self { child, group, end: group.and_then(end_of) })
    }

    /// The pipes; they are there once.
    pub(super) fn take_output(&mut self) -> Pipes {
        Pipes { stdout: self.child.stdout.take(), stderr: self.child.stderr.take() }
    }

    /// Sends a signal to the program and whatever it started, unless that left the group.
    pub(super) fn signal_group(&self, signal: Signal) {
        if let Some(group) = self.group
            && let Err(error) = rustix::process::kill_process_group(group, signal)
            // Everybody is gone already.
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, pid = group.as_raw_nonzero(), ?signal, "could not signal a process group");
        }
    }

    /// Completes when the program has ended. It is not reaped, so its group's number stays taken.
    pub(super) async fn exited(&mut self) {
        let ended = match &self.end {
            Some(end) => end.readable().await.map(drop),
            // Reaps it, and leaves a moment in which the group's number, if nobody is left in it, may be another's.
            None => self.child.wait().await.map(drop),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "could not wait for a program");
        }
    }

    /// Kills what is left of the group, and says how the program ended.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn reap(&mut self) -> io::Result<ExitStatus> {
        self.signal_group(Signal::KILL);
        self.group = None;
        self.child.wait().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The program itself is reaped in the background.
        self.signal_group(Signal::KILL);
    }
}

/// What becomes readable when a child has ended; `None` where the system has no such thing.
#[expect(unsafe_code, reason = "tokio asks for a promise about descriptors that it watches")]
fn end_of(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
    let end = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    // SAFETY: an `OwnedFd` stays the same open descriptor as long as it lives.
    unsafe { AsyncFd::register(end) }.ok()
}

/// Has the program killed when the thread that starts it ends, so that a worker killed on the spot leaves no program
/// behind. What that program has started is beyond this; a service manager's control group is not.
#[expect(unsafe_code, reason = "a hook between fork and exec is unsafe; this one makes two system calls")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The worker may have ended before the call above.
        if rustix::process::getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called; the hook calls prctl and
    // getppid, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(hook);
    }
}
