//! A disk that fails when it is told to.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use punctual_queue_log::disk::{Disk, DiskFile, OpenMode, RealDisk};

use crate::fixture::PATIENCE;

/// The real disk, until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct FailingDisk {
    pub(crate) sync_fails: Arc<AtomicBool>,
    pub(crate) full: Arc<AtomicBool>,
    /// Syncs wait as long as somebody holds it.
    pub(crate) sync_waits: Arc<tokio::sync::Mutex<()>>,
    /// The same for the removal of directories.
    pub(crate) removal_waits: tokio::sync::Mutex<()>,
    refusals: Arc<AtomicUsize>,
    /// The next read panics.
    pub(crate) read_panics: Arc<AtomicBool>,
    /// The next file put in the place of a segment makes its rename panic, before or after.
    pub(crate) replace_panics: Mutex<Option<Moment>>,
    after_rename: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

impl FailingDisk {
    /// Does something until the disk refuses another write for want of room.
    pub(crate) async fn wait_for_a_refusal(&self, mut cause: impl AsyncFnMut()) {
        let before = self.refusals.load(Ordering::SeqCst);
        let refused = async {
            while self.refusals.load(Ordering::SeqCst) == before {
                cause().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.expect("a write is refused");
    }
}

impl Disk for FailingDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let real = RealDisk.open(path, mode)?;
        let Self { sync_fails, full, sync_waits, refusals, read_panics, .. } = self;
        let (sync_fails, full, sync_waits) = (sync_fails.clone(), full.clone(), sync_waits.clone());
        let (refusals, read_panics) = (refusals.clone(), read_panics.clone());
        Ok(Arc::new(FailingFile { real, sync_fails, full, sync_waits, refusals, read_panics }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let is_segment = to.extension().is_some_and(|extension| extension == "seg");
        let panics = if is_segment { self.replace_panics.lock().unwrap().take() } else { None };
        assert_ne!(panics, Some(Moment::Before), "a rename panics, as it was told to");
        RealDisk.rename(from, to)?;
        self.after_rename.store(panics.is_some(), Ordering::SeqCst);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let _waited = self.removal_waits.blocking_lock();
        RealDisk.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        assert!(
            !self.after_rename.swap(false, Ordering::SeqCst),
            "what follows a rename panics, as it was told to"
        );
        RealDisk.sync_dir(path)
    }
}

#[derive(Debug)]
struct FailingFile {
    real: Arc<dyn DiskFile>,
    sync_fails: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    sync_waits: Arc<tokio::sync::Mutex<()>>,
    refusals: Arc<AtomicUsize>,
    read_panics: Arc<AtomicBool>,
}

impl DiskFile for FailingFile {
    fn length(&self) -> io::Result<u64> {
        self.real.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(!self.read_panics.swap(false, Ordering::SeqCst), "a read panics, as it was told to");
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let end = offset + buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        if self.full.load(Ordering::SeqCst) && end > self.real.length()? {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.real.write_at(buffers, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.real.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let _waited = self.sync_waits.blocking_lock();
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk lost it"));
        }
        self.real.sync_data()
    }
}
