//! An interval counted from the epoch.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::ScheduleError;
use super::zone::LATEST;

/// Every so often, anchored to the epoch plus a phase: the n-th instant is a closed form, so neither a restart nor a
/// long pause moves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    every_us: i64,
    phase_us: i64,
}

/// Longer ones are mistakes, and keep the arithmetic far from overflow.
const MOST: Duration = Duration::from_secs(3_653 * 86_400);

impl Interval {
    pub(super) fn new(every: Duration, phase: Duration) -> Result<Self, ScheduleError> {
        if every < Duration::from_secs(1) {
            return Err(ScheduleError::TooOften { every });
        }
        if every > MOST {
            return Err(ScheduleError::TooSeldom { every, most: MOST });
        }
        if phase >= every {
            return Err(ScheduleError::BadPhase { phase, every });
        }
        Ok(Self { every_us: whole_ms(every)?, phase_us: whole_ms(phase)? })
    }

    /// The first instant at or after `t`; `None` past the year 9999.
    pub(super) fn next_from(self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Rounded up, so that the answer is never before `t`.
        let t_us = t.timestamp_micros() + i64::from(!t.timestamp_subsec_nanos().is_multiple_of(1_000));
        let since_phase = t_us.checked_sub(self.phase_us)?;
        let steps =
            since_phase.div_euclid(self.every_us) + i64::from(since_phase.rem_euclid(self.every_us) > 0);
        let next_us = steps.checked_mul(self.every_us)?.checked_add(self.phase_us)?;
        DateTime::from_timestamp_micros(next_us).filter(|next| *next <= LATEST)
    }
}

/// In microseconds, if it is whole milliseconds. No overflow: it is at most [`MOST`].
fn whole_ms(given: Duration) -> Result<i64, ScheduleError> {
    if !given.as_nanos().is_multiple_of(1_000_000) {
        return Err(ScheduleError::TooFine { given });
    }
    i64::try_from(given.as_micros()).map_err(|_| ScheduleError::TooFine { given })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(every_ms: u64, phase_ms: u64, from: &str, expect: &str) {
        let interval =
            Interval::new(Duration::from_millis(every_ms), Duration::from_millis(phase_ms)).unwrap();
        assert_eq!(interval.next_from(at(from)), Some(at(expect)));
    }

    #[test]
    fn instants_are_multiples_of_the_interval_since_the_epoch_plus_the_phase() {
        check(1_000, 0, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        check(1_000, 0, "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:01Z");
        check(90_000, 0, "2026-01-01T00:00:01Z", "2026-01-01T00:01:30Z");
        check(3_600_000, 300_000, "2026-01-01T00:05:00.001Z", "2026-01-01T01:05:00Z");
        check(1_500, 0, "1970-01-01T00:00:00.1Z", "1970-01-01T00:00:01.5Z");
        check(60_000, 7_000, "1969-12-31T23:58:30Z", "1969-12-31T23:59:07Z");
    }

    #[test]
    fn absurd_intervals_are_refused() {
        let ms = Duration::from_millis;
        for (every, phase, field) in [
            (ms(0), ms(0), "every"),
            (ms(999), ms(0), "every"),
            (MOST + ms(1), ms(0), "every"),
            (Duration::MAX, ms(0), "every"),
            (Duration::from_nanos(1_000_000_001), ms(0), "every"),
            (ms(2_000), Duration::from_nanos(1), "every"),
            (ms(2_000), ms(2_000), "phase"),
            (ms(2_000), Duration::MAX, "phase"),
        ] {
            assert_eq!(Interval::new(every, phase).unwrap_err().field(), field, "{every:?} {phase:?}");
        }
    }

    #[test]
    fn there_is_nothing_after_the_year_9999() {
        let interval = Interval::new(MOST, Duration::ZERO).unwrap();
        assert_eq!(interval.next_from(LATEST), None);
        assert_eq!(interval.next_from(DateTime::<Utc>::MAX_UTC), None);
        assert!(interval.next_from(DateTime::<Utc>::MIN_UTC).is_some());
    }

    proptest! {
        #[test]
        fn the_next_instant_is_on_the_grid_and_less_than_an_interval_away(
            every_ms in 1_000_u64..400_000_000_000,
            phase in 0.0..1.0_f64,
            t_us in -2_000_000_000_000_000_i64..200_000_000_000_000_000,
        ) {
            let every_ms = every_ms.min(MOST.as_millis() as u64);
            let phase_ms = (every_ms as f64 * phase) as u64;
            let interval =
                Interval::new(Duration::from_millis(every_ms), Duration::from_millis(phase_ms)).unwrap();
            let t = DateTime::from_timestamp_micros(t_us).unwrap();
            let next = interval.next_from(t).unwrap();
            prop_assert!(next >= t);
            prop_assert!((next - t).num_microseconds().unwrap() < every_ms as i64 * 1_000);
            let offset = next.timestamp_micros() - phase_ms as i64 * 1_000;
            prop_assert_eq!(offset.rem_euclid(every_ms as i64 * 1_000), 0);
        }
    }
}
