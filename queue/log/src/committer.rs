//! Group commit: one thread writes for all logs, and syncs once for all that waits.

mod group;
mod observer;
mod queue;
mod unsynced;
mod worker;

use std::io;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::AppendError;
use crate::journal::Journal;
use crate::sync::Mutex;
use crate::sync::thread::{self, JoinHandle};
pub use observer::{Commit, Observer};
pub(crate) use queue::{Queue, Request};
use worker::Worker;

/// The thread that writes for all logs of a process. When dropped it finishes what was appended, and ends.
#[derive(Debug)]
pub struct Committer {
    disk: Arc<dyn Disk>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread, and its helpers for syncing. Commits that span many logs go through `journal`, where there is
    /// one.
    ///
    /// # Errors
    /// Fails when a thread cannot be started.
    pub fn start(
        disk: Arc<dyn Disk>,
        journal: Option<Journal>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let worker = Worker::new(Arc::clone(&queue), journal, observer)?;
        let thread = thread::Builder::new().name("log-commit".into()).spawn(|| worker.run())?;
        Ok(Self { disk, queue, thread: Mutex::new(Some(thread)) })
    }

    /// Completes what was appended, refuses all later appends, and returns once the thread has ended.
    pub fn stop(&self) {
        self.queue.refuse(AppendError::Stopped);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join(); // only a completion could have panicked there, and that was reported
        }
    }

    /// The disk all logs of this committer are on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}
