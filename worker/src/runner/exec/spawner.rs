//! The thread that starts programs.

use std::io;

use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::process::Process;
use crate::handler::HandlerError;

/// Starts waiting for the thread; a few are enough, for it takes a millisecond each.
const WAITING: usize = 64;

type Start = Box<dyn FnOnce() + Send>;

/// Starts programs from one thread that lives as long as this.
///
/// The system kills a program when the *thread* that started it ends, and tokio ends threads as it sees fit. Besides,
/// finding and starting a program blocks.
#[derive(Debug)]
pub(super) struct Spawner {
    starts: mpsc::Sender<Start>,
}

impl Spawner {
    /// Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start() -> io::Result<Self> {
        let (starts, mut waiting) = mpsc::channel::<Start>(WAITING);
        let runtime = Handle::current();
        std::thread::Builder::new().name("punctual-spawn".to_owned()).spawn(move || {
            let _inside = runtime.enter();
            while let Some(start) = waiting.blocking_recv() {
                start();
            }
        })?;
        Ok(Self { starts })
    }

    /// Starts what `prepare` makes. When this is dropped midway, so is the process, which kills it.
    ///
    /// # Errors
    /// That of `prepare`, or what the system said.
    pub(super) async fn spawn<F>(&self, prepare: F) -> Result<Process, HandlerError>
    where
        F: FnOnce() -> Result<Command, HandlerError> + Send + 'static,
    {
        let (reply, started) = oneshot::channel();
        let start = Box::new(move || {
            let process = prepare().and_then(|command| Process::spawn(command).map_err(not_started));
            // Nobody waits any more when the attempt was dropped; the process goes with the reply.
            let _dropped_with_the_attempt = reply.send(process);
        });
        let gone = || HandlerError::new("the thread that starts programs has ended");
        self.starts.send(start).await.map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

fn not_started(error: io::Error) -> HandlerError {
    let failed = HandlerError::new(format!("could not start the program: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => failed.kind("program_not_found").not_retryable(),
        io::ErrorKind::PermissionDenied => failed.kind("program_not_executable").not_retryable(),
        // Such as no memory or too many processes: that passes.
        _ => failed.kind("not_started"),
    }
}
