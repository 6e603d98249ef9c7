//! How much of a task queue's work is queued, and for how long.

use std::time::Duration;

use crate::id::Shard;

/// So many runs are queued even with no worker, to wake an autoscaler.
const LEAST_WINDOW: u64 = 100;
const FIRST_REDELIVERY: Duration = Duration::from_secs(30);
const LAST_REDELIVERY: Duration = Duration::from_secs(15 * 60);

/// How many runs of a task queue one scheduler may have queued at a time: its part, by the shards it owns, of
/// max(100, 2 × `places`), rounded up. `places` is the sum over the task queue's live workers.
pub fn window(places: u32, owned_shards: u8) -> usize {
    let whole = (2 * u64::from(places)).max(LEAST_WINDOW);
    let part = (whole * u64::from(owned_shards.min(Shard::COUNT))).div_ceil(u64::from(Shard::COUNT));
    usize::try_from(part).unwrap_or(usize::MAX)
}

/// From this delivery on, [`redelivery_after`] does not grow any more.
pub const LONGEST_REDELIVERY: u32 = 6;

/// How long a queued run may wait for its start before it is given up and queued again: 30 s the first time, doubling
/// to 15 min. A slow fleet so gets fewer and fewer repeats, not more and more.
///
/// `delivery` counts from 1 those in a row that nobody answered in time. What went out again for another reason (its
/// node was lost or took no message, its attempt is to be repeated) says nothing about the fleet and does not count.
pub fn redelivery_after(delivery: u32) -> Duration {
    let doublings = delivery.clamp(1, LONGEST_REDELIVERY) - 1;
    (FIRST_REDELIVERY * (1 << doublings)).min(LAST_REDELIVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_twice_the_places_and_at_least_a_hundred() {
        for (places, owned, expect) in
            [(0, 64, 100), (50, 64, 100), (51, 64, 102), (1_000, 64, 2_000), (u32::MAX, 64, 8_589_934_590)]
        {
            assert_eq!(window(places, owned), expect, "{places} places");
        }
    }

    #[test]
    fn shard_owners_share_the_window_and_every_owner_gets_some() {
        for (owned, expect) in [(0, 0), (1, 2), (21, 33), (22, 35), (32, 50), (64, 100), (200, 100)] {
            assert_eq!(window(0, owned), expect, "{owned} shards");
        }
    }

    #[test]
    fn redelivery_doubles_from_30_seconds_to_15_minutes() {
        for (delivery, seconds) in
            [(0, 30), (1, 30), (2, 60), (3, 120), (5, 480), (6, 900), (7, 900), (u32::MAX, 900)]
        {
            assert_eq!(redelivery_after(delivery), Duration::from_secs(seconds), "delivery {delivery}");
        }
    }
}
