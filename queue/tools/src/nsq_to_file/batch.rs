//! When what is written is to be synced and finished.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that are written but not yet finished. Neither a clock nor I/O.
#[derive(Debug)]
pub(super) struct Batch<T> {
    waiting: Vec<T>,
    limit: usize,
    interval: Duration,
    next_tick: Instant,
    /// When the first of them would have to be finished.
    deadline: Option<Instant>,
}

impl<T> Batch<T> {
    /// At most `limit` wait at once, and none for longer than to the next tick, one each `interval`.
    pub(super) fn new(limit: usize, interval: Duration, now: Instant) -> Self {
        // An interval of nothing would tick without end.
        let interval = interval.max(Duration::from_millis(1));
        Self { waiting: Vec::new(), limit: limit.max(1), interval, next_tick: now + interval, deadline: None }
    }

    /// How many more it takes.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.waiting.len())
    }

    /// One that came at `now` was written. After `timeout` its node delivers it again.
    pub(super) fn push(&mut self, message: T, timeout: Duration, now: Instant) {
        self.waiting.push(message);
        // Half of it is left for the sync, and for the way to the node.
        let deadline = now + timeout / 2;
        self.deadline = Some(self.deadline.map_or(deadline, |first| first.min(deadline)));
    }

    /// Whether it has to be synced at once.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// When it has to be synced at the latest, and the file looked at.
    pub(super) fn next_sync(&self) -> Instant {
        self.deadline.map_or(self.next_tick, |deadline| deadline.min(self.next_tick))
    }

    /// Time has passed; says whether that was a tick.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let ticked = self.next_tick <= now;
        if ticked {
            self.next_tick = now + self.interval;
        }
        ticked
    }

    /// All of it was synced: these are to be finished.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.deadline = None;
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    /// Messages come at these seconds, with this time-out; the latest time to sync, in seconds.
    #[track_caller]
    fn check(messages: &[u64], timeout_s: u64, expect_s: u64) {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut batch = Batch::new(10, INTERVAL, start);
        for message in messages {
            batch.push((), Duration::from_secs(timeout_s), at(*message));
        }
        assert_eq!(batch.next_sync().duration_since(start), Duration::from_secs(expect_s));
    }

    #[test]
    fn it_is_synced_at_the_next_tick_or_well_before_the_first_message_times_out() {
        check(&[], 60, 30);
        check(&[0, 1], 60, 30);
        check(&[5, 6], 10, 10);
        check(&[29], 10, 30);
    }

    #[test]
    fn it_is_full_at_its_limit_and_empty_once_taken() {
        let now = Instant::now();
        let mut batch = Batch::new(2, INTERVAL, now);
        assert_eq!((batch.room(), batch.is_full(), batch.is_empty()), (2, false, true));
        batch.push("a", INTERVAL, now);
        assert_eq!((batch.room(), batch.is_full(), batch.is_empty()), (1, false, false));
        batch.push("b", INTERVAL, now);
        assert_eq!((batch.room(), batch.is_full(), batch.is_empty()), (0, true, false));
        assert_eq!(batch.take(), ["a", "b"]);
        assert_eq!((batch.room(), batch.next_sync()), (2, now + INTERVAL));
    }

    #[test]
    fn ticks_come_at_their_interval_whatever_is_synced_between() {
        let now = Instant::now();
        let mut batch = Batch::new(2, INTERVAL, now);
        batch.push("a", Duration::from_secs(10), now);
        assert!(!batch.tick(now + Duration::from_secs(5)));
        batch.take();
        assert_eq!(batch.next_sync(), now + INTERVAL);
        assert!(batch.tick(now + INTERVAL));
        assert_eq!(batch.next_sync(), now + INTERVAL * 2);
    }
}
