//! Dropping messages that are as old as messages are kept.

use std::time::Duration;

use super::Topic;

/// How exactly a message's age is known, as a part of how long messages are kept.
const STEPS: u32 = 32;

/// How often ages are looked at.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));

/// How far apart messages are whose age is noted.
pub(super) fn noted_every(retain: Duration) -> Duration {
    retain / STEPS
}

/// How often to look for messages that are too old.
pub(super) fn look_every(retain: Duration) -> Duration {
    noted_every(retain).clamp(LOOK_EVERY.0, LOOK_EVERY.1)
}

impl Topic {
    /// Drops, in every channel, what is older than `retain` by the time of day; what is in flight is left to its
    /// consumers. Nothing is written for it: a start after a kill finds the same again.
    pub(super) fn expire(&self, retain: Duration) {
        let retain_ns = i64::try_from(retain.as_nanos()).unwrap_or(i64::MAX);
        let cutoff_ns = self.context.unix_ns().saturating_sub(retain_ns);
        let mut core = self.core.lock();
        let all = (core.last_published_ns <= cutoff_ns).then_some(core.committed_end);
        let Some(before) = all.or_else(|| core.waypoints.older_than(cutoff_ns)) else { return };
        let waiting = before.0.saturating_sub(core.announced_end.0);
        core.expired += waiting;
        if waiting > 0 {
            core.announced_end = before;
            core.waiting_since_ns = core.waypoints.published_ns(before);
        }
        for channel in core.channels.values() {
            channel.with_for_keeper(|channel, _| {
                channel.expire(before);
                channel.skipped(before);
            });
        }
    }
}
