//! Group commit: one thread writes for all logs, and syncs once for all that waits.

mod observer;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::error::{AppendError, SyncFailure};
use crate::log::{Completion, Durability, Shared};
use crate::position::Position;
use crate::record::Record;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Instant, Mutex};
use crate::sync_pool::{DirtyFile, SyncPool};

pub use observer::{Commit, Observer};

/// How long a written record may wait for its sync; half of what is promised, for the sync takes time too.
const WRITTEN_SYNC_AFTER: Duration = Duration::from_millis(500);

/// The thread that writes for all logs of a process. When dropped it finishes what was appended, and ends.
#[derive(Debug)]
pub struct Committer {
    disk: Arc<dyn Disk>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// One append on its way.
pub(crate) struct Request {
    pub(crate) log: Arc<Shared>,
    pub(crate) record: Record,
    pub(crate) durability: Durability,
    pub(crate) done: Completion,
}

/// What waits for the thread.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    more: Condvar,
}

#[derive(Default)]
struct QueueState {
    requests: Vec<Request>,
    /// Why nothing is accepted any more.
    refuses: Option<AppendError>,
}

impl Committer {
    /// Starts the thread, and its helpers for syncing.
    ///
    /// # Errors
    /// Fails when a thread cannot be started.
    pub fn start(disk: Arc<dyn Disk>, observer: Arc<dyn Observer>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let worker = Worker {
            queue: Arc::clone(&queue),
            pool: SyncPool::start()?,
            observer,
            unsynced: HashMap::new(),
            sync_unsynced_at: None,
        };
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

impl Queue {
    pub(crate) fn push(&self, request: Request) {
        let mut state = self.state.lock();
        let refusal = match &state.refuses {
            Some(refusal) => refusal.clone(),
            None if request.log.is_closed() => AppendError::Stopped,
            None => {
                state.requests.push(request);
                if state.requests.len() == 1 {
                    self.more.notify_one();
                }
                return;
            }
        };
        drop(state);
        (request.done)(Err(refusal));
    }

    /// The first reason stays.
    pub(crate) fn refuse(&self, reason: AppendError) -> Vec<Request> {
        let mut state = self.state.lock();
        let failed = matches!(reason, AppendError::SyncFailed);
        state.refuses.get_or_insert(reason);
        self.more.notify_one();
        if failed { std::mem::take(&mut state.requests) } else { Vec::new() }
    }

    /// All that waits, as soon as there is some; empty at `deadline`; `None` when there will be no more.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        while state.requests.is_empty() {
            if state.refuses.is_some() {
                return None;
            }
            match deadline {
                Some(deadline) if self.more.wait_until(&mut state, deadline).timed_out() => break,
                Some(_) => {}
                None => self.more.wait(&mut state),
            }
        }
        Some(std::mem::take(&mut state.requests))
    }
}

struct Worker {
    queue: Arc<Queue>,
    pool: SyncPool,
    observer: Arc<dyn Observer>,
    /// Logs with records that are written and not synced.
    unsynced: HashMap<LogKey, Arc<Shared>>,
    sync_unsynced_at: Option<Instant>,
}

/// Tells logs apart by where they are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LogKey(usize);

/// The appends to one log within a group.
struct Group {
    log: Arc<Shared>,
    records: Vec<Record>,
    waiting: Vec<(Durability, Completion)>,
}

/// An append that waits for the group's sync.
type Synced = (Completion, Result<Position, AppendError>);

impl Worker {
    fn run(mut self) {
        while let Some(requests) = self.queue.take(self.sync_unsynced_at) {
            if let Err(failure) = self.commit(requests) {
                self.observer.failed(&failure);
                return;
            }
        }
        let logs = self.unsynced.drain().map(|(_, log)| log).collect();
        if let Err(failure) = self.sync(logs) {
            self.observer.failed(&failure);
        }
    }

    /// Writes all of `requests`, syncs what asks for it, and tells each its result.
    fn commit(&mut self, requests: Vec<Request>) -> Result<(), SyncFailure> {
        let mut commit = Commit { records: requests.len(), ..Commit::default() };
        let mut synced = Vec::new();
        let mut to_sync = HashMap::new();
        for group in grouped(requests) {
            commit.bytes += group.records.iter().map(Record::length).sum::<usize>();
            if self.write(&group.log, &group.records, group.waiting, &mut synced) {
                to_sync.insert(LogKey::of(&group.log), Arc::clone(&group.log));
            } else {
                self.unsynced.insert(LogKey::of(&group.log), Arc::clone(&group.log));
            }
        }
        let now = Instant::now();
        if self.sync_unsynced_at.is_some_and(|at| at <= now) {
            to_sync.extend(self.unsynced.drain());
        }
        for key in to_sync.keys() {
            self.unsynced.remove(key);
        }
        self.sync_unsynced_at = match self.unsynced.is_empty() {
            true => None,
            false => Some(self.sync_unsynced_at.filter(|at| *at > now).unwrap_or(now + WRITTEN_SYNC_AFTER)),
        };
        if !to_sync.is_empty() {
            commit.synced_logs = to_sync.len();
            if let Err(failure) = self.sync(to_sync.into_values().collect()) {
                let refused = self.queue.refuse(AppendError::SyncFailed);
                let waiting = synced.into_iter().map(|(done, _)| done);
                for done in waiting.chain(refused.into_iter().map(|request| request.done)) {
                    done(Err(AppendError::SyncFailed));
                }
                return Err(failure);
            }
            commit.sync = now.elapsed();
        }
        for (done, result) in synced {
            done(result);
        }
        self.observer.committed(&commit);
        Ok(())
    }

    /// Writes one log's records; completes those that need no more than that. Says whether the rest want a sync.
    fn write(
        &self,
        log: &Shared,
        records: &[Record],
        waiting: Vec<(Durability, Completion)>,
        synced: &mut Vec<Synced>,
    ) -> bool {
        let results = log.writer.lock().write(log, records);
        let mut wants_sync = false;
        for (result, (durability, done)) in results.into_iter().zip(waiting) {
            match (durability, &result) {
                (Durability::Synced, Ok(_)) => {
                    wants_sync = true;
                    synced.push((done, result));
                }
                (Durability::Synced, Err(_)) => synced.push((done, result)),
                (Durability::Written, _) => done(result),
            }
        }
        wants_sync
    }

    /// Files first, then the directories that name them: only then can a record in a new file be relied on.
    fn sync(&self, logs: Vec<Arc<Shared>>) -> Result<(), SyncFailure> {
        let mut files: Vec<DirtyFile> = Vec::new();
        let mut owners = Vec::new();
        let mut directories = Vec::new();
        let mut ends = Vec::new();
        for log in &logs {
            let dirty = log.writer.lock().take_dirty();
            ends.push(log.index.lock().end); // nobody else writes
            owners.extend(dirty.files.iter().map(|_| log));
            files.extend(dirty.files);
            if dirty.directory {
                directories.push(log);
            }
        }
        // A closed log is being deleted: its files may go while they are synced.
        let mut failures = self.pool.sync(files).into_iter();
        if let Some((_, failure)) = failures.find(|(index, _)| !owners[*index].is_closed()) {
            return Err(failure);
        }
        for log in directories {
            if let Err(e) = log.disk.sync_dir(&log.dir)
                && !log.is_closed()
            {
                return Err(SyncFailure { path: log.dir.clone(), source: Arc::new(e) });
            }
        }
        for (log, end) in logs.iter().zip(ends) {
            log.index.lock().synced_end = end;
        }
        Ok(())
    }
}

impl LogKey {
    fn of(log: &Arc<Shared>) -> Self {
        Self(Arc::as_ptr(log).addr())
    }
}

/// The requests of each log together, in their order.
fn grouped(requests: Vec<Request>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::new();
    for Request { log, record, durability, done } in requests {
        let place = *places.entry(LogKey::of(&log)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { log, records: Vec::new(), waiting: Vec::new() });
        }
        groups[place].records.push(record);
        groups[place].waiting.push((durability, done));
    }
    groups
}

impl std::fmt::Debug for QueueState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueState")
            .field("requests", &self.requests.len())
            .field("refuses", &self.refuses)
            .finish()
    }
}
