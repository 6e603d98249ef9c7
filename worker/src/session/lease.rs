//! How long a session may go on without hearing from a scheduler.

use std::time::Duration;

use punctual_proto::v1;
use tokio::time::Instant;

const DEFAULT_LENGTH: Duration = Duration::from_secs(10);
const DEFAULT_BEAT_EVERY: Duration = Duration::from_secs(2);

/// Bounds on what a scheduler may ask for: a beat more often than this would be nothing but load.
const SHORTEST_BEAT: Duration = Duration::from_millis(20);

/// The lease of a session, on the monotonic clock.
///
/// Schedulers free the attempts of a session one lease after they *stored* its last heartbeat. This side counts from
/// the moment the last answered heartbeat was *sent*, which is earlier, and is done a little before the end; so what
/// it executes has stopped before anyone else can start.
#[derive(Debug)]
pub(crate) struct Lease {
    length: Duration,
    beat_every: Duration,
    counted_from: Instant,
    next_beat: Instant,
}

impl Lease {
    /// What a registration sent at `sent` was granted.
    pub(crate) fn granted(answer: &v1::RegisterWorkerResponse, sent: Instant) -> Self {
        let length = positive(answer.lease).unwrap_or(DEFAULT_LENGTH);
        let beat_every = positive(answer.heartbeat_every).unwrap_or(DEFAULT_BEAT_EVERY);
        // Three beats may fail before the lease is lost, whatever the scheduler thinks is enough.
        let beat_every = beat_every.min(length / 4).max(SHORTEST_BEAT);
        Self { length, beat_every, counted_from: sent, next_beat: sent + beat_every }
    }

    /// A heartbeat has just been sent.
    pub(crate) fn beat_sent(&mut self, now: Instant) {
        self.next_beat = now + self.beat_every;
    }

    /// Nobody answered a heartbeat: the next one follows soon.
    pub(crate) fn beat_unanswered(&mut self, now: Instant) {
        self.next_beat = now + self.beat_every / 8;
    }

    /// The heartbeat sent at `sent` has been answered. Answers may come in any order.
    pub(crate) fn beat_answered(&mut self, sent: Instant) {
        self.counted_from = self.counted_from.max(sent);
    }

    /// When to send the next heartbeat, at the latest.
    pub(crate) fn next_beat(&self) -> Instant {
        self.next_beat
    }

    /// When every handler must be told to stop: a tenth of the lease before its end.
    pub(crate) fn stop_at(&self) -> Instant {
        self.counted_from + self.length - self.length / 10
    }

    /// When a handler that did not stop is dropped: a twentieth of the lease before its end.
    pub(crate) fn drop_at(&self) -> Instant {
        self.counted_from + self.length - self.length / 20
    }
}

fn positive(duration: Option<prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|duration| duration.try_into().ok()).filter(|duration: &Duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(lease_ms: u64, beat_ms: u64, sent: Instant) -> Lease {
        let duration = |ms| Duration::from_millis(ms).try_into().ok();
        Lease::granted(
            &v1::RegisterWorkerResponse { lease: duration(lease_ms), heartbeat_every: duration(beat_ms) },
            sent,
        )
    }

    #[track_caller]
    fn check(lease_ms: u64, beat_ms: u64, expect_ms: [u64; 3]) {
        let start = Instant::now();
        let lease = lease(lease_ms, beat_ms, start);
        let after = [lease.next_beat(), lease.stop_at(), lease.drop_at()]
            .map(|at| u64::try_from((at - start).as_millis()).unwrap());
        assert_eq!(after, expect_ms, "lease {lease_ms} ms, beat every {beat_ms} ms");
    }

    #[test]
    fn beats_and_the_end_are_counted_from_the_sending() {
        check(10_000, 2_000, [2_000, 9_000, 9_500]);
        check(1_000, 200, [200, 900, 950]);
        check(1_000, 5_000, [250, 900, 950]); // a beat rarer than the lease bears
        check(0, 0, [2_000, 9_000, 9_500]); // an answer without figures
        check(10_000, 1, [20, 9_000, 9_500]);
    }

    #[test]
    fn only_an_answered_beat_extends_the_lease_and_by_its_sending() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lease = lease(10_000, 2_000, start);
        lease.beat_sent(at(2_000));
        assert_eq!((lease.next_beat(), lease.stop_at()), (at(4_000), at(9_000)));
        lease.beat_sent(at(4_000));
        lease.beat_answered(at(4_000));
        assert_eq!(lease.stop_at(), at(13_000));
        lease.beat_unanswered(at(4_100));
        assert_eq!(lease.next_beat(), at(4_350));
        lease.beat_answered(at(2_000)); // overtaken
        assert_eq!((lease.stop_at(), lease.drop_at()), (at(13_000), at(13_500)));
    }
}
