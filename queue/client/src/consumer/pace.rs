//! Backing off when messages fail, as NSQ's clients do.

use std::time::Duration;

use tokio::time::Instant;

/// How a consumer backs off when messages fail.
///
/// After a [`fail`](super::Delivery::fail) nothing is asked for during `first`, then one message, as a probe. Each
/// probe that fails doubles the rest, up to `longest`; each that succeeds halves it, until everything is asked for
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffOptions {
    /// The rest after the first failure.
    pub first: Duration,
    /// The longest rest.
    pub longest: Duration,
}

impl Default for BackoffOptions {
    /// As go-nsq has it: 2 s, 2 minutes.
    fn default() -> Self {
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(120) }
    }
}

impl BackoffOptions {
    /// The rest at a level, which counts from 1.
    fn rest(&self, level: u32) -> Duration {
        self.first.saturating_mul(1_u32 << level.saturating_sub(1).min(30)).min(self.longest)
    }
}

/// How much a consumer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pace {
    /// All that it may.
    #[default]
    Full,
    /// Nothing.
    Resting { level: u32, until: Instant },
    /// One message, to see whether things are well again.
    Probing { level: u32 },
}

impl Pace {
    /// A message failed.
    pub(super) fn failed(self, options: &BackoffOptions, now: Instant) -> Self {
        match self {
            Self::Full => Self::resting(1, options, now),
            // One of those that were in hand when the first failed: it tells nothing new.
            Self::Resting { .. } => self,
            Self::Probing { level } => {
                let is_longest = options.rest(level) >= options.longest;
                Self::resting(if is_longest { level } else { level + 1 }, options, now)
            }
        }
    }

    /// A message was finished.
    pub(super) fn succeeded(self, options: &BackoffOptions, now: Instant) -> Self {
        match self {
            Self::Full => self,
            // As above.
            Self::Resting { .. } => self,
            Self::Probing { level: 0 | 1 } => Self::Full,
            Self::Probing { level } => Self::resting(level - 1, options, now),
        }
    }

    /// Time has passed.
    pub(super) fn at(self, now: Instant) -> Self {
        match self {
            Self::Resting { level, until } if until <= now => Self::Probing { level },
            Self::Full | Self::Resting { .. } | Self::Probing { .. } => self,
        }
    }

    /// How many steps lead back to the full pace; 0 at it.
    pub(super) fn level(self) -> u32 {
        match self {
            Self::Full => 0,
            Self::Resting { level, .. } | Self::Probing { level } => level,
        }
    }

    fn resting(level: u32, options: &BackoffOptions, now: Instant) -> Self {
        Self::Resting { level, until: now + options.rest(level) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BackoffOptions =
        BackoffOptions { first: Duration::from_secs(2), longest: Duration::from_secs(7) };

    /// The pace after the rest, which takes `seconds`.
    #[track_caller]
    fn rested(pace: Pace, now: Instant, seconds: u64) -> Pace {
        let end = now + Duration::from_secs(seconds);
        assert_eq!(pace.at(end - Duration::from_millis(1)), pace, "still resting");
        let probing = pace.at(end);
        assert!(matches!(probing, Pace::Probing { .. }), "{probing:?}");
        probing
    }

    #[test]
    fn rests_double_with_failed_probes_and_halve_with_good_ones() {
        let now = Instant::now();
        let mut probe = rested(Pace::Full.failed(&OPTIONS, now), now, 2);
        for seconds in [4, 7, 7, 7] {
            probe = rested(probe.failed(&OPTIONS, now), now, seconds);
        }
        for seconds in [4, 2] {
            probe = rested(probe.succeeded(&OPTIONS, now), now, seconds);
        }
        assert_eq!(probe.succeeded(&OPTIONS, now), Pace::Full);
    }

    #[test]
    fn what_was_in_hand_when_the_rest_began_changes_nothing() {
        let now = Instant::now();
        let resting = Pace::Full.failed(&OPTIONS, now);
        assert_eq!(resting.failed(&OPTIONS, now), resting);
        assert_eq!(resting.succeeded(&OPTIONS, now), resting);
        assert_eq!(Pace::Full.succeeded(&OPTIONS, now), Pace::Full);
    }
}
