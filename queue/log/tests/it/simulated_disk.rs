//! A disk in memory that remembers every call, so that it can be seen as a crash at any moment would leave it.

mod image;

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use punctual_queue_log::disk::{Disk, DiskFile, OpenMode};

pub(crate) use image::{Image, images};

/// What a name stands for; names may come and go while a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(usize);

/// A call that changed something or made it durable.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Write { file: FileId, offset: usize, bytes: Vec<u8> },
    SetLength { file: FileId, length: usize },
    Sync { file: FileId },
    Create { path: PathBuf, file: FileId },
    CreateDir { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    SyncDir { path: PathBuf },
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    image: Image,
    events: Vec<Event>,
    /// The calls that would be events and fail instead, by their number since it was switched on.
    fails: Range<usize>,
    /// How many of those calls there were.
    calls: usize,
}

impl SimulatedDisk {
    /// Becomes a disk that has just been switched on with this on it.
    pub(crate) fn set(&self, image: Image) {
        *self.lock() = State { image, ..State::default() };
    }

    /// How many events there have been.
    pub(crate) fn now(&self) -> usize {
        self.lock().events.len()
    }

    /// What is on it, as a program sees it that does not care what is synced.
    pub(crate) fn image(&self) -> Image {
        self.lock().image.clone()
    }

    /// What has happened since it was switched on.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Of the calls that would be events, counted from 0 since it was switched on, these fail; those after them
    /// succeed. Of a write that fails, the first half is done.
    pub(crate) fn fail(&self, calls: Range<usize>) {
        self.lock().fails = calls;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn happen(&self, event: Event) -> io::Result<()> {
        self.lock().happen(event)
    }
}

impl State {
    fn happen(&mut self, event: Event) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if self.fails.contains(&call) {
            if let Event::Write { file, offset, mut bytes } = event {
                bytes.truncate(bytes.len() / 2);
                self.change(Event::Write { file, offset, bytes });
            }
            return Err(io::Error::other("the disk does not want to"));
        }
        self.change(event);
        Ok(())
    }

    fn change(&mut self, event: Event) {
        self.image.apply(&event);
        self.events.push(event);
    }
}

impl Disk for SimulatedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let missing: BTreeSet<_> = {
            let state = self.lock();
            path.ancestors().filter(|dir| !state.image.dirs.contains(*dir)).map(Path::to_owned).collect()
        };
        missing.into_iter().try_for_each(|path| self.happen(Event::CreateDir { path }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let inside = state.image.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let found = self.lock().image.names.get(path).copied();
        let file = match (found, mode) {
            (Some(file), OpenMode::Existing) => file,
            (None, OpenMode::New) => {
                let file = self.lock().image.unused();
                self.happen(Event::Create { path: path.to_owned(), file })?;
                file
            }
            (None, OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(_), OpenMode::New) => return Err(io::ErrorKind::AlreadyExists.into()),
        };
        Ok(Arc::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.happen(Event::Rename { from: from.to_owned(), to: to.to_owned() })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if !self.lock().image.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.happen(Event::Remove { path: path.to_owned() })
    }

    fn remove_dir_all(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.happen(Event::SyncDir { path: path.to_owned() })
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: FileId,
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().image.files[&self.file].len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let content = &state.image.files[&self.file];
        let from = content.len().min(usize::try_from(offset).unwrap());
        let count = buffer.len().min(content.len() - from);
        buffer[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        let written = bytes.len();
        self.disk.happen(Event::Write {
            file: self.file,
            offset: usize::try_from(offset).unwrap(),
            bytes,
        })?;
        Ok(written)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.happen(Event::SetLength { file: self.file, length: usize::try_from(length).unwrap() })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.happen(Event::Sync { file: self.file })
    }
}
