//! Opening a log: finds its segments, and where the last one really ends.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode, read_full_at};
use crate::error::LogError;
use crate::frame::FrameKey;
use crate::index::{SegmentIndex, SegmentInfo};
use crate::log::Shared;
use crate::options::LogOptions;
use crate::position::{Position, SegmentId};
use crate::reader::DamagedRange;
use crate::scan::{Found, Scanner};
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::sync::{AtomicBool, Mutex};
use crate::writer::{Active, Writer};

const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Where the log ends now.
    pub end: Position,
    /// Bytes behind the last whole record that were dropped: an append that the last stop interrupted.
    pub torn_bytes: u32,
    /// What of the last segment cannot be read though whole records follow it. Left as it is.
    pub damage: Damage,
}

/// Damaged stretches, in order.
pub type Damage = Vec<DamagedRange>;

pub(crate) struct SegmentOnDisk {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) header: Option<SegmentHeader>,
    /// It has a header, and that is damaged beyond mending.
    pub(crate) unreadable: bool,
}

pub(crate) fn open(
    dir: &Path,
    options: LogOptions,
    disk: Arc<dyn Disk>,
    intact_before: Position,
) -> Result<(Shared, Recovery), LogError> {
    disk.create_dir_all(dir).map_err(LogError::io("create", dir))?;
    if let Some(parent) = dir.parent() {
        disk.sync_dir(parent).map_err(LogError::io("sync", parent))?;
    }
    remove_leftovers(dir, disk.as_ref())?;
    let mut segments = find_segments(dir, disk.as_ref())?;
    let salt = self::salt(&segments).unwrap_or_else(|| RandomState::new().hash_one(dir) as u32);
    let log = OnDisk { dir, disk: disk.as_ref(), options, salt, intact_before };
    let (writer, recovery) = log.recover_end(&mut segments)?;
    sync_last(dir, disk.as_ref(), &segments)?;

    let known = known(dir, &segments)?;
    let shared = Shared {
        dir: dir.to_owned(),
        disk,
        options,
        salt,
        index: Mutex::new(SegmentIndex::new(known, recovery.end)),
        writer: Mutex::new(writer),
        closed: AtomicBool::new(false),
    };
    Ok((shared, recovery))
}

/// A log that is being opened.
struct OnDisk<'a> {
    dir: &'a Path,
    disk: &'a dyn Disk,
    options: LogOptions,
    salt: u32,
    intact_before: Position,
}

impl OnDisk<'_> {
    /// Finds where the log ends, and makes it end there; what is appended next is written by the result. Segments that
    /// were being made are removed.
    fn recover_end(
        &self,
        segments: &mut BTreeMap<SegmentId, SegmentOnDisk>,
    ) -> Result<(Writer, Recovery), LogError> {
        let mut torn_bytes = 0;
        while let Some((&segment, last)) = segments.last_key_value() {
            let path = segment::path(self.dir, segment);
            let tail = self.tail(segment, last).map_err(LogError::io("read", &path))?;
            if last.header.is_none() && tail.is_empty() && !(last.unreadable && tail.torn_bytes > 0) {
                // It was being made when the process stopped; nothing in it was ever acknowledged.
                self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
                segments.remove(&segment);
                torn_bytes += tail.torn_bytes;
                continue;
            }
            let (writer, mut recovery) = self.end_with(segment, last, tail)?;
            recovery.torn_bytes += torn_bytes;
            return Ok((writer, recovery));
        }
        let writer = Writer::new(SegmentId(1), self.options.first_segment_bytes, 0);
        Ok((writer, Recovery { end: Position::START, torn_bytes, damage: Vec::new() }))
    }

    fn tail(&self, segment: SegmentId, last: &SegmentOnDisk) -> io::Result<Tail> {
        // Without its header, nothing known of a segment is of use.
        let is_known = self.intact_before.segment == segment && last.header.is_some();
        let from = if is_known { self.intact_before.offset } else { SEGMENT_HEADER_BYTES };
        scan_tail(last, FrameKey { salt: self.salt, segment }, from)
    }

    /// What `last`, of which `tail` is the end, makes of the log's end.
    fn end_with(
        &self,
        segment: SegmentId,
        last: &SegmentOnDisk,
        tail: Tail,
    ) -> Result<(Writer, Recovery), LogError> {
        let next = SegmentId(segment.0 + 1);
        let torn_end = tail.end + tail.torn_bytes;
        let at = |offset| Position { segment, offset };
        let Some(header) = last.header else {
            // Sectors are written whole: this one once held a header, and so the rest once held records. It is kept for
            // a person to look at, and what is appended now goes into the next.
            let writer = Writer::new(next, self.options.first_segment_bytes, torn_end);
            let damage = tail.damage_without_header(segment);
            return Ok((writer, Recovery { end: at(torn_end), torn_bytes: 0, damage }));
        };
        if header.rewritten_end > 0 {
            // The one that was written to after it is gone, or is yet to be made.
            let writer = Writer::new(next, self.options.first_segment_bytes, tail.end);
            // It was whole before it got its name.
            let cut_short =
                (tail.torn_bytes > 0).then_some(DamagedRange { segment, from: tail.end, to: torn_end });
            let damage = tail.damage.into_iter().chain(cut_short).collect();
            return Ok((writer, Recovery { end: at(tail.end), torn_bytes: 0, damage }));
        }
        let path = segment::path(self.dir, segment);
        let zeroed_to = repair(last.file.as_ref(), &tail).map_err(LogError::io("repair", &path))?;
        let mut writer = Writer::new(next, self.options.capacity_after(header.capacity), 0);
        let (file, end, leftovers) = (Arc::clone(&last.file), tail.end, false);
        let capacity = header.capacity;
        writer.active = Some(Active { segment, path, file, end, zeroed_to, leftovers, capacity });
        Ok((writer, Recovery { end: at(end), torn_bytes: tail.torn_bytes, damage: tail.damage }))
    }
}

impl SegmentOnDisk {
    fn info(&self, bytes: u32) -> SegmentInfo {
        let (previous_end, rewritten_end) =
            self.header.map_or((0, 0), |header| (header.previous_end, header.rewritten_end));
        SegmentInfo { previous_end, rewritten_end, bytes, ..SegmentInfo::default() }
    }
}

/// The number that all frames of the log are marked with; `None` when no header can be read.
pub(crate) fn salt(segments: &BTreeMap<SegmentId, SegmentOnDisk>) -> Option<u32> {
    segments.values().rev().find_map(|found| Some(found.header?.salt))
}

/// What is known of the segments without reading them.
pub(crate) fn known(
    dir: &Path,
    segments: &BTreeMap<SegmentId, SegmentOnDisk>,
) -> Result<BTreeMap<SegmentId, SegmentInfo>, LogError> {
    let mut known = BTreeMap::new();
    for (segment, found) in segments {
        let path = segment::path(dir, *segment);
        let length = found.file.length().map_err(LogError::io("measure", &path))?;
        known.insert(*segment, found.info(u32::try_from(length).unwrap_or(u32::MAX)));
    }
    Ok(known)
}

/// Segments that were being rewritten when the process stopped: the old ones are still in place.
fn remove_leftovers(dir: &Path, disk: &dyn Disk) -> Result<(), LogError> {
    for name in disk.list(dir).map_err(LogError::io("list", dir))? {
        let path = dir.join(&name);
        if path.extension().is_some_and(|extension| extension == segment::TEMPORARY) {
            disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
        }
    }
    Ok(())
}

pub(crate) fn find_segments(
    dir: &Path,
    disk: &dyn Disk,
) -> Result<BTreeMap<SegmentId, SegmentOnDisk>, LogError> {
    let names = disk.list(dir).map_err(LogError::io("list", dir))?;
    let mut segments = BTreeMap::new();
    for segment in names.iter().filter_map(|name| segment::from_file_name(name)) {
        let path = segment::path(dir, segment);
        let file = disk.open(&path, OpenMode::Existing).map_err(LogError::io("open", &path))?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        read_full_at(file.as_ref(), &mut bytes, 0).map_err(LogError::io("read", &path))?;
        let header = SegmentHeader::decode(&bytes).filter(|header| header.segment == segment);
        let unreadable = header.is_none() && bytes.iter().any(|&byte| byte != 0);
        segments.insert(segment, SegmentOnDisk { file, header, unreadable });
    }
    Ok(segments)
}

/// The end of the last segment.
struct Tail {
    end: u32,
    torn_bytes: u32,
    damage: Damage,
    length: u32,
}

impl Tail {
    fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES
    }

    /// All that is damaged where the header is too, and nobody can say where the records ended.
    fn damage_without_header(self, segment: SegmentId) -> Damage {
        let torn_end = self.end + self.torn_bytes;
        if self.is_empty() {
            return vec![DamagedRange { segment, from: 0, to: torn_end }];
        }
        let mut damage = vec![DamagedRange { segment, from: 0, to: SEGMENT_HEADER_BYTES }];
        damage.extend(self.damage);
        damage.extend((self.torn_bytes > 0).then_some(DamagedRange {
            segment,
            from: self.end,
            to: torn_end,
        }));
        damage
    }
}

fn scan_tail(last: &SegmentOnDisk, key: FrameKey, from: u32) -> io::Result<Tail> {
    let length = u32::try_from(last.file.length()?).unwrap_or(u32::MAX);
    let from = from.max(SEGMENT_HEADER_BYTES);
    let limit = length.max(SEGMENT_HEADER_BYTES);
    // A checkpoint that lies behind the end is no help; then all of the segment is looked at.
    let from = if from > limit { SEGMENT_HEADER_BYTES } else { from };
    let mut scanner = Scanner::new(Arc::clone(&last.file), key, from, limit, READ_AHEAD_BYTES);
    let mut damage: Damage = Vec::new();
    let mut end = from;
    loop {
        match scanner.next()? {
            Found::Record { .. } => end = scanner.offset(),
            Found::Damaged { from, to } => {
                damage.push(DamagedRange { segment: key.segment, from, to });
            }
            Found::End { offset, garbage_bytes } => {
                // Damage with nothing whole behind it is an append cut short.
                damage.retain(|range| range.from < end);
                return Ok(Tail { end, torn_bytes: offset + garbage_bytes - end, damage, length });
            }
        }
    }
}

/// Cuts off what is torn; returns up to where the file then has blocks.
fn repair(file: &dyn DiskFile, tail: &Tail) -> io::Result<u32> {
    if tail.torn_bytes == 0 {
        return Ok(tail.length.max(tail.end));
    }
    file.set_length(u64::from(tail.end))?;
    Ok(tail.end)
}

/// What is read from now on may have been written by a process that was killed before it synced.
fn sync_last(
    dir: &Path,
    disk: &dyn Disk,
    segments: &BTreeMap<SegmentId, SegmentOnDisk>,
) -> Result<(), LogError> {
    for (segment, found) in segments.iter().rev().take(2) {
        let path = segment::path(dir, *segment);
        found.file.sync_data().map_err(LogError::io("sync", &path))?;
    }
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))
}
