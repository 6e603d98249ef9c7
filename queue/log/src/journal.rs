//! One file that takes what a commit wrote to many logs, so that one sync makes all of it durable.
//!
//! A journal holds copies: each block has the batches of one commit, and for each of them the log, the segment and the
//! offset where it was written too. The logs' own files are synced later, and then the journal begins anew. After a
//! power cut the copies are put where they stand ([`replay`]); putting one there twice, or where it already is, changes
//! nothing.

mod block;
mod replay;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::Placed;
use crate::disk::{Disk, DiskFile, OpenMode, write_all_at, write_zeros_at};
use crate::error::{LogError, SyncFailure};
use crate::log::Shared;
use crate::sync_pool::DirtyFile;
use block::{ALIGNMENT, BlockBuilder, FIRST_BLOCK};
pub use replay::{Replayed, inspect, replay};

/// The journal's file, in the directory above all logs.
const FILE_NAME: &str = "journal";

/// When commits go through a journal, and how big it gets.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// From how many logs on in one commit. Fewer are as well synced one by one.
    pub from_logs: usize,
    /// Of one log's share of a commit this much is copied at most; more is synced where it stands.
    pub max_batch_bytes: usize,
    /// Bytes of the file at most. When they are used up, all logs are synced.
    pub max_bytes: u64,
    /// Zeros are written ahead of the end in steps of this many bytes, so that a sync changes no metadata.
    pub zero_step_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            from_logs: 3,
            max_batch_bytes: 256 * 1024,
            max_bytes: 64 * 1024 * 1024,
            zero_step_bytes: 1024 * 1024,
        }
    }
}

/// The journal of all logs below a directory.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: JournalOptions,
    salt: u64,
    /// Made when it is first written to.
    file: Option<Arc<dyn DiskFile>>,
    /// Its name was made and is not yet durable.
    directory_dirty: bool,
    /// Where the next block goes.
    end: u64,
    zeroed_to: u64,
    /// The number of the next block.
    next: u64,
    /// All blocks before this one are durable.
    synced: u64,
    block: BlockBuilder,
    /// A commit of many logs was among the last.
    is_on: bool,
    was_wanted: bool,
}

/// Why a block was not written. The logs have it all, and may be synced instead.
#[derive(Debug)]
pub(crate) enum NotJournaled {
    NoRoom,
    Io,
}

impl Journal {
    /// Applies what an earlier process left in the journal of `dir`, and begins a new one. No log below `dir` may be
    /// open.
    ///
    /// # Errors
    /// Fails when something cannot be read, or put where it belongs; tried again, it goes on from the start.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: JournalOptions,
    ) -> Result<(Self, Replayed), LogError> {
        let replayed = replay(disk.as_ref(), dir)?;
        let journal = Self {
            disk,
            dir: dir.to_owned(),
            options,
            salt: RandomState::new().hash_one(dir),
            file: None,
            directory_dirty: false,
            end: FIRST_BLOCK,
            zeroed_to: FIRST_BLOCK,
            next: 1,
            synced: 1,
            block: BlockBuilder::default(),
            is_on: false,
            was_wanted: false,
        };
        Ok((journal, replayed))
    }

    /// Whether a commit that has `logs` logs to sync goes through the journal. Once one has, all do for a while: a log
    /// may be left unsynced only as long as all that it lacks is in the journal.
    pub(crate) fn takes(&mut self, logs: usize) -> bool {
        let is_wanted = logs >= self.options.from_logs;
        self.was_wanted |= is_wanted;
        self.is_on |= is_wanted;
        self.is_on
    }

    /// Adds to the next block what was written to `log`; says whether it took it.
    pub(crate) fn stage(&mut self, log: &Shared, batches: Vec<Placed>) -> bool {
        let bytes: usize = batches.iter().map(|placed| placed.batch.bytes() as usize).sum();
        let Some(dir) = log.dir.strip_prefix(&self.dir).ok().and_then(Path::to_str) else { return false };
        if bytes > self.options.max_batch_bytes {
            return false;
        }
        batches.into_iter().for_each(|placed| self.block.push(dir, log.salt, placed));
        true
    }

    /// Writes what was staged as one block.
    pub(crate) fn write(&mut self) -> Result<(), NotJournaled> {
        let mut block = std::mem::take(&mut self.block);
        let written = self.write_block(&mut block);
        self.block = block;
        self.block.clear();
        written
    }

    fn write_block(&mut self, block: &mut BlockBuilder) -> Result<(), NotJournaled> {
        if block.is_empty() {
            return Ok(());
        }
        let end = self.end + block.bytes();
        if end > self.options.max_bytes {
            return Err(NotJournaled::NoRoom);
        }
        let write = |journal: &mut Self| {
            let file = journal.file()?;
            let head = block.header(journal.salt, journal.next, journal.synced);
            let mut slices: Vec<_> = std::iter::once(IoSlice::new(&head)).chain(block.slices()).collect();
            write_all_at(file.as_ref(), &mut slices, journal.end)
        };
        if let Err(error) = write(self) {
            tracing::debug!(%error, "could not write to the journal; syncing each log instead");
            self.is_on = false;
            return Err(NotJournaled::Io);
        }
        self.next += 1;
        self.end = end.next_multiple_of(ALIGNMENT);
        self.write_zeros_ahead();
        Ok(())
    }

    fn file(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open(&self.path(), OpenMode::New)?;
        let header = block::file_header(self.salt);
        if let Err(e) = write_all_at(file.as_ref(), &mut [IoSlice::new(&header)], 0) {
            self.disk.remove_file(&self.path())?;
            return Err(e);
        }
        self.directory_dirty = true;
        Ok(Arc::clone(self.file.insert(file)))
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    fn write_zeros_ahead(&mut self) {
        if self.end <= self.zeroed_to {
            return;
        }
        let until = (self.end + self.options.zero_step_bytes).min(self.options.max_bytes);
        let written = self.file.as_ref().map(|file| write_zeros_at(file.as_ref(), self.end..until));
        // Without room for zeros the next block may still find some.
        self.zeroed_to = if matches!(written, Some(Ok(()))) { until } else { self.end };
    }

    /// What must be synced before the blocks written so far are durable.
    pub(crate) fn dirty_file(&self) -> Option<DirtyFile> {
        let file = self.file.as_ref().filter(|_| self.synced < self.next)?;
        Some(DirtyFile { path: self.path(), file: Arc::clone(file) })
    }

    /// The file was synced; makes its name durable too.
    pub(crate) fn file_synced(&mut self) -> Result<(), SyncFailure> {
        if std::mem::take(&mut self.directory_dirty) {
            let failure = |e| SyncFailure { path: self.dir.clone(), source: Arc::new(e) };
            self.disk.sync_dir(&self.dir).map_err(failure)?;
        }
        self.synced = self.next;
        Ok(())
    }

    /// All logs are synced: what the journal holds is not needed any more.
    pub(crate) fn begin_anew(&mut self) {
        self.end = FIRST_BLOCK;
        self.is_on = std::mem::take(&mut self.was_wanted);
    }

    /// All logs are synced, and nothing more will come. A file that cannot be removed does no harm.
    pub(crate) fn remove(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = self.disk.remove_file(&self.path())
        {
            tracing::debug!(%error, "could not remove the journal");
        }
    }
}
