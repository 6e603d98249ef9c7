//! The time of day, handed to whoever needs it.

use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// Tells the time of day. To wait, use `tokio::time`.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time of day now. It may go backwards: the machine's clock can be set.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day enters")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock for tests: it starts at a given time of day and moves with tokio's time, so that pausing or advancing
/// tokio's time does the same to the time of day.
#[derive(Debug, Clone, Copy)]
pub struct TestClock {
    epoch: DateTime<Utc>,
    started: Instant,
}

impl TestClock {
    /// A clock that shows `epoch` at this moment.
    pub fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self { epoch, started: Instant::now() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        // A test that outlives what chrono can represent stays at the end of time.
        let elapsed = chrono::TimeDelta::from_std(self.started.elapsed()).unwrap_or(chrono::TimeDelta::MAX);
        self.epoch.checked_add_signed(elapsed).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn advancing_tokio_advances_the_time_of_day() {
        let epoch = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = TestClock::starting_at(epoch);
        assert_eq!(clock.now(), epoch);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), epoch + chrono::TimeDelta::seconds(90));
    }

    #[test]
    fn the_system_clock_is_within_this_century() {
        let now = SystemClock.now();
        assert!(now > DateTime::from_timestamp(1_700_000_000, 0).unwrap(), "{now}");
        assert!(now < DateTime::from_timestamp(4_102_444_800, 0).unwrap(), "{now}");
    }
}
