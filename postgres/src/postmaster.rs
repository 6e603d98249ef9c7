//! The postmaster, as our child.

use std::fmt::Debug;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};

use crate::PostgresError;
use crate::pid_file::PidFile;

/// How often to look whether a postmaster serves. It says so in a file.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running postmaster. It is asked to stop when this process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Postmaster {
    pid: u32,
    exit: Arc<Exit>,
}

/// How a process ended, once it has.
#[derive(Debug, Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Postmaster {
    /// Starts it and does not wait for it to serve.
    ///
    /// The system ties "the parent has died" to the thread that made the child. So that thread is one of the child's
    /// own, which does nothing but wait for it to end.
    pub(crate) fn spawn(program: &Path, mut command: Command) -> Result<Self, PostgresError> {
        // A Ctrl-C in a terminal goes to the whole group; Postgres is to stop after those that use it.
        command.process_group(0);
        dies_with_its_parent(&mut command, Signal::INT);
        let exit = Arc::new(Exit::default());
        let (report, started) = mpsc::sync_channel(1);
        let keeper = std::thread::Builder::new().name("postgres".to_owned()).spawn({
            let exit = Arc::clone(&exit);
            move || keep(command, &report, &exit)
        });
        keeper.map_err(PostgresError::spawn(program))?;
        let pid = started
            .recv()
            .expect("the keeper reports before it does anything that can fail")
            .map_err(PostgresError::spawn(program))?;
        Ok(Self { pid, exit })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock()
    }

    /// Waits until it accepts connections. `Err` with how it ended when it does not, `Ok(false)` after `timeout`.
    pub(crate) fn serves_within(&self, cluster: &Path, timeout: Duration) -> Result<bool, ExitStatus> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if PidFile::read(cluster) == Some(PidFile { pid: self.pid, ready: true }) {
                return Ok(true);
            }
            if let Some(status) = self.ends_within(LOOK_EVERY) {
                return Err(status);
            }
        }
        Ok(false)
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let ended = self.exit.lock();
        if ended.is_none()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            let _ending = kill_process(pid, signal);
        }
    }

    /// Waits for it to end; `None` when it has not within `timeout`.
    pub(crate) fn ends_within(&self, timeout: Duration) -> Option<ExitStatus> {
        let waited = self.exit.ended.wait_timeout_while(self.exit.lock(), timeout, |status| status.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Exit {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(mut command: Command, report: &mpsc::SyncSender<std::io::Result<u32>>, exit: &Exit) {
    let spawned = command.spawn();
    // The one who waits for this lives until it has it.
    let _received = report.send(spawned.as_ref().map(Child::id).map_err(|error| error.kind().into()));
    if let Ok(mut child) = spawned {
        // Waiting fails only if somebody else in this process has done it; then it has ended, nobody knows how.
        let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
        *exit.lock() = Some(status);
        exit.ended.notify_all();
    }
}

/// Makes the system send `signal` to the child when the thread that starts it ends.
#[expect(unsafe_code, reason = "the request must be made in the child, between fork and exec")]
pub(crate) fn dies_with_its_parent(command: &mut Command, signal: Signal) {
    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(signal))?;
        // The parent may have died before it could be asked for.
        if getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::Interrupted.into()) }
    };
    // SAFETY: two system calls and a comparison; nothing allocates or locks between fork and exec. It runs after the
    // change of user, which would undo the request.
    unsafe {
        command.pre_exec(ask);
    }
}
