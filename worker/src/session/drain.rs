//! Shutting down in order.

use std::time::Duration;

use tokio::time::Instant;

use super::{Session, calls};
use crate::attempt::{KILL_MARGIN, SHUTDOWN_GRACE};
use crate::inbox::Inbox;
use crate::meters;

/// How long the last reports and releases may take once every handler has ended.
const LAST_REPORTS: Duration = Duration::from_secs(3);

/// The steps of a shutdown.
#[derive(Debug)]
pub(super) struct Drain {
    cancel_at: Instant,
    over_at: Instant,
    cancelled: bool,
    /// Whether a heartbeat has told the schedulers.
    pub(super) told: bool,
}

impl Drain {
    /// A shutdown that begins at `now` and waits for handlers that long.
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        let cancel_at = now + timeout;
        let over_at = cancel_at + SHUTDOWN_GRACE + KILL_MARGIN + LAST_REPORTS;
        Self { cancel_at, over_at, cancelled: false, told: false }
    }

    /// Whether handlers must be cancelled now; says so once.
    pub(super) fn must_cancel(&mut self, now: Instant) -> bool {
        now >= self.cancel_at && !std::mem::replace(&mut self.cancelled, true)
    }

    /// When something is to be done next.
    pub(super) fn next_step(&self) -> Instant {
        if self.cancelled { self.over_at } else { self.cancel_at }
    }

    /// Whether there is no time left.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.over_at
    }
}

impl Session<'_> {
    /// Takes nothing new, gives back what no scheduler has been asked for, and tells the schedulers.
    pub(super) fn start_draining(&mut self, inbox: &Inbox, now: Instant) {
        tracing::info!(
            executing = self.attempts.len(),
            timeout_ms = self.site.drain_timeout.as_millis(),
            "draining: waiting for the handlers"
        );
        self.drain = Some(Drain::new(now, self.site.drain_timeout));
        self.site.health.set_ready("scheduler", false, "draining");
        self.say_ready(inbox);
        for message in self.asks.take_unasked() {
            self.places.give_back();
            meters::doorbell("given_back");
            message.requeue(Duration::ZERO);
        }
    }

    /// Whether nothing is left that someone waits for.
    pub(super) fn is_done(&self) -> bool {
        self.asks.is_empty() && self.held.is_empty()
    }

    /// Ends what is left after a drain, and the session.
    pub(super) async fn close(&mut self, inbox: &Inbox) {
        inbox.set_ready(0);
        for message in self.asks.take_all() {
            message.requeue(Duration::ZERO);
        }
        // A handler that blocks its thread cannot be waited for.
        let _given_up = tokio::time::timeout(KILL_MARGIN, self.attempts.shutdown()).await;
        if self.held.is_empty() {
            calls::unregister(&self.site.schedulers, &self.id).await;
        } else {
            tracing::warn!(
                "some attempts could be neither finished nor given back, their lease will run out"
            );
        }
        self.calls.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_cancelled_once_after_the_time_out_and_given_up_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut drain = Drain::new(start, Duration::from_secs(30));
        assert_eq!(drain.next_step(), at(30_000));
        assert!(!drain.must_cancel(at(29_999)));
        assert!(drain.must_cancel(at(30_000)));
        assert!(!drain.must_cancel(at(30_001)), "said once");
        assert_eq!(drain.next_step(), at(38_500));
        assert!(!drain.is_over(at(38_499)) && drain.is_over(at(38_500)));
    }
}
