//! A log in a directory of its own, on a disk that can be told to fail.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use punctual_queue_log::committer::{Commit, Committer, Observer};
use punctual_queue_log::disk::{Disk, DiskFile, OpenMode, RealDisk};
use punctual_queue_log::error::{AppendError, SyncFailure};
use punctual_queue_log::journal::{Journal, JournalOptions};
use punctual_queue_log::log::{Durability, Log, Recovery};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::Position;
use punctual_queue_log::reader::{DamagedRange, Entry};
use punctual_queue_log::record::Record;
use tempfile::TempDir;

/// Small segments, so that a few records fill several.
pub(crate) const SMALL: LogOptions = LogOptions {
    first_segment_bytes: 512,
    max_segment_bytes: 2048,
    min_zero_step_bytes: 128,
    max_zero_step_bytes: 512,
};

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) disk: Arc<FailingDisk>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) committer: Committer,
}

/// What the committer told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) commits: Mutex<Vec<Commit>>,
    pub(crate) failures: Mutex<Vec<SyncFailure>>,
}

impl Observer for Seen {
    fn committed(&self, commit: &Commit) {
        self.commits.lock().unwrap().push(*commit);
    }

    fn failed(&self, failure: &SyncFailure) {
        self.failures.lock().unwrap().push(failure.clone());
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let disk = Arc::new(FailingDisk::default());
        let seen = Arc::new(Seen::default());
        let committer = Committer::start(disk.clone(), None, seen.clone()).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), disk, seen, committer }
    }

    /// With a journal that commits of `from_logs` logs go through.
    pub(crate) fn journaled(from_logs: usize) -> Self {
        let mut fixture = Self::new();
        let options = JournalOptions { from_logs, max_batch_bytes: 1000, ..JournalOptions::default() };
        let disk: Arc<FailingDisk> = Arc::clone(&fixture.disk);
        let (journal, _) = Journal::open(disk.clone(), fixture.dir.path(), options).unwrap();
        fixture.committer = Committer::start(disk, Some(journal), fixture.seen.clone()).unwrap();
        fixture
    }

    pub(crate) fn open_named(&self, name: &str) -> Log {
        Log::open(&self.dir.path().join(name), SMALL, &self.committer, Position::START).unwrap().0
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn open(&self) -> (Log, Recovery) {
        Log::open(&self.path(), SMALL, &self.committer, Position::START).unwrap()
    }
}

/// Begins an append; the answer comes through what is returned.
pub(crate) fn begin(
    log: &Log,
    bytes: &[u8],
    durability: Durability,
) -> mpsc::Receiver<Result<Position, AppendError>> {
    let (done, answer) = mpsc::channel();
    let record = Record::from(Bytes::copy_from_slice(bytes));
    log.append(record, durability, Box::new(move |result| done.send(result).unwrap_or(())));
    answer
}

pub(crate) fn wait(answer: &mpsc::Receiver<Result<Position, AppendError>>) -> Result<Position, AppendError> {
    answer.recv_timeout(Duration::from_secs(10)).expect("every append is completed")
}

pub(crate) fn append(log: &Log, bytes: &[u8]) -> Result<Position, AppendError> {
    wait(&begin(log, bytes, Durability::Synced))
}

/// All records of the log, and what is damaged of it.
pub(crate) fn read_all(log: &Log) -> (Vec<Bytes>, Vec<DamagedRange>) {
    let mut reader = log.read_from(Position::START, 256);
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            Entry::Record { record, .. } => records.push(record),
            Entry::Damaged(range) => damaged.push(range),
        }
    }
    (records, damaged)
}

/// The real disk, until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct FailingDisk {
    real: RealDisk,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    full: AtomicBool,
    sync_fails: AtomicBool,
    syncs: AtomicU64,
}

impl FailingDisk {
    /// From now on no new byte finds room, or it does again.
    pub(crate) fn set_full(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// From now on syncs fail, or succeed again as a real disk's do.
    pub(crate) fn set_sync_fails(&self, fails: bool) {
        self.faults.sync_fails.store(fails, Ordering::SeqCst);
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.faults.syncs.load(Ordering::SeqCst)
    }
}

impl Disk for FailingDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.real.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.real.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let real = self.real.open(path, mode)?;
        Ok(Arc::new(FailingFile { real, faults: self.faults.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.real.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.real.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.real.sync_dir(path)
    }
}

#[derive(Debug)]
struct FailingFile {
    real: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FailingFile {
    fn length(&self) -> io::Result<u64> {
        self.real.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.faults.full.load(Ordering::SeqCst) {
            // As a full disk does, it takes what still fits into the blocks the file has.
            let room = usize::try_from(self.real.length()?.saturating_sub(offset)).unwrap();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let first = &buffers[0][..room.min(buffers[0].len())];
            return self.real.write_at(&[IoSlice::new(first)], offset);
        }
        self.real.write_at(buffers, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.real.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        if self.faults.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk lost it"));
        }
        self.real.sync_data()
    }
}
