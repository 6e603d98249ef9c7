//! What a few probes say about another machine's clock.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// One question to the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// When it was asked.
    pub(super) sent: Instant,
    /// When the answer was there.
    pub(super) received: Instant,
    /// What its clock showed at some moment in between.
    pub(super) database: DateTime<Utc>,
}

impl Probe {
    pub(super) fn round_trip(&self) -> Duration {
        self.received.saturating_duration_since(self.sent)
    }

    /// The earliest that the database's clock can show at `instant`: as if it had been read last of all. That is
    /// the middle of the round trip, less the half by which it may be wrong.
    fn earliest(&self, instant: Instant) -> DateTime<Utc> {
        let since = match instant.checked_duration_since(self.received) {
            Some(since) => signed(since),
            None => -signed(self.received.saturating_duration_since(instant)),
        };
        self.database.checked_add_signed(since).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Whether both can be right about one clock that runs evenly.
    fn agrees(&self, other: &Self) -> bool {
        let apart = (self.earliest(self.received) - other.earliest(self.received)).abs();
        apart <= signed(self.round_trip().max(other.round_trip())) + DRIFT
    }
}

/// How far two clocks that are kept in time may drift apart between the oldest probe and the newest.
const DRIFT: TimeDelta = TimeDelta::milliseconds(5);

/// How many probes are remembered.
const PROBES: usize = 10;

/// The probes worth remembering; the one with the shortest round trip is believed.
#[derive(Debug)]
pub(super) struct Estimate {
    probes: VecDeque<Probe>,
    best: Probe,
}

impl Estimate {
    pub(super) fn new(first: Probe) -> Self {
        Self { probes: VecDeque::from([first]), best: first }
    }

    /// The database's time at `instant`: late by up to the best probe's round trip, never early.
    pub(super) fn at(&self, instant: Instant) -> DateTime<Utc> {
        self.best.earliest(instant)
    }

    /// Takes a probe in. When it contradicts what is believed, the clock has been set, and only the new one counts;
    /// answers by how much.
    pub(super) fn learn(&mut self, probe: Probe) -> Option<TimeDelta> {
        let jumped = (!probe.agrees(&self.best))
            .then(|| probe.earliest(probe.received) - self.best.earliest(probe.received));
        if jumped.is_some() {
            self.probes.clear();
        }
        if self.probes.len() == PROBES {
            self.probes.pop_front();
        }
        self.probes.push_back(probe);
        self.best = self.probes.iter().copied().min_by_key(Probe::round_trip).unwrap_or(probe);
        jumped
    }
}

fn signed(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The true time of the database, `ms` after a start.
    fn truth(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::milliseconds(ms)
    }

    /// A probe sent at `sent_ms`, read by the database after `there_ms`, back after another `back_ms`.
    fn probe(start: Instant, sent_ms: u64, there_ms: u64, back_ms: u64) -> Probe {
        let sent = start + Duration::from_millis(sent_ms);
        let received = sent + Duration::from_millis(there_ms + back_ms);
        Probe { sent, received, database: truth((sent_ms + there_ms) as i64) }
    }

    #[test]
    fn the_shortest_round_trip_of_the_last_ten_is_believed() {
        let start = Instant::now();
        let mut estimate = Estimate::new(probe(start, 0, 50, 50));
        let later = start + Duration::from_secs(60);
        assert_eq!(estimate.at(later), truth(60_000 - 50));
        assert_eq!(estimate.learn(probe(start, 1_000, 1, 1)), None);
        assert_eq!(estimate.at(later), truth(60_000 - 1));
        for second in 2..11 {
            assert_eq!(estimate.learn(probe(start, second * 1_000, 20, 30)), None);
            assert_eq!(estimate.at(later), truth(60_000 - 1));
        }
        estimate.learn(probe(start, 11_000, 20, 30));
        assert_eq!(estimate.at(later), truth(60_000 - 30), "the good probe has grown too old");
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once_in_both_directions() {
        let start = Instant::now();
        for by in [TimeDelta::seconds(30), TimeDelta::seconds(-30)] {
            let mut estimate = Estimate::new(probe(start, 0, 0, 1));
            let mut set = probe(start, 1_000, 40, 40);
            set.database += by;
            assert!(estimate.learn(set).is_some());
            assert_eq!(estimate.at(start + Duration::from_secs(2)), truth(2_000 - 40) + by);
        }
    }

    proptest! {
        #[test]
        fn the_estimate_is_never_early_and_late_by_a_round_trip_at_most(
            trips in prop::collection::vec((0_u64..200, 0_u64..200), 1..30),
            after_ms in 0_u64..5_000,
        ) {
            let start = Instant::now();
            let mut estimate: Option<Estimate> = None;
            for (second, (there, back)) in trips.iter().enumerate() {
                let probe = probe(start, second as u64 * 1_000, *there, *back);
                match &mut estimate {
                    None => estimate = Some(Estimate::new(probe)),
                    Some(estimate) => prop_assert_eq!(estimate.learn(probe), None),
                }
            }
            let at_ms = trips.len() as u64 * 1_000 + after_ms;
            let shown = estimate.unwrap().at(start + Duration::from_millis(at_ms));
            let shortest = trips.iter().rev().take(10).map(|(there, back)| there + back).min().unwrap();
            prop_assert!(shown <= truth(at_ms as i64));
            prop_assert!(shown >= truth(at_ms as i64 - shortest as i64));
        }
    }
}
