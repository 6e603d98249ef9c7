//! One log: a directory of segments, appended to through a committer and read from any position.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::committer::{Committer, Queue, Request};
use crate::disk::Disk;
use crate::error::{AppendError, LogError};
use crate::index::SegmentIndex;
use crate::options::LogOptions;
use crate::position::{Position, SegmentId};
use crate::reader::{DamagedRange, Reader};
use crate::record::Record;
pub use crate::recovery::{Damage, Recovery};
use crate::segment;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::writer::Writer;

/// When an append is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk.
    Synced,
    /// Once it is with the operating system: it survives the end of the process, and a power cut a second later.
    Written,
}

/// Called once with where the record is, or why it is not there, on the thread that writes all logs: it should
/// hand the news on and return.
pub type Completion = Box<dyn FnOnce(Result<Position, AppendError>) + Send>;

/// One log. Clones are handles of the same log.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    queue: Arc<Queue>,
}

/// What the handles, the readers and the committer share of one log.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: LogOptions,
    pub(crate) salt: u32,
    /// Taken by readers too; held for a moment only.
    pub(crate) index: Mutex<SegmentIndex>,
    /// Taken by the committer alone, and held while it writes.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) closed: AtomicBool,
}

impl Log {
    /// Opens the log in `dir`, making it where there is none. A torn end is cut off; `intact_before` is a position
    /// up to which the log is known to be whole (a checkpoint), or [`Position::START`].
    ///
    /// # Errors
    /// Fails when the directory or a segment cannot be read, or its end cannot be repaired.
    pub fn open(
        dir: &Path,
        options: LogOptions,
        committer: &Committer,
        intact_before: Position,
    ) -> Result<(Self, Recovery), LogError> {
        let disk = Arc::clone(committer.disk());
        let (shared, recovery) = crate::recovery::open(dir, options, disk, intact_before)?;
        Ok((Self { shared: Arc::new(shared), queue: Arc::clone(committer.queue()) }, recovery))
    }

    /// Appends `record` as one unit and calls `done` once it is there as `durability` says. Records appended one
    /// after the other stand in that order and complete in that order, but a written one does not wait for a
    /// synced one.
    ///
    /// What waits is held in memory, so callers bound how much they have under way.
    pub fn append(&self, record: Record, durability: Durability, done: Completion) {
        self.queue.push(Request { log: Arc::clone(&self.shared), record, durability, done });
    }

    /// A reader that begins with the first record at or after `from`, where `from` is [`Position::START`] or the
    /// position of a record. It reads `read_ahead_bytes` at a time.
    #[must_use]
    pub fn read_from(&self, from: Position, read_ahead_bytes: usize) -> Reader {
        Reader::new(Arc::clone(&self.shared), from, read_ahead_bytes)
    }

    /// Where the next record will be written.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.index.lock().end
    }

    /// All before this survives a power cut. It may lie before [`end`](Self::end) for some seconds, and always is the
    /// place of a record, or where one will be.
    #[must_use]
    pub fn synced_end(&self) -> Position {
        self.shared.index.lock().synced_end
    }

    /// The first segment there is.
    #[must_use]
    pub fn first_segment(&self) -> Option<SegmentId> {
        self.shared.index.lock().first()
    }

    /// The segments that are full, and how many bytes each takes.
    #[must_use]
    pub fn sealed_segments(&self) -> Vec<(SegmentId, u32)> {
        self.shared.index.lock().sealed().collect()
    }

    /// How many bytes the segment is to hold that is written to.
    #[must_use]
    pub fn segment_capacity(&self) -> u32 {
        self.shared.index.lock().capacity()
    }

    /// Notes that a part of a segment cannot be read: the segment is then set aside rather than removed. Says whether
    /// that is news; it is none of a segment that is gone.
    pub fn note_damage(&self, range: DamagedRange) -> bool {
        self.shared.index.lock().note_damage(range)
    }

    /// What was noted of the segments there are.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.shared.index.lock().damage()
    }

    /// Removes the segments that lie wholly before `position`, oldest first, and makes that durable. The caller
    /// sees to it that nothing needs them. One with [noted](Self::note_damage) damage stays in the directory, under a
    /// name that ends in `.damaged`. Returns how many there were.
    ///
    /// # Errors
    /// Fails at the first file that cannot be removed; those before it are gone.
    pub fn remove_segments_before(&self, position: Position) -> Result<usize, LogError> {
        let shared = &self.shared;
        let mut removed = 0;
        loop {
            let (oldest, is_damaged) = {
                let index = shared.index.lock();
                let Some(oldest) = index.first().filter(|segment| *segment < position.segment) else { break };
                (oldest, index.is_damaged(oldest))
            };
            let path = segment::path(&shared.dir, oldest);
            if is_damaged {
                let aside = segment::set_aside(shared.disk.as_ref(), &shared.dir, oldest)
                    .map_err(LogError::io("set aside", &path))?;
                tracing::warn!(segment.path = %aside.display(), "kept a segment that cannot be read in full");
            } else {
                shared.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            }
            shared.index.lock().remove(oldest);
            removed += 1;
        }
        if removed > 0 {
            shared.disk.sync_dir(&shared.dir).map_err(LogError::io("sync", &shared.dir))?;
        }
        Ok(removed)
    }

    /// Refuses appends from now on; failures to sync this log no longer count, so that its directory may go.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl Shared {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
