//! What a committer tells about its work.

use std::fmt;
use std::time::Duration;

use crate::error::SyncFailure;

/// Told what a committer does, on its thread: it should note the news and return.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A group of appends is complete.
    fn committed(&self, commit: &Commit);
    /// A sync failed. Nothing is accepted any more; this is said once.
    fn failed(&self, failure: &SyncFailure);
}

/// One group of appends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commit {
    /// How many records it held, refused ones included.
    pub records: usize,
    /// Their bytes, framing excluded.
    pub bytes: usize,
    /// How many logs were synced for it; 0 where none asked.
    pub synced_logs: usize,
    /// How many logs the journal was synced for instead.
    pub journaled_logs: usize,
    /// How long that took.
    pub sync: Duration,
}
