//! The committer's thread: writes what waits, has it synced, and tells each its result.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::group::{Group, LogKey, grouped};
use super::observer::{Commit, Observer};
use super::queue::{Queue, Request};
use super::unsynced::{Due, InJournal, Unsynced};
use crate::error::{AppendError, SyncFailure};
use crate::journal::{Journal, NotJournaled};
use crate::log::{Completion, Durability, Shared};
use crate::position::Position;
use crate::record::Record;
use crate::sync::Instant;
use crate::sync_pool::{DirtyFile, SyncPool};

/// See the module's words.
pub(super) struct Worker {
    queue: Arc<Queue>,
    pool: SyncPool,
    observer: Arc<dyn Observer>,
    journal: Option<Journal>,
    unsynced: Unsynced,
}

/// What a commit has written, and what it waits for.
#[derive(Default)]
struct Pending {
    /// Appends that are told their result after the sync.
    synced: Vec<(Completion, Result<Position, AppendError>)>,
    /// Logs whose own files are synced.
    logs: HashMap<LogKey, Arc<Shared>>,
    /// Logs whose batches are in the journal's next block, and whether one of their records waits for the sync.
    staged: Vec<(Arc<Shared>, bool)>,
}

impl Worker {
    pub(super) fn new(
        queue: Arc<Queue>,
        journal: Option<Journal>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        Ok(Self { queue, pool: SyncPool::start()?, observer, journal, unsynced: Unsynced::default() })
    }

    pub(super) fn run(mut self) {
        while let Some(requests) = self.queue.take(self.unsynced.next_due()) {
            if let Err(failure) = self.commit(requests) {
                self.observer.failed(&failure);
                return;
            }
        }
        let logs = self.unsynced.take(Due::All);
        match self.sync(logs, false) {
            Ok(()) => self.journal.iter_mut().for_each(Journal::remove),
            Err(failure) => self.observer.failed(&failure),
        }
    }

    /// Writes all of `requests`, syncs what asks for it, and tells each its result.
    fn commit(&mut self, requests: Vec<Request>) -> Result<(), SyncFailure> {
        let mut commit = Commit { records: requests.len(), ..Commit::default() };
        let groups = grouped(requests);
        let mut due = self.unsynced.due(Instant::now());
        let logs_to_sync = groups.iter().filter(|group| group.wants_sync()).count();
        let journals =
            due != Due::All && self.journal.as_mut().is_some_and(|journal| journal.decide(logs_to_sync));
        let mut pending = Pending::default();
        for group in groups {
            commit.bytes += group.records.iter().map(Record::length).sum::<usize>();
            self.write(group, journals, &mut pending);
        }
        if let Err(NotJournaled::NoRoom) = self.write_journal(&mut pending) {
            due = Due::All;
        }
        pending.logs.values().for_each(|log| self.unsynced.forget(log));
        pending.logs.extend(self.unsynced.take(due).into_iter().map(|log| (LogKey::of(&log), log)));
        let with_journal = due == Due::NotDurable || pending.staged.iter().any(|(_, wants_sync)| *wants_sync);
        let now = Instant::now();
        if with_journal || !pending.logs.is_empty() {
            commit.synced_logs = pending.logs.len();
            commit.journaled_logs = if with_journal { pending.staged.len() } else { 0 };
            if let Err(failure) = self.sync(pending.logs.into_values().collect(), with_journal) {
                let refused = self.queue.refuse(AppendError::SyncFailed);
                let waiting = pending.synced.into_iter().map(|(done, _)| done);
                for done in waiting.chain(refused.into_iter().map(|request| request.done)) {
                    done(Err(AppendError::SyncFailed));
                }
                return Err(failure);
            }
            commit.sync = now.elapsed();
        }
        if self.unsynced.is_empty() {
            self.journal.iter_mut().for_each(Journal::begin_anew);
        }
        let journal_waits = self.journal.as_ref().is_some_and(|journal| journal.dirty_file().is_some());
        self.unsynced.set_times(now, journal_waits);
        for (done, result) in pending.synced {
            done(result);
        }
        self.observer.committed(&commit);
        Ok(())
    }

    /// Writes one log's records; completes those that need no more than that. What was written goes to the journal too
    /// where it `journals`, and that is all the log lacks.
    fn write(&mut self, group: Group, journals: bool, pending: &mut Pending) {
        let Group { log, records, waiting } = group;
        let (written, is_made_of_batches) = {
            let mut writer = log.writer.lock();
            (writer.write(&log, &records), writer.is_made_of_batches())
        };
        let mut wants_sync = false;
        for (result, (durability, done)) in written.results.into_iter().zip(waiting) {
            match (durability, &result) {
                (Durability::Synced, Ok(_)) => {
                    wants_sync = true;
                    pending.synced.push((done, result));
                }
                (Durability::Synced, Err(_)) => pending.synced.push((done, result)),
                (Durability::Written, _) => done(result),
            }
        }
        if written.batches.is_empty() {
            // All was refused, but a segment may have been begun, or something cut off.
            if !is_made_of_batches {
                self.unsynced.note(&log, InJournal::NotAll);
            }
            return;
        }
        let may_be_staged = journals && is_made_of_batches && self.unsynced.is_in_journal(&log);
        let journal = self.journal.as_mut().filter(|_| may_be_staged);
        if journal.is_some_and(|journal| journal.stage(&log, written.batches)) {
            pending.staged.push((log, wants_sync));
        } else {
            self.await_own_sync(log, wants_sync, pending);
        }
    }

    fn await_own_sync(&mut self, log: Arc<Shared>, wants_sync: bool, pending: &mut Pending) {
        if wants_sync {
            pending.logs.insert(LogKey::of(&log), log);
        } else {
            self.unsynced.note(&log, InJournal::NotAll);
        }
    }

    /// Writes the journal's block. Where that fails, the logs in it wait for their own sync.
    fn write_journal(&mut self, pending: &mut Pending) -> Result<(), NotJournaled> {
        let written = self.journal.as_mut().map_or(Ok(()), Journal::write);
        if written.is_ok() {
            pending.staged.iter().for_each(|(log, _)| self.unsynced.note(log, InJournal::All));
        } else {
            for (log, wants_sync) in std::mem::take(&mut pending.staged) {
                self.await_own_sync(log, wants_sync, pending);
            }
        }
        written
    }

    /// Files first, then the directories that name them: only then can a record in a new file be relied on.
    fn sync(&mut self, logs: Vec<Arc<Shared>>, with_journal: bool) -> Result<(), SyncFailure> {
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
        let journal = self.journal.as_mut().filter(|_| with_journal);
        files.extend(journal.as_ref().and_then(|journal| journal.dirty_file()));
        // A closed log is being deleted: its files may go while they are synced.
        let mut failures = self.pool.sync(files).into_iter();
        let matters = |index: usize| owners.get(index).is_none_or(|log| !log.is_closed());
        if let Some((_, failure)) = failures.find(|(index, _)| matters(*index)) {
            return Err(failure);
        }
        if let Some(journal) = journal {
            journal.file_synced()?;
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
