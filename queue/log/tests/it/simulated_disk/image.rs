//! What is on a disk, and all that may be on it after a crash.
//!
//! A crash keeps what was synced. Of the rest it keeps any part: a sector of a write or none of it, a change of length,
//! a change of a name; each of them whatever became of the others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::{Event, FileId};

/// Smaller than any real one, so that small records are torn too.
const SECTOR: usize = 64;
/// Up to so many unsynced changes all their combinations are tried; of more, a choice.
const ALL_COMBINATIONS_OF: usize = 6;

/// Files, their names, and directories.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Image {
    pub(super) names: BTreeMap<PathBuf, FileId>,
    pub(super) files: BTreeMap<FileId, Vec<u8>>,
    pub(super) dirs: BTreeSet<PathBuf>,
}

impl Image {
    /// With nothing on it but these directories.
    pub(crate) fn with_dirs(dirs: &[&str]) -> Self {
        Self { dirs: dirs.iter().map(PathBuf::from).collect(), ..Self::default() }
    }

    /// What is in the file at `path`.
    pub(crate) fn content(&self, path: &Path) -> &[u8] {
        &self.files[&self.names[path]]
    }

    /// With something else in the file at `path`.
    pub(crate) fn with_content(mut self, path: &Path, content: Vec<u8>) -> Self {
        self.files.insert(self.names[path], content);
        self
    }

    /// The id of the next file to be made.
    pub(super) fn unused(&self) -> FileId {
        FileId(self.files.last_key_value().map_or(0, |(last, _)| last.0 + 1))
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { file, offset, bytes } => {
                let content = self.files.entry(*file).or_default();
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
            Event::SetLength { file, length } => self.files.entry(*file).or_default().resize(*length, 0),
            Event::Create { path, file } => {
                self.names.insert(path.clone(), *file);
                self.files.entry(*file).or_default();
            }
            Event::CreateDir { path } => {
                self.dirs.insert(path.clone());
            }
            Event::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::Remove { path } => {
                self.names.remove(path);
            }
            Event::Sync { .. } | Event::SyncDir { .. } => {}
        }
    }

    /// Without what cannot be reached: files without a name, and all in directories that are not there.
    fn reachable(mut self) -> Self {
        let dirs = std::mem::take(&mut self.dirs);
        let there = |path: &Path| path.ancestors().skip(1).all(|dir| dirs.contains(dir));
        self.dirs = dirs.iter().filter(|dir| there(dir)).cloned().collect();
        let dirs = &self.dirs;
        self.names.retain(|name, _| name.parent().is_some_and(|dir| dirs.contains(dir)));
        let named: BTreeSet<_> = self.names.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
        self
    }
}

/// All images, each once, that a crash may leave of `before` after `events`.
pub(crate) fn images(before: &Image, events: &[Event]) -> Vec<Image> {
    let (durable, pending) = settle(before, events);
    let mut seen = HashSet::new();
    let mut images = Vec::new();
    for kept in combinations(pending.len()) {
        let mut image = durable.clone();
        for (event, _) in pending.iter().zip(kept).filter(|(_, kept)| *kept) {
            image.apply(event);
        }
        let image = image.reachable();
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            images.push(image);
        }
    }
    images
}

/// What is durable, and what else was done, sector by sector.
fn settle(before: &Image, events: &[Event]) -> (Image, Vec<Event>) {
    let mut durable = before.clone();
    let mut pending: Vec<Event> = Vec::new();
    for event in events {
        match event {
            Event::Write { file, offset, bytes } => {
                let mut at = *offset;
                while at < offset + bytes.len() {
                    let end = ((at / SECTOR + 1) * SECTOR).min(offset + bytes.len());
                    let bytes = bytes[at - offset..end - offset].to_vec();
                    pending.push(Event::Write { file: *file, offset: at, bytes });
                    at = end;
                }
            }
            Event::Sync { .. } | Event::SyncDir { .. } => {
                let (synced, rest) = pending.into_iter().partition(|change| is_synced_by(change, event));
                pending = rest;
                let synced: Vec<Event> = synced;
                synced.iter().for_each(|change| durable.apply(change));
            }
            other => pending.push(other.clone()),
        }
    }
    (durable, pending)
}

fn is_synced_by(change: &Event, sync: &Event) -> bool {
    match (change, sync) {
        (Event::Write { file, .. } | Event::SetLength { file, .. }, Event::Sync { file: synced }) => {
            file == synced
        }
        (
            Event::Create { path, .. } | Event::CreateDir { path } | Event::Remove { path },
            Event::SyncDir { path: dir },
        ) => path.parent() == Some(dir),
        (Event::Rename { to, .. }, Event::SyncDir { path: dir }) => to.parent() == Some(dir),
        _ => false,
    }
}

/// Which of `count` changes are kept: all ways where there are few, else none, all, all but one, just one, and all up
/// to each.
fn combinations(count: usize) -> Vec<Vec<bool>> {
    if count <= ALL_COMBINATIONS_OF {
        return (0..1_usize << count)
            .map(|bits| (0..count).map(|bit| bits >> bit & 1 == 1).collect())
            .collect();
    }
    let with = |keep: &dyn Fn(usize) -> bool| (0..count).map(keep).collect::<Vec<_>>();
    let mut all = vec![vec![false; count], vec![true; count]];
    for one in 0..count {
        all.push(with(&|change| change != one));
        all.push(with(&|change| change == one));
        all.push(with(&|change| change < one));
    }
    all
}
