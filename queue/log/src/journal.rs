//! One file that takes what a commit wrote to many logs, so that one sync makes all of it durable.
//!
//! A journal holds copies: each block has the batches of one commit, and for each of them the log, the segment and the
//! offset where it was written too. The logs' own files are synced later, and then the journal begins anew. After a
//! power cut the copies are put where they stand ([`replay`]); putting one there twice, or where it already is, changes
//! nothing.

mod block;
mod content;
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
    /// Bytes of the file at most. When half of them are used up, all logs are synced.
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
    /// The two halves of the file. Each time the journal begins anew it does so in the other one, so that the first block
    /// there does not stand in the place of what it replaces.
    halves: [Half; 2],
    in_second: bool,
    /// The number of the next block.
    next: u64,
    /// The number of the first since the journal began anew.
    begun_with: u64,
    /// All blocks before this one are durable.
    synced: u64,
    block: BlockBuilder,
    /// A commit of many logs was among the last.
    is_on: bool,
    was_wanted: bool,
}

/// A part of the file.
#[derive(Debug)]
struct Half {
    start: u64,
    limit: u64,
    /// Where the next block goes.
    end: u64,
    zeroed_to: u64,
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
        let half = (options.max_bytes / 2).next_multiple_of(ALIGNMENT);
        let journal = Self {
            disk,
            dir: dir.to_owned(),
            options,
            salt: RandomState::new().hash_one(dir),
            file: None,
            directory_dirty: false,
            halves: [Half::new(FIRST_BLOCK, half), Half::new(half, options.max_bytes)],
            in_second: false,
            next: 1,
            begun_with: 1,
            synced: 1,
            block: BlockBuilder::default(),
            is_on: false,
            was_wanted: false,
        };
        Ok((journal, replayed))
    }

    /// Decides whether a commit that has `logs` logs to sync goes through the journal. Once one has, all do for a while: a
    /// log may be left unsynced only as long as all that it lacks is in the journal.
    pub(crate) fn decide(&mut self, logs: usize) -> bool {
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
        if self.block.is_empty() {
            return Ok(());
        }
        let written = self.write_block();
        self.block.clear();
        written
    }

    fn write_block(&mut self) -> Result<(), NotJournaled> {
        let half = usize::from(self.in_second);
        let (offset, end) = (self.halves[half].end, self.halves[half].end + self.block.bytes());
        if end > self.halves[half].limit {
            return Err(NotJournaled::NoRoom);
        }
        let header = self.block.header(self.next, self.begun_with, self.synced).encode(self.salt);
        let written = self.file().and_then(|file| {
            let mut slices: Vec<_> =
                std::iter::once(IoSlice::new(&header)).chain(self.block.slices()).collect();
            write_all_at(file.as_ref(), &mut slices, offset)?;
            self.halves[half].advance_to(end, file.as_ref(), self.options.zero_step_bytes);
            Ok(())
        });
        if let Err(error) = written {
            tracing::warn!(%error, "could not write to the journal; syncing each log instead");
            self.is_on = false;
            return Err(NotJournaled::Io);
        }
        self.next += 1;
        Ok(())
    }

    fn file(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = self.path();
        let file = match self.disk.open(&path, OpenMode::New) {
            // Left by a try that failed, with nothing in it.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove_file(&path)?;
                self.disk.open(&path, OpenMode::New)?
            }
            opened => opened?,
        };
        write_all_at(file.as_ref(), &mut [IoSlice::new(&block::file_header(self.salt))], 0)?;
        self.directory_dirty = true;
        Ok(Arc::clone(self.file.insert(file)))
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
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
        let was_on = self.is_on;
        self.is_on = std::mem::take(&mut self.was_wanted);
        if self.next == self.begun_with {
            return; // nothing was written since it did
        }
        self.begun_with = self.next;
        self.in_second = !self.in_second;
        let half = &mut self.halves[usize::from(self.in_second)];
        half.end = half.start;
        if was_on && !self.is_on {
            // Perhaps the last for long: a block without entries says that those before it are needed no more. Without
            // it, they are put where they are already.
            let _ = self.write_block();
            self.begun_with = self.next;
        }
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

impl Half {
    fn new(start: u64, limit: u64) -> Self {
        Self { start, limit, end: start, zeroed_to: start }
    }

    /// A block was written up to `end`. Has blocks of the disk written for those to come.
    fn advance_to(&mut self, end: u64, file: &dyn DiskFile, step: u64) {
        self.end = end.next_multiple_of(ALIGNMENT);
        if self.end <= self.zeroed_to {
            return;
        }
        let until = (self.end + step).min(self.limit).max(self.end);
        // Without room for zeros the next block may still find some.
        let is_written = write_zeros_at(file, self.end..until).is_ok();
        self.zeroed_to = if is_written { until } else { self.end };
    }
}
