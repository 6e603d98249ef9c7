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
    logs: HashMap<LogKey, (Arc<Shared>, InJournal)>,
    /// When what is not durable is to be synced: logs of which the journal has not all, and the journal.
    sync_at: Option<Instant>,
    /// When all logs are to be synced.
    own_sync_at: Option<Instant>,
}

/// What the journal has of all that a log lacks.
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

    /// Whether no log relies on the journal.
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty()
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
        if due != Due::Nothing {
            self.sync_at = None;
        }
        if due == Due::All {
            self.own_sync_at = None;
        }
        let is_taken = |in_journal| match due {
            Due::Nothing => false,
            Due::NotDurable => in_journal == InJournal::NotAll,
            Due::All => true,
        };
        let taken = self.logs.extract_if(|_, (_, in_journal)| is_taken(*in_journal));
        taken.map(|(_, (log, _))| log).collect()
    }

    /// Sets the times anew after a commit at `now`; `journal_waits` says whether the journal has what was not synced.
    pub(super) fn set_times(&mut self, now: Instant, journal_waits: bool) {
        let waits =
            journal_waits || self.logs.values().any(|(_, in_journal)| *in_journal == InJournal::NotAll);
        self.sync_at = waits.then(|| self.sync_at.unwrap_or(now + SYNC_AFTER));
        let relies = !self.logs.is_empty();
        self.own_sync_at = relies.then(|| self.own_sync_at.unwrap_or(now + OWN_SYNC_AFTER));
    }
}
