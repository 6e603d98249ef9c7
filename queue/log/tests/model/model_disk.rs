//! A disk that knows what a power cut would leave: what was written before a sync *began* that has *ended*.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::sync::{Condvar, Mutex};

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelDisk {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    /// Names that a power cut leaves.
    durable_names: BTreeSet<PathBuf>,
    syncs: usize,
    /// The sync, counted from now, that fails.
    sync_fails_in: Option<usize>,
    /// Files below this are gone: no sync of them succeeds.
    removed: Option<PathBuf>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
    /// A sync of it failed: what it says from now on is worth nothing.
    lost: bool,
}

impl ModelDisk {
    /// Whether `bytes` would be in the file at `path` after a power cut now.
    pub(crate) fn survives_power_cut(&self, path: &Path, offset: usize, bytes: &[u8]) -> bool {
        self.inner.state.lock().survives(path, offset, bytes)
    }

    /// Whether `bytes` would be somewhere in the file at `path` after a power cut now.
    pub(crate) fn has(&self, path: &Path, bytes: &[u8]) -> bool {
        let state = self.inner.state.lock();
        let content = state.files.get(path).filter(|_| state.durable_names.contains(path));
        content.is_some_and(|content| content.durable.windows(bytes.len()).any(|found| found == bytes))
    }

    /// Returns once a power cut would leave `bytes` in the file at `path`.
    pub(crate) fn wait_until_durable(&self, path: &Path, offset: usize, bytes: &[u8]) {
        let mut state = self.inner.state.lock();
        while !state.survives(path, offset, bytes) {
            self.inner.synced.wait(&mut state);
        }
    }

    /// How many syncs have begun.
    pub(crate) fn syncs(&self) -> usize {
        self.inner.state.lock().syncs
    }

    /// The sync that would be the `number`-th from now, counted from 0, fails, be it of a file or of a directory.
    pub(crate) fn fail_sync(&self, number: usize) {
        self.inner.state.lock().sync_fails_in = Some(number);
    }

    /// Removes a directory and all in it under those who have files of it open.
    pub(crate) fn remove(&self, dir: &Path) {
        self.inner.state.lock().removed = Some(dir.to_owned());
    }
}

impl State {
    fn survives(&self, path: &Path, offset: usize, bytes: &[u8]) -> bool {
        let durable =
            self.files.get(path).and_then(|content| content.durable.get(offset..offset + bytes.len()));
        durable == Some(bytes) && self.durable_names.contains(path)
    }

    fn begin_sync(&mut self, path: &Path) -> io::Result<()> {
        self.syncs += 1;
        let fails = self.sync_fails_in == Some(0);
        self.sync_fails_in = self.sync_fails_in.and_then(|more| more.checked_sub(1));
        if let Some(content) = self.files.get_mut(path) {
            assert!(!content.lost, "{} is synced again after that failed", path.display());
            content.lost = fails;
        }
        if self.removed.as_ref().is_some_and(|removed| path.starts_with(removed)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if fails { Err(io::Error::other("the disk lost it")) } else { Ok(()) }
    }
}

impl Disk for ModelDisk {
    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.inner.state.lock();
        let inside = state.files.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.inner.state.lock();
        match (state.files.contains_key(path), mode) {
            (true, OpenMode::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (false, OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (true, OpenMode::Existing) => {}
            (false, OpenMode::New) => {
                state.files.insert(path.to_owned(), Content::default());
            }
        }
        Ok(Arc::new(ModelFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_file(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir_all(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let names: Vec<_> = {
            let mut state = self.inner.state.lock();
            state.begin_sync(path)?;
            state.files.keys().filter(|name| name.parent() == Some(path)).cloned().collect()
        };
        self.inner.state.lock().durable_names.extend(names);
        self.inner.synced.notify_all();
        Ok(())
    }
}

#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    path: PathBuf,
}

impl ModelFile {
    fn with<T>(&self, look: impl FnOnce(&mut Content) -> T) -> T {
        look(self.disk.inner.state.lock().files.get_mut(&self.path).unwrap())
    }
}

impl DiskFile for ModelFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|content| content.written.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|content| {
            let from = content.written.len().min(usize::try_from(offset).unwrap());
            let count = buffer.len().min(content.written.len() - from);
            buffer[..count].copy_from_slice(&content.written[from..from + count]);
            Ok(count)
        })
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        let offset = usize::try_from(offset).unwrap();
        self.with(|content| {
            let end = offset + bytes.len();
            content.written.resize(content.written.len().max(end), 0);
            content.written[offset..end].copy_from_slice(&bytes);
        });
        Ok(bytes.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.with(|content| content.written.resize(usize::try_from(length).unwrap(), 0));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = {
            let mut state = self.disk.inner.state.lock();
            state.begin_sync(&self.path)?;
            state.files[&self.path].written.clone()
        };
        self.with(|content| content.durable = begun);
        self.disk.inner.synced.notify_all();
        Ok(())
    }
}
