//! A committer on a model disk, and appends whose answers are checked as they come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::committer::{Commit, Committer, Observer};
use crate::error::{AppendError, SyncFailure};
use crate::frame::HEADER_BYTES;
use crate::journal::{Journal, JournalOptions};
use crate::log::{Durability, Log};
use crate::model_disk::ModelDisk;
use crate::options::LogOptions;
use crate::position::Position;
use crate::record::Record;
use crate::segment;
use crate::sync::{Condvar, Mutex, mpsc};

/// So small that the third record of ten bytes begins the next segment, and its directory must be synced.
pub(crate) const TINY: LogOptions = LogOptions {
    first_segment_bytes: 80,
    max_segment_bytes: 80,
    min_zero_step_bytes: 16,
    max_zero_step_bytes: 16,
};

/// The directory above all logs.
const DATA: &str = "/data";

pub(crate) struct Model {
    pub(crate) disk: ModelDisk,
    pub(crate) seen: Arc<Seen>,
    pub(crate) committer: Arc<Committer>,
}

/// One log of it.
#[derive(Clone)]
pub(crate) struct ModelLog {
    pub(crate) log: Log,
    pub(crate) dir: PathBuf,
    disk: ModelDisk,
}

/// An append whose answer is still to come.
pub(crate) struct Pending {
    answer: mpsc::Receiver<Result<Position, AppendError>>,
}

/// What the committer told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    told: Mutex<Told>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    records: usize,
    failures: usize,
}

impl Model {
    pub(crate) fn new() -> Self {
        let (disk, seen) = (ModelDisk::default(), Arc::new(Seen::default()));
        let committer = Arc::new(Committer::start(Arc::new(disk.clone()), None, seen.clone()).unwrap());
        Self { disk, seen, committer }
    }

    /// With a journal that every commit goes through; after the second of them it is full.
    pub(crate) fn journaled() -> Self {
        let (disk, seen) = (ModelDisk::default(), Arc::new(Seen::default()));
        let options =
            JournalOptions { from_logs: 1, max_batch_bytes: 100, max_bytes: 5 * 4096, zero_step_bytes: 16 };
        let shared = Arc::new(disk.clone());
        let (journal, _) = Journal::open(shared.clone(), Path::new(DATA), options).unwrap();
        let committer = Arc::new(Committer::start(shared, Some(journal), seen.clone()).unwrap());
        Self { disk, seen, committer }
    }

    pub(crate) fn open(&self, name: &str) -> ModelLog {
        let dir = Path::new(DATA).join(name);
        let (log, _) = Log::open(&dir, TINY, &self.committer, Position::START).unwrap();
        ModelLog { log, dir, disk: self.disk.clone() }
    }
}

impl ModelLog {
    /// Appends ten times `byte`, to be synced. Before it is called complete, it must have been.
    pub(crate) fn append(&self, byte: u8) -> Pending {
        let (log, bytes) = (self.clone(), [byte; 10]);
        self.begin(byte, Durability::Synced, move |result| {
            if let Ok(position) = result {
                let (path, offset) = log.place(*position);
                let durable = log.disk.survives_power_cut(&path, offset, &bytes)
                    || log.disk.has(&Path::new(DATA).join("journal"), &bytes);
                assert!(durable, "{byte} is complete and a power cut would lose it");
            }
        })
    }

    /// Appends ten times `byte`; `check` is shown the answer before anybody else.
    pub(crate) fn begin(
        &self,
        byte: u8,
        durability: Durability,
        check: impl FnOnce(&Result<Position, AppendError>) + Send + 'static,
    ) -> Pending {
        let (done, answer) = mpsc::channel();
        let record = Record::from(Bytes::copy_from_slice(&[byte; 10]));
        let complete = move |result: Result<Position, AppendError>| {
            check(&result);
            let _ = done.send(result); // not everybody waits for it
        };
        self.log.append(record, durability, Box::new(complete));
        Pending { answer }
    }

    /// Returns once the record of ten times `byte` at `position` would survive a power cut.
    pub(crate) fn wait_until_durable(&self, position: Position, byte: u8) {
        let (path, offset) = self.place(position);
        self.disk.wait_until_durable(&path, offset, &[byte; 10]);
    }

    /// Where the bytes of the record at `position` are on the disk.
    pub(crate) fn place(&self, position: Position) -> (PathBuf, usize) {
        (segment::path(&self.dir, position.segment), position.offset as usize + HEADER_BYTES)
    }
}

impl Pending {
    /// Waits for the answer; should it never come, the checker sees that nothing can go on.
    pub(crate) fn wait(&self) -> Result<Position, AppendError> {
        self.answer.recv().expect("an append is answered")
    }

    /// The answer, which has come.
    pub(crate) fn answered(&self) -> Result<Position, AppendError> {
        self.answer.try_recv().expect("it was answered before")
    }
}

impl Seen {
    /// Waits until groups of `records` records altogether are complete.
    pub(crate) fn wait_for(&self, records: usize) {
        let mut told = self.told.lock();
        while told.records < records {
            self.more.wait(&mut told);
        }
    }

    pub(crate) fn failures(&self) -> usize {
        self.told.lock().failures
    }
}

impl Observer for Seen {
    fn committed(&self, commit: &Commit) {
        self.told.lock().records += commit.records;
        self.more.notify_all();
    }

    fn failed(&self, _failure: &SyncFailure) {
        self.told.lock().failures += 1;
    }
}
