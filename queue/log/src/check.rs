//! Looking at a log nobody has open: what of it can be read, and mending what cannot.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, OpenMode, read_file, read_full_at, unused_aside, write_all_at};
use crate::error::LogError;
use crate::frame::FrameKey;
use crate::index::SegmentIndex;
use crate::position::{Position, SegmentId};
use crate::reader::DamagedRange;
use crate::record::Record;
use crate::recovery::{self, SegmentOnDisk};
use crate::rewrite::Source;
use crate::scan::{Found, Scanner};
use crate::segment::{self, SEGMENT_HEADER_BYTES};

const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// What a segment's file was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes in its file.
    pub bytes: u32,
    /// Records that can be read.
    pub records: u64,
    /// What cannot be read although it should be, in order.
    pub damage: Vec<DamagedRange>,
    /// Bytes behind the last record of the log: an append that was never acknowledged. The next start cuts them off.
    pub torn_bytes: u32,
}

/// Reads all of the log in `dir` and changes nothing. `visit` is given each record, in order.
///
/// # Errors
/// Fails when a file cannot be read at all.
pub fn check(
    dir: &Path,
    disk: &dyn Disk,
    visit: &mut dyn FnMut(Position, Bytes),
) -> Result<Vec<SegmentReport>, LogError> {
    let segments = recovery::find_segments(dir, disk)?;
    let salt = recovery::salt(&segments);
    let last = segments.last_key_value().map_or(SegmentId(0), |(segment, _)| *segment);
    let index = SegmentIndex::new(recovery::known(dir, &segments)?, Position { segment: last, offset: 0 });
    let mut reports = Vec::new();
    for (segment, found) in &segments {
        let is_mended = is_mended(found).map_err(LogError::io("read", &segment::path(dir, *segment)))?;
        let end = match index.after(*segment) {
            Some((_, end)) => end,
            None => found.header.map_or(0, |header| header.rewritten_end),
        };
        let key = FrameKey { salt: salt.unwrap_or_default(), segment: *segment };
        let walk = Walk { key, end, is_last: *segment == last, salt_is_known: salt.is_some(), is_mended };
        let path = segment::path(dir, *segment);
        reports.push(walk.over(found, visit).map_err(LogError::io("read", &path))?);
    }
    Ok(reports)
}

/// Whether the segment's header was read although one of its bits has flipped.
fn is_mended(found: &SegmentOnDisk) -> std::io::Result<bool> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
    read_full_at(found.file.as_ref(), &mut bytes, 0)?;
    Ok(found.header.is_some_and(|header| header.encode() != bytes))
}

/// Rewrites a damaged segment without what cannot be read, and keeps a copy of it as it was in the same directory.
/// Records move within the segment, so that positions in it that were kept elsewhere mean nothing afterwards. Returns
/// where the copy is. Where only a bit of the header is wrong, that alone is written anew.
///
/// # Errors
/// Fails when a file cannot be read or written; the segment is then as it was.
pub fn repair(dir: &Path, disk: &dyn Disk, report: &SegmentReport) -> Result<PathBuf, LogError> {
    let segment = report.segment;
    let path = segment::path(dir, segment);
    let segments = recovery::find_segments(dir, disk)?;
    let (Some(found), salt) = (segments.get(&segment), recovery::salt(&segments)) else {
        return Err(LogError::NoSuchSegment { segment });
    };
    let header_alone = match (found.header, &report.damage[..]) {
        (Some(header), [range]) if range.to == SEGMENT_HEADER_BYTES => Some(header),
        (Some(_) | None, _) => None,
    };
    let Some(salt) = salt.filter(|_| report.records > 0 || header_alone.is_some()) else {
        let aside = segment::set_aside(disk, dir, segment).map_err(LogError::io("set aside", &path))?;
        disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
        return Ok(aside);
    };
    let aside = unused_aside(disk, &path).map_err(LogError::io("list", dir))?;
    copy(disk, &path, &aside).map_err(LogError::io("copy", &path))?;
    // The copy has its name for good before the original loses it.
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    if let Some(header) = header_alone {
        let file = found.file.as_ref();
        let written = write_all_at(file, &mut [IoSlice::new(&header.encode())], 0);
        written.and_then(|()| file.sync_data()).map_err(LogError::io("write", &path))?;
        return Ok(aside);
    }
    let previous_end = found.header.map_or(0, |header| header.previous_end);
    let source = Source { dir, disk, key: FrameKey { salt, segment }, previous_end, end: 0 };
    let rewritten = source.rewrite(&mut |_, record| Some(Record::from(record)), &mut |_| Ok(()))?;
    rewritten.put_in_place(disk, &path).map_err(LogError::io("replace", &path))?;
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(aside)
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> std::io::Result<()> {
    let content = read_file(disk, from)?.unwrap_or_default();
    let file = disk.open(to, OpenMode::New)?;
    write_all_at(file.as_ref(), &mut [IoSlice::new(&content)], 0)?;
    file.sync_data()
}

/// One segment to be looked at.
struct Walk {
    key: FrameKey,
    /// Where it should end; 0 where nothing says.
    end: u32,
    is_last: bool,
    salt_is_known: bool,
    /// One bit of the header has flipped.
    is_mended: bool,
}

impl Walk {
    fn over(
        &self,
        found: &SegmentOnDisk,
        visit: &mut dyn FnMut(Position, Bytes),
    ) -> std::io::Result<SegmentReport> {
        let segment = self.key.segment;
        let bytes = u32::try_from(found.file.length()?).unwrap_or(u32::MAX);
        let limit = bytes.max(SEGMENT_HEADER_BYTES);
        let mut report = SegmentReport { segment, bytes, records: 0, damage: Vec::new(), torn_bytes: 0 };
        let file = Arc::clone(&found.file);
        let mut scanner = Scanner::new(file, self.key, SEGMENT_HEADER_BYTES, limit, READ_AHEAD_BYTES);
        let mut end = SEGMENT_HEADER_BYTES;
        loop {
            match scanner.next()? {
                Found::Record { offset, record } => {
                    report.records += 1;
                    end = scanner.offset();
                    visit(Position { segment, offset }, record);
                }
                Found::Damaged { from, to } => report.damage.push(DamagedRange { segment, from, to }),
                Found::End { offset, garbage_bytes } => {
                    self.judge_end(&mut report, found, end, offset + garbage_bytes);
                    return Ok(report);
                }
            }
        }
    }

    /// `end` is where the last record ends, `dirty_end` the last byte that is not zero.
    fn judge_end(&self, report: &mut SegmentReport, found: &SegmentOnDisk, end: u32, dirty_end: u32) {
        let segment = self.key.segment;
        let header = DamagedRange { segment, from: 0, to: SEGMENT_HEADER_BYTES };
        if found.header.is_none()
            && report.records == 0
            && self.is_last
            && self.salt_is_known
            && !found.unreadable
        {
            // It was being made when the process stopped.
            report.torn_bytes = report.bytes;
            return;
        }
        if self.is_last && self.end == 0 && found.header.is_some() {
            report.damage.retain(|range| range.from < end);
            report.torn_bytes = dirty_end.saturating_sub(end);
        } else {
            let seen = report.damage.last().map_or(end, |range| range.to.max(end));
            let to = self.end.max(dirty_end);
            if to > seen {
                report.damage.push(DamagedRange { segment, from: seen, to });
            }
        }
        if found.header.is_none() || self.is_mended {
            report.damage.insert(0, header);
        }
    }
}
