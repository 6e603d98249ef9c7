//! Rewriting a full segment without the records nobody wants any more.
//!
//! The new file has the old one's number and is put in its place at once, so that the order of records stays, a
//! crash leaves the one or the other, and a reader needs to know nothing of it. What changes is where in the segment a
//! record stands: [`Rewritten::map`] says it. Positions inside a segment that may be rewritten must therefore not be
//! kept where they outlive the process; its start may.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskFile, OpenMode, write_all_at};
use crate::error::LogError;
use crate::frame::{FrameHeader, FrameKey, HEADER_BYTES};
use crate::log::Log;
use crate::position::{Position, SegmentId};
use crate::reader::DamagedRange;
use crate::record::Record;
use crate::scan::{Found, Scanner};
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::sync::{AtomicBool, Ordering};

const BUFFER_BYTES: usize = 1024 * 1024;

/// A segment's new content, on the disk beside the old one.
#[derive(Debug)]
pub struct Rewritten {
    segment: SegmentId,
    temporary: PathBuf,
    end: u32,
    /// Where records stood and where they stand now, in order.
    moved: Vec<(u32, u32)>,
    in_place: AtomicBool,
}

impl Rewritten {
    /// Which segment.
    #[must_use]
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Whether nothing of it was kept. There is no new file then, and the old one goes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    /// Whether it has taken the old one's place, however [`Log::replace`] ended.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.in_place.load(Ordering::Acquire)
    }

    /// Where the first kept record at or after `position` stands in the new file.
    #[must_use]
    pub fn map(&self, position: Position) -> Position {
        if position.segment != self.segment {
            return position;
        }
        let next = self.moved.partition_point(|(old, _)| *old < position.offset);
        let offset = self.moved.get(next).map_or(self.end, |(_, new)| *new);
        Position { segment: self.segment, offset }
    }

    pub(crate) fn put_in_place(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        disk.rename(&self.temporary, path)
    }
}

impl Log {
    /// Writes the content of a full segment anew, beside the old file: of each record what `keep` makes of it. Nothing
    /// changes for anyone before [`replace`](Self::replace).
    ///
    /// # Errors
    /// Fails when the disk does, and when the segment is damaged: such a one stays as it is.
    pub fn rewrite(
        &self,
        segment: SegmentId,
        keep: &mut dyn FnMut(Position, Bytes) -> Option<Record>,
    ) -> Result<Rewritten, LogError> {
        let shared = &self.shared;
        let known = {
            let index = shared.index.lock();
            let is_sealed = segment < index.end.segment;
            index.get(segment).filter(|_| is_sealed).map(|info| (info.previous_end, index.after(segment)))
        };
        let Some((previous_end, after)) = known else {
            return Err(LogError::NoSuchSegment { segment });
        };
        let source = Source {
            dir: &shared.dir,
            disk: shared.disk.as_ref(),
            key: FrameKey { salt: shared.salt, segment },
            previous_end,
            end: after.map_or(0, |(_, end)| end),
        };
        source.rewrite(keep, &mut |damage| Err(LogError::Damaged { range: damage }))
    }

    /// Puts the new content in the place of the old. The caller sees to it that nobody reads the segment meanwhile, and
    /// [maps](Rewritten::map) the positions it holds before the next read.
    ///
    /// # Errors
    /// Fails when the new file cannot be put in place; the old one is then still there.
    pub fn replace(&self, rewritten: &Rewritten) -> Result<(), LogError> {
        let (shared, segment) = (&self.shared, rewritten.segment);
        let path = segment::path(&shared.dir, segment);
        if rewritten.is_empty() {
            shared.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            shared.index.lock().remove(segment);
        } else {
            rewritten.put_in_place(shared.disk.as_ref(), &path).map_err(LogError::io("replace", &path))?;
            shared.index.lock().rewritten(segment, rewritten.end);
        }
        rewritten.in_place.store(true, Ordering::Release);
        if let Err(e) = shared.disk.sync_dir(&shared.dir) {
            // A crash may bring the old file back, which holds all that the new one does.
            let path = path.display();
            tracing::warn!(segment.path = %path, error = %e, "could not sync a rewritten segment's directory");
        }
        Ok(())
    }
}

/// A segment to be rewritten.
pub(crate) struct Source<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) key: FrameKey,
    pub(crate) previous_end: u32,
    /// Where the segment should end; 0 where nothing says.
    pub(crate) end: u32,
}

impl Source<'_> {
    /// Writes what `keep` makes of each record. `damaged` is told what cannot be read, and says whether to go on.
    pub(crate) fn rewrite(
        &self,
        keep: &mut dyn FnMut(Position, Bytes) -> Option<Record>,
        damaged: &mut dyn FnMut(DamagedRange) -> Result<(), LogError>,
    ) -> Result<Rewritten, LogError> {
        let segment = self.key.segment;
        let path = segment::path(self.dir, segment);
        let temporary = path.with_extension(segment::TEMPORARY);
        let old = self.disk.open(&path, OpenMode::Existing).map_err(LogError::io("open", &path))?;
        let mut target = Target::new(self.disk, &temporary, self.key);
        let kept = self.copy(old, &path, &mut target, keep, damaged);
        let finished =
            kept.and_then(|()| target.finish(self.previous_end).map_err(LogError::io("write", &temporary)));
        if let Err(e) = finished {
            // It is in nobody's way but takes room; the next start removes it if this does not.
            let _ = self.disk.remove_file(&temporary);
            return Err(e);
        }
        let (end, moved, in_place) = (target.end(), target.moved, AtomicBool::new(false));
        Ok(Rewritten { segment, temporary, end, moved, in_place })
    }

    fn copy(
        &self,
        old: Arc<dyn DiskFile>,
        path: &Path,
        target: &mut Target<'_>,
        keep: &mut dyn FnMut(Position, Bytes) -> Option<Record>,
        damaged: &mut dyn FnMut(DamagedRange) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let segment = self.key.segment;
        let length = old.length().map_err(LogError::io("measure", path))?;
        let limit = u32::try_from(length).unwrap_or(u32::MAX).max(SEGMENT_HEADER_BYTES);
        let mut scanner = Scanner::new(old, self.key, SEGMENT_HEADER_BYTES, limit, BUFFER_BYTES);
        loop {
            match scanner.next().map_err(LogError::io("read", path))? {
                Found::Record { offset, record } => {
                    if let Some(record) = keep(Position { segment, offset }, record) {
                        target.push(offset, &record).map_err(LogError::io("write", &target.path))?;
                    }
                }
                Found::Damaged { from, to } => damaged(DamagedRange { segment, from, to })?,
                Found::End { offset, garbage_bytes } => {
                    let to = self.end.max(offset + garbage_bytes);
                    if to > offset {
                        damaged(DamagedRange { segment, from: offset, to })?;
                    }
                    return Ok(());
                }
            }
        }
    }
}

/// The new file, made with the first record that goes into it.
struct Target<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    key: FrameKey,
    file: Option<Arc<dyn DiskFile>>,
    /// Up to where the file is written; `buffer` follows.
    written: u32,
    buffer: Vec<u8>,
    moved: Vec<(u32, u32)>,
}

impl<'a> Target<'a> {
    fn new(disk: &'a dyn Disk, path: &Path, key: FrameKey) -> Self {
        let path = path.to_owned();
        Self {
            disk,
            path,
            key,
            file: None,
            written: SEGMENT_HEADER_BYTES,
            buffer: Vec::new(),
            moved: Vec::new(),
        }
    }

    fn end(&self) -> u32 {
        self.written + u32::try_from(self.buffer.len()).expect("a segment is addressed with 32 bits")
    }

    fn push(&mut self, old: u32, record: &Record) -> io::Result<()> {
        let new = self.end();
        let header = FrameHeader { length: record.length() as u32, checksum: record.checksum() };
        if new.checked_add(HEADER_BYTES as u32 + header.length).is_none() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.buffer.extend_from_slice(&self.key.encode(new, header));
        for part in record.parts() {
            self.buffer.extend_from_slice(part);
        }
        self.moved.push((old, new));
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                match self.disk.remove_file(&self.path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    Ok(()) | Err(_) => {}
                }
                self.disk.open(&self.path, OpenMode::New)?
            }
        };
        write_all_at(file.as_ref(), &mut [IoSlice::new(&self.buffer)], u64::from(self.written))?;
        self.file = Some(file);
        self.written = self.end();
        self.buffer.clear();
        Ok(())
    }

    /// The header comes last, and all of it is on the disk then.
    fn finish(&mut self, previous_end: u32) -> io::Result<()> {
        if self.moved.is_empty() {
            return Ok(());
        }
        self.flush()?;
        let FrameKey { salt, segment } = self.key;
        let end = self.written;
        let header = SegmentHeader { segment, salt, capacity: end, previous_end, rewritten_end: end };
        let Some(file) = &self.file else { return Ok(()) };
        write_all_at(file.as_ref(), &mut [IoSlice::new(&header.encode())], 0)?;
        file.sync_data()
    }
}
