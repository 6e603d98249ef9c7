//! What a lossy disk does wrong at the moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The faults that are switched on, and counts of what happened.
#[derive(Debug, Default)]
pub(super) struct Faults {
    fails_next_sync: AtomicBool,
    full: AtomicBool,
    delay_ms: AtomicU64,
    syncs: AtomicU64,
    refusals: AtomicU64,
}

impl Faults {
    pub(super) fn fail_next_sync(&self) {
        self.fails_next_sync.store(true, Ordering::SeqCst);
    }

    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Counts a sync, and says whether it fails.
    pub(super) fn sync_fails(&self) -> bool {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.fails_next_sync.swap(false, Ordering::SeqCst)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes as long as the disk takes for a write or a sync.
    #[expect(clippy::disallowed_methods, reason = "a slow disk is one that lets time pass")]
    pub(super) fn take_time(&self) {
        let delay = Duration::from_millis(self.delay_ms.load(Ordering::SeqCst));
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::SeqCst)
    }
}
