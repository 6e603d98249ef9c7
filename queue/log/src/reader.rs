//! Reads a log from a position on, segment after segment.

use std::sync::Arc;

use bytes::Bytes;

use crate::disk::OpenMode;
use crate::error::LogError;
use crate::frame::FrameKey;
use crate::log::Shared;
use crate::position::{Position, SegmentId};
use crate::scan::{Found, Scanner};
use crate::segment::{self, SEGMENT_HEADER_BYTES};

/// What a reader comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A record, as it was appended.
    Record {
        /// Where it stands.
        position: Position,
        /// Its bytes; a slice of the buffer they were read into.
        record: Bytes,
    },
    /// Bytes that are not what was written there, stepped over. They stay on the disk.
    Damaged(DamagedRange),
}

/// A stretch of one segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRange {
    /// Which segment.
    pub segment: SegmentId,
    /// The first damaged byte.
    pub from: u32,
    /// The byte after the last.
    pub to: u32,
}

/// Reads records in order; at the end it can be asked again later. Blocks on the disk.
#[derive(Debug)]
pub struct Reader {
    log: Arc<Shared>,
    position: Position,
    open: Option<Scanner>,
    read_ahead_bytes: usize,
}

impl Reader {
    pub(crate) fn new(log: Arc<Shared>, from: Position, read_ahead_bytes: usize) -> Self {
        Self { log, position: from, open: None, read_ahead_bytes }
    }

    /// Where the next record is read from.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next entry, or `None` when all that is written has been read.
    ///
    /// # Errors
    /// Fails when the disk does. Asked again, it tries the same place again.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, LogError> {
        loop {
            let Some(mut scanner) = self.take_scanner()? else {
                return Ok(None);
            };
            let segment = scanner.key().segment;
            let path = segment::path(&self.log.dir, segment);
            let found = scanner.next().map_err(LogError::io("read", &path))?;
            self.position = Position { segment, offset: scanner.offset() };
            match found {
                Found::Record { offset, record } => {
                    self.open = Some(scanner);
                    return Ok(Some(Entry::Record { position: Position { segment, offset }, record }));
                }
                Found::Damaged { from, to } => {
                    self.open = Some(scanner);
                    return Ok(Some(Entry::Damaged(DamagedRange { segment, from, to })));
                }
                Found::End { offset, garbage_bytes } => {
                    if self.grew(&mut scanner) {
                        self.open = Some(scanner);
                        continue;
                    }
                    let Some((next, previous_end)) = self.log.index.lock().after(segment) else {
                        self.open = Some(scanner);
                        return Ok(None);
                    };
                    self.position = Position { segment: next, offset: SEGMENT_HEADER_BYTES };
                    let to = previous_end.max(offset + garbage_bytes);
                    if to > offset {
                        return Ok(Some(Entry::Damaged(DamagedRange { segment, from: offset, to })));
                    }
                }
            }
        }
    }

    /// The walk over the current segment, begun where there is none; `None` while the log is empty.
    fn take_scanner(&mut self) -> Result<Option<Scanner>, LogError> {
        if let Some(scanner) = self.open.take() {
            return Ok(Some(scanner));
        }
        let (segment, end) = {
            let index = self.log.index.lock();
            let Some(segment) = index.at_or_after(self.position.segment) else {
                return Ok(None);
            };
            (segment, index.end)
        };
        let path = segment::path(&self.log.dir, segment);
        let file = self.log.disk.open(&path, OpenMode::Existing).map_err(LogError::io("open", &path))?;
        let limit = if segment == end.segment {
            end.offset
        } else {
            let length = file.length().map_err(LogError::io("measure", &path))?;
            u32::try_from(length).unwrap_or(u32::MAX)
        };
        let asked = if segment == self.position.segment { self.position.offset } else { 0 };
        let offset = asked.max(SEGMENT_HEADER_BYTES).min(limit.max(SEGMENT_HEADER_BYTES));
        let key = FrameKey { salt: self.log.salt, segment };
        let limit = limit.max(offset);
        Ok(Some(Scanner::new(file, key, offset, limit, self.read_ahead_bytes)))
    }

    /// Whether more can be read of the scanner's segment than when it was last looked at.
    fn grew(&self, scanner: &mut Scanner) -> bool {
        let segment = scanner.key().segment;
        let index = self.log.index.lock();
        let end = if index.end.segment == segment {
            index.end.offset
        } else {
            // Filled and closed since; its end is where the next one says.
            index.after(segment).map_or(0, |(_, previous_end)| previous_end)
        };
        let grew = end > scanner.limit();
        scanner.extend(end);
        grew
    }
}
