//! Instants and durations.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// The years that can be written as RFC 3339 and kept by Postgres: 0001 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// To the microsecond, as Postgres keeps it.
pub(super) fn instant(timestamp: &prost_types::Timestamp) -> Result<DateTime<Utc>, String> {
    u32::try_from(timestamp.nanos)
        .ok()
        .filter(|_| SECONDS.contains(&timestamp.seconds))
        .and_then(|nanos| DateTime::from_timestamp(timestamp.seconds, nanos))
        .map(|instant| instant.trunc_subsecs(6))
        .ok_or_else(|| "is not an instant of the years 1 to 9999".to_owned())
}

pub(super) fn duration(duration: &prost_types::Duration) -> Result<Duration, String> {
    let seconds = u64::try_from(duration.seconds).ok();
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    match (seconds, nanos) {
        (Some(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err("is negative or malformed".to_owned()),
    }
}

pub(in crate::api) fn timestamp_to_proto(instant: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: instant.timestamp(),
        nanos: i32::try_from(instant.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}

pub(in crate::api) fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(999_999_999),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_keep_their_microseconds_and_absurd_ones_are_refused() {
        let given = prost_types::Timestamp { seconds: 1_800_000_000, nanos: 123_456_789 };
        let kept = instant(&given).unwrap();
        assert_eq!(kept.timestamp_subsec_nanos(), 123_456_000);
        assert_eq!(timestamp_to_proto(kept).seconds, 1_800_000_000);
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX), (253_402_300_800, 0)] {
            assert!(instant(&prost_types::Timestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn durations_are_not_negative() {
        let given = prost_types::Duration { seconds: 90, nanos: 500_000_000 };
        assert_eq!(duration(&given), Ok(Duration::from_millis(90_500)));
        assert_eq!(duration_to_proto(Duration::from_millis(90_500)), given);
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
            assert!(duration(&prost_types::Duration { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }
}
