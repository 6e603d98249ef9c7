//! A disk whose power can be cut: a file system in the test's own memory, mounted by FUSE, that knows which bytes and
//! names were synced and can drop all others.
//!
//! A killed process loses nothing that it wrote, synced or not: the page cache survives it. What an `OK` is worth
//! shows only when the power goes too. The same disk fails syncs, is full, or is slow when asked to.

mod content;
mod faults;
mod filesystem;
mod image;
mod names;
mod survival;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use fuser::{BackgroundSession, Config, MountOption};
use nix::mount::{MntFlags, umount2};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::programs;
use faults::Faults;
use filesystem::{LossyFilesystem, Shared};
use image::Image;
pub use survival::Survival;

/// Where the kernel's side of FUSE is.
const DEVICE: &str = "/dev/fuse";

/// Threads that serve it, so that a slow write does not hold up a read: as many as sync side by side, and one more.
const THREADS: usize = 5;

/// A mounted lossy disk. Dropped, it is unmounted and forgotten; stop what uses it before.
#[derive(Debug)]
pub struct LossyDisk {
    shared: Arc<Shared>,
    session: Option<BackgroundSession>,
    dir: TempDir,
}

impl LossyDisk {
    /// Mounts an empty one.
    ///
    /// # Errors
    /// When there is no FUSE, or this process may not mount: the error says which.
    pub fn mount() -> anyhow::Result<Self> {
        ensure!(
            Path::new(DEVICE).exists(),
            "there is no {DEVICE}: load the kernel's module `fuse`, or give the container that device",
        );
        let uid = nix::unistd::geteuid();
        ensure!(uid.is_root(), "a file system can be mounted by root only, and this test runs as user {uid}");
        let dir = tempfile::Builder::new().prefix("lossy-disk-").tempdir_in(programs::scratch()?)?;
        let shared = Arc::new(Shared { image: Mutex::new(Image::default()), faults: Faults::default() });
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("punctual-lossy-disk".to_owned())];
        config.n_threads = Some(THREADS);
        config.clone_fd = true;
        let session = fuser::spawn_mount(LossyFilesystem(Arc::clone(&shared)), dir.path(), &config)
            .with_context(|| {
                let at = dir.path().display();
                format!(
                    "cannot mount a FUSE file system at {at}: root without CAP_SYS_ADMIN, as in a container?"
                )
            })?;
        Ok(Self { shared, session: Some(session), dir })
    }

    /// Its uppermost directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Drops what was not synced, but for what `survival` keeps. Whoever used the disk must be dead.
    pub fn cut_power(&self, survival: &mut Survival) {
        self.shared.image.lock().cut_power(survival);
    }

    /// Has the next sync of a file fail with EIO. As Linux does, the disk then takes what was to be synced for clean:
    /// later syncs succeed, and do not bring it back.
    pub fn fail_next_sync(&self) {
        self.shared.faults.fail_next_sync();
    }

    /// Whether nothing can be added any more; bytes that are there can be written over.
    pub fn set_full(&self, full: bool) {
        self.shared.faults.set_full(full);
    }

    /// How long each write and each sync takes from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.faults.set_delay(delay);
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.shared.faults.syncs()
    }

    /// How many writes found it full.
    pub fn refusals(&self) -> u64 {
        self.shared.faults.refusals()
    }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        // Lazily, so that it goes even when a failed test has left something open.
        let unmounted = umount2(self.dir.path(), MntFlags::MNT_DETACH).map_err(io::Error::from);
        if let Err(error) = unmounted {
            eprintln!("--- {} is still mounted: {error}", self.dir.path().display());
        }
        drop(self.session.take());
    }
}
