//! A committer on a disk in memory, and as many of them as there are cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use punctual_queue_log::committer::Committer;
use punctual_queue_log::error::LogError;
use punctual_queue_log::log::{Log, Recovery};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::Position;

use crate::fixture::{SMALL, Seen};
use crate::simulated_disk::{Image, SimulatedDisk};

/// Where on the disk the log is.
pub(crate) const LOG: &str = "/data/log";

/// A disk and what writes to it.
pub(crate) struct Machine {
    pub(crate) disk: SimulatedDisk,
    committer: Committer,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let disk = SimulatedDisk::default();
        let committer = Committer::start(Arc::new(disk.clone()), None, Arc::new(Seen::default())).unwrap();
        Self { disk, committer }
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.committer
    }

    pub(crate) fn open(&self) -> Result<(Log, Recovery), LogError> {
        self.open_with(SMALL)
    }

    pub(crate) fn open_with(&self, options: LogOptions) -> Result<(Log, Recovery), LogError> {
        Log::open(Path::new(LOG), options, &self.committer, Position::START)
    }

    /// With a checkpoint at a place of the log.
    pub(crate) fn open_from(&self, options: LogOptions, intact_before: Position) -> Log {
        Log::open(Path::new(LOG), options, &self.committer, intact_before).unwrap().0
    }
}

/// A disk on which there is no log yet.
pub(crate) fn empty_disk() -> Image {
    Image::with_dirs(&["/", "/data"])
}

/// Hands `items` to as many threads as there are cores, each with a machine of its own.
pub(crate) fn side_by_side<T: Sync>(items: &[T], try_one: impl Fn(&T, &Machine) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let machine = Machine::new();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(item, &machine);
                }
            });
        }
    });
}

/// Whether what takes many minutes is asked for too.
pub(crate) fn is_full() -> bool {
    std::env::var_os("PUNCTUAL_TEST_FULL").is_some()
}
