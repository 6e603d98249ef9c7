//! A delay that is random between jobs and the same on every look.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::JobId;

/// The delay of one instant of a job: less than `most`, and less than `room`, in whole milliseconds.
pub(super) fn delay(
    job: JobId,
    instant: DateTime<Utc>,
    most: Duration,
    room: Option<TimeDelta>,
) -> TimeDelta {
    let most_ms = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
    let most_ms = room.map_or(most_ms, |room| most_ms.min(room.num_milliseconds())).max(0);
    let Ok(most_ms @ 1..) = u64::try_from(most_ms) else { return TimeDelta::zero() };
    let delay_ms = hash(job, instant) % most_ms;
    TimeDelta::milliseconds(i64::try_from(delay_ms).unwrap_or(0))
}

/// FNV-1a over job and instant, then mixed, since its last steps alone move few bits: stable across releases.
fn hash(job: JobId, instant: DateTime<Utc>) -> u64 {
    let bytes = job.0.as_bytes().iter().copied().chain(instant.timestamp_micros().to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_delay_is_the_same_on_every_look_and_spread_between_jobs() {
        let instant = "2026-01-01T09:00:00Z".parse().unwrap();
        let most = Duration::from_secs(60);
        let of = |job: u128| delay(JobId(Uuid::from_u128(job)), instant, most, None).num_milliseconds();
        assert_eq!(of(7), of(7));
        let mut tenths = [0; 10];
        for job in 0..1_000 {
            let ms = of(job);
            assert!((0..60_000).contains(&ms));
            tenths[usize::try_from(ms / 6_000).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (60..150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn it_never_reaches_the_next_instant() {
        let instant: DateTime<Utc> = "2026-01-01T09:00:00Z".parse().unwrap();
        for job in 0..500 {
            let job = JobId(Uuid::from_u128(job));
            let room = TimeDelta::seconds(2);
            assert!(delay(job, instant, Duration::from_secs(60), Some(room)) < room);
            assert_eq!(
                delay(job, instant, Duration::from_secs(60), Some(TimeDelta::zero())),
                TimeDelta::zero()
            );
            assert_eq!(delay(job, instant, Duration::ZERO, None), TimeDelta::zero());
        }
    }
}
