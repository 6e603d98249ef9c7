//! Which logs have records that their own files' sync has yet to cover, and when it is time for that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::group::LogKey;
use crate::log::Shared;
use crate::sync::Instant;

/// How long a written record may wait for its sync; half of what is promised, for the sync takes time too.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// How long a log may rely on the journal. Syncing many files holds up a commit for milliseconds, so seldom; not never,
/// because checkpoints and the removal of segments follow a log's own syncs.
const OWN_SYNC_AFTER: Duration = Duration::from_secs(5);

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// Of which the journal has all that they lack.
    relying: HashMap<LogKey, Arc<Shared>>,
    /// All others.
    lacking: HashMap<LogKey, Arc<Shared>>,
    /// When what is not durable is to be synced: the logs that are lacking, and the journal.
    sync_at: Option<Instant>,
    /// When all logs are to be synced.
    own_sync_at: Option<Instant>,
}

/// What the journal has of what was written to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InJournal {
    All,
    NotAll,
}

/// What is to be synced because it has waited for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// What is not durable.
    NotDurable,
    /// All logs.
    All,
}

impl Unsynced {
    /// `log` was written to.
    pub(super) fn note(&mut self, log: &Arc<Shared>, in_journal: InJournal) {
        let key = LogKey::of(log);
        if in_journal == InJournal::NotAll {
            self.relying.remove(&key);
            self.lacking.insert(key, Arc::clone(log));
        } else if !self.lacking.contains_key(&key) {
            self.relying.insert(key, Arc::clone(log));
        }
    }

    /// `log` is about to be synced.
    pub(super) fn forget(&mut self, log: &Arc<Shared>) {
        let key = LogKey::of(log);
        self.relying.remove(&key);
        self.lacking.remove(&key);
    }

    /// Whether the journal has all that `log` lacks so far.
    pub(super) fn is_in_journal(&self, log: &Arc<Shared>) -> bool {
        !self.lacking.contains_key(&LogKey::of(log))
    }

    /// Whether every log is synced.
    pub(super) fn is_empty(&self) -> bool {
        self.relying.is_empty() && self.lacking.is_empty()
    }

    /// What is due at `now`.
    pub(super) fn due(&self, now: Instant) -> Due {
        let has_come = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match (has_come(self.own_sync_at), has_come(self.sync_at)) {
            (true, _) => Due::All,
            (false, true) => Due::NotDurable,
            (false, false) => Due::Nothing,
        }
    }

    /// When something will be due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.sync_at.into_iter().chain(self.own_sync_at).min()
    }

    /// Takes those out that are to be synced.
    pub(super) fn take(&mut self, due: Due) -> Vec<Arc<Shared>> {
        let mut taken = Vec::new();
        if due != Due::Nothing {
            self.sync_at = None;
            taken.extend(self.lacking.drain().map(|(_, log)| log));
        }
        if due == Due::All {
            self.own_sync_at = None;
            taken.extend(self.relying.drain().map(|(_, log)| log));
        }
        taken
    }

    /// Sets the times anew after a commit at `now`; `journal_waits` says whether the journal has what was not synced.
    pub(super) fn set_times(&mut self, now: Instant, journal_waits: bool) {
        let waits = journal_waits || !self.lacking.is_empty();
        self.sync_at = waits.then(|| self.sync_at.unwrap_or(now + SYNC_AFTER));
        self.own_sync_at = (!self.is_empty()).then(|| self.own_sync_at.unwrap_or(now + OWN_SYNC_AFTER));
    }
}
