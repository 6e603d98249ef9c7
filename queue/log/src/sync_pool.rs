//! Syncs several files side by side: the disk takes them together almost as fast as one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::SyncFailure;
use crate::sync::mpsc;
use crate::sync::thread::{self, JoinHandle};

/// Helpers beside the calling thread. More than the disk's queue makes use of gains nothing.
const HELPERS: usize = 3;

/// A file with unsynced writes.
#[derive(Debug, Clone)]
pub(crate) struct DirtyFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// A file that could not be synced: which of those asked for, and why.
pub(crate) type Failed = (usize, SyncFailure);

#[derive(Debug)]
pub(crate) struct SyncPool {
    helpers: Vec<Helper>,
}

#[derive(Debug)]
struct Helper {
    jobs: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    files: Vec<(usize, DirtyFile)>,
    done: mpsc::Sender<Vec<Failed>>,
}

impl SyncPool {
    pub(crate) fn start() -> io::Result<Self> {
        let helpers = (0..HELPERS)
            .map(|number| {
                let (jobs, queue) = mpsc::channel::<Job>();
                let thread = thread::Builder::new().name(format!("log-sync-{number}")).spawn(move || {
                    for job in queue {
                        // The other end waits for every answer before it goes on.
                        let _ = job.done.send(sync_in_turn(&job.files));
                    }
                })?;
                Ok(Helper { jobs, thread: Some(thread) })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { helpers })
    }

    /// Returns when all of `files` are durable but those it names.
    pub(crate) fn sync(&self, files: Vec<DirtyFile>) -> Vec<Failed> {
        let mut shares: Vec<Vec<(usize, DirtyFile)>> = vec![Vec::new(); self.helpers.len() + 1];
        let count = shares.len();
        for (index, file) in files.into_iter().enumerate() {
            shares[index % count].push((index, file));
        }
        let own = shares.swap_remove(0);
        let (done, answers) = mpsc::channel();
        let mut waiting = 0;
        let mut kept = Vec::new();
        for (helper, files) in self.helpers.iter().zip(shares) {
            if files.is_empty() {
                continue;
            }
            match helper.jobs.send(Job { files, done: done.clone() }) {
                Ok(()) => waiting += 1,
                // A helper ends only with the pool; should it ever have, its share is done here.
                Err(mpsc::SendError(job)) => kept.extend(job.files),
            }
        }
        let mut failed = sync_in_turn(&own);
        failed.extend(sync_in_turn(&kept));
        failed.extend(answers.iter().take(waiting).flatten());
        failed
    }
}

fn sync_in_turn(files: &[(usize, DirtyFile)]) -> Vec<Failed> {
    let sync = |(index, dirty): &(usize, DirtyFile)| {
        let error = dirty.file.sync_data().err()?;
        Some((*index, SyncFailure { path: dirty.path.clone(), source: Arc::new(error) }))
    };
    files.iter().filter_map(sync).collect()
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        for helper in &mut self.helpers {
            helper.jobs = mpsc::channel().0; // the helper sees its queue end
            if let Some(thread) = helper.thread.take() {
                let _ = thread.join(); // it has nothing left that could fail
            }
        }
    }
}
