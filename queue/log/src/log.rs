//! One log: a directory of segments, appended to through a committer and read from any position.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::committer::{Committer, Queue, Request};
use crate::disk::Disk;
use crate::error::{AppendError, LogError};
use crate::options::LogOptions;
use crate::position::{Position, SegmentId};
use crate::reader::Reader;
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
    shared: Arc<Shared>,
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

/// Which segments there are.
#[derive(Debug)]
pub(crate) struct SegmentIndex {
    segments: BTreeMap<SegmentId, PreviousEnd>,
    /// Where the next record will be written; all before it can be read.
    pub(crate) end: Position,
}

/// Where the segment before ended, as the segment says; 0 where there was none or its header is damaged.
type PreviousEnd = u32;

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

    /// The first segment there is.
    #[must_use]
    pub fn first_segment(&self) -> Option<SegmentId> {
        self.shared.index.lock().segments.keys().next().copied()
    }

    /// Removes the segments that lie wholly before `position`, oldest first, and makes that durable. The caller
    /// sees to it that nothing needs them. Returns how many there were.
    ///
    /// # Errors
    /// Fails at the first file that cannot be removed; those before it are gone.
    pub fn remove_segments_before(&self, position: Position) -> Result<usize, LogError> {
        let shared = &self.shared;
        let mut removed = 0;
        loop {
            let oldest = {
                let index = shared.index.lock();
                index.segments.keys().next().copied().filter(|segment| *segment < position.segment)
            };
            let Some(oldest) = oldest else { break };
            let path = segment::path(&shared.dir, oldest);
            shared.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            shared.index.lock().segments.remove(&oldest);
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

impl SegmentIndex {
    pub(crate) fn new(segments: BTreeMap<SegmentId, PreviousEnd>, end: Position) -> Self {
        Self { segments, end }
    }

    pub(crate) fn begin_segment(&mut self, segment: SegmentId, previous_end: PreviousEnd) {
        self.segments.insert(segment, previous_end);
    }

    /// The first segment at or after `from`.
    pub(crate) fn at_or_after(&self, from: SegmentId) -> Option<SegmentId> {
        self.segments.range(from..).next().map(|(segment, _)| *segment)
    }

    /// The first segment after `segment`, and where it says its predecessor ended.
    pub(crate) fn after(&self, segment: SegmentId) -> Option<(SegmentId, PreviousEnd)> {
        let after = (Bound::Excluded(segment), Bound::Unbounded);
        self.segments.range(after).next().map(|(segment, end)| (*segment, *end))
    }
}
