//! Which logs have records that their own files' sync has yet to cover, and when it is time for that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::group::LogKey;
use crate::log::Shared;
use crate::sync::Instant;

/// How long a written record may wait for its sync; half of what is promised, for the sync takes time too.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    logs: HashMap<LogKey, (Arc<Shared>, InJournal)>,
    /// When the first of them is to be synced, and all others with it.
    sync_at: Option<Instant>,
}

/// What the journal has of all that a log lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InJournal {
    All,
    NotAll,
}

impl Unsynced {
    /// `log` was written to.
    pub(super) fn note(&mut self, log: &Arc<Shared>, in_journal: InJournal) {
        let (_, known) = self.logs.entry(LogKey::of(log)).or_insert((Arc::clone(log), in_journal));
        if in_journal == InJournal::NotAll {
            *known = InJournal::NotAll;
        }
    }

    /// `log` is about to be synced.
    pub(super) fn forget(&mut self, log: &Arc<Shared>) {
        self.logs.remove(&LogKey::of(log));
    }

    /// Whether the journal has all that `log` lacks so far.
    pub(super) fn is_in_journal(&self, log: &Arc<Shared>) -> bool {
        self.logs.get(&LogKey::of(log)).is_none_or(|(_, in_journal)| *in_journal == InJournal::All)
    }

    /// When [`take`](Self::take) is to be called at the latest.
    pub(super) fn sync_at(&self) -> Option<Instant> {
        self.sync_at
    }

    /// Whether it is time to sync all of them.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.sync_at.is_some_and(|at| at <= now)
    }

    /// Sets the time from the first record on that waits.
    pub(super) fn set_time(&mut self, now: Instant) {
        self.sync_at = match self.logs.is_empty() {
            true => None,
            false => Some(self.sync_at.unwrap_or(now + SYNC_AFTER)),
        };
    }

    /// All of them, to be synced now.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<Shared>> {
        self.sync_at = None;
        self.logs.drain().map(|(_, (log, _))| log)
    }
}
