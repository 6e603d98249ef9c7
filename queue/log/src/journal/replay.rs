//! Puts what a journal holds where it belongs.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::FILE_NAME;
use super::block::{Entry, entries};
use super::content::Content;
use crate::disk::{self, Disk, DiskFile, OpenMode, read_full_at, write_all_at};
use crate::error::LogError;
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};

/// What a journal held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Commits that were put where they belong.
    pub commits: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Commits that had been synced and cannot be read any more, and segments that can take none. What they held is lost
    /// where the logs lack it too.
    pub damaged: u64,
    /// Where the journal is kept because of that.
    pub kept: Option<PathBuf>,
}

/// Puts what the journal in `dir` holds into the logs below, makes that durable, and removes the journal; a damaged one
/// is kept under another name. No log below `dir` may be open. Nothing happens where there is no journal.
///
/// # Errors
/// Fails when something cannot be put where it belongs; tried again, it goes on from the start.
pub fn replay(disk: &dyn Disk, dir: &Path) -> Result<Replayed, LogError> {
    let path = dir.join(FILE_NAME);
    let Some(content) = read(disk, &path)? else { return Ok(Replayed::default()) };
    let mut replayed = Replayed::of(&content);
    for (path, entries) in by_segment(&content, dir) {
        replayed.damaged += u64::from(!put(disk, &path, &entries)?);
    }
    if replayed.damaged > 0 {
        let kept = disk::set_aside(disk, &path).map_err(LogError::io("set aside", &path))?;
        replayed.kept = Some(kept);
    } else {
        disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
    }
    disk.sync_dir(dir).map_err(LogError::io("sync", dir))?;
    Ok(replayed)
}

/// What [`replay`] would find in the journal; it is not done.
///
/// # Errors
/// Fails when the journal cannot be read.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Replayed, LogError> {
    let content = read(disk, &dir.join(FILE_NAME))?;
    Ok(content.as_ref().map(Replayed::of).unwrap_or_default())
}

impl Replayed {
    fn of(content: &Content) -> Self {
        let bytes = content.commits().map(|entries| entries.len() as u64).sum();
        let commits = content.commits().filter(|entries| !entries.is_empty()).count() as u64;
        Self { commits, bytes, damaged: content.damaged_commits, kept: None }
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Content>, LogError> {
    match disk.open(path, OpenMode::Existing) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let content = opened.and_then(|journal| Content::read(journal.as_ref()));
            content.map(Some).map_err(LogError::io("read", path))
        }
    }
}

/// The entries of each segment, in their order.
fn by_segment<'a>(content: &'a Content, dir: &Path) -> BTreeMap<PathBuf, Vec<Entry<'a>>> {
    let mut segments: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in content.commits().flat_map(entries) {
        if Path::new(entry.dir).components().all(|part| matches!(part, Component::Normal(_))) {
            let path = segment::path(&dir.join(entry.dir), entry.position.segment);
            segments.entry(path).or_default().push(entry);
        }
    }
    segments
}

/// Puts them into the segment at `path` and makes that durable; `false` where the segment's header cannot be read. None
/// goes into a segment that was rewritten, for then all of it had been synced, nor into one that has another log's
/// salt: a topic was deleted, and made again.
fn put(disk: &dyn Disk, path: &Path, entries: &[Entry<'_>]) -> Result<bool, LogError> {
    let file: Arc<dyn DiskFile> = match disk.open(path, OpenMode::Existing) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true), // it is gone, and was wanted no more
        opened => opened.map_err(LogError::io("open", path))?,
    };
    let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
    read_full_at(file.as_ref(), &mut bytes, 0).map_err(LogError::io("read", path))?;
    let Some(header) = SegmentHeader::decode(&bytes) else { return Ok(false) };
    let belong = entries.iter().filter(|entry| entry.salt == header.salt && header.rewritten_end == 0);
    for entry in belong {
        write_all_at(file.as_ref(), &mut [IoSlice::new(entry.bytes)], u64::from(entry.position.offset))
            .map_err(LogError::io("put back what the journal holds of", path))?;
    }
    file.sync_data().map_err(LogError::io("sync", path))?;
    Ok(true)
}
