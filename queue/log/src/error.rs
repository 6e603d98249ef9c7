//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a record was not appended. None of these leaves a part of it behind.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The disk would not take it. Later appends may succeed.
    #[error("the disk refused the write")]
    Refused(#[source] Arc<io::Error>),
    /// The record is larger than [`MAX_RECORD_BYTES`](crate::record::MAX_RECORD_BYTES), or empty.
    #[error("a record of {record_bytes} bytes cannot be stored")]
    BadLength {
        /// How long it was.
        record_bytes: usize,
    },
    /// A sync failed, now or before: nothing can be promised any more until the process has started again.
    #[error("the disk failed to sync; nothing more is accepted")]
    SyncFailed,
    /// The committer was stopped.
    #[error("the log is closed")]
    Stopped,
}

impl AppendError {
    /// Whether there was no room, on the disk or in a quota.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused(e)
            if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// A sync that failed. What was written before it may be lost although a later sync would succeed, so it is
/// never repeated.
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not sync {}", path.display())]
pub struct SyncFailure {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}

/// Why a log could not be opened, read or cut.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A system call failed.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The segment that was asked for is gone.
    #[error("segment {segment} does not exist")]
    NoSuchSegment {
        /// Which.
        segment: crate::position::SegmentId,
    },
    /// A part of a segment that should be rewritten cannot be read.
    #[error("segment {} is damaged from byte {} to {}", range.segment, range.from, range.to)]
    Damaged {
        /// Which part.
        range: crate::reader::DamagedRange,
    },
}

impl LogError {
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
