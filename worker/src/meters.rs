//! What a worker counts.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// A session was opened.
pub(crate) fn session_opened() {
    counter!("punctual_worker_sessions_total").increment(1);
}

/// A session was lost: cut off from every scheduler for a whole lease, or ended by one.
pub(crate) fn session_lost() {
    counter!("punctual_worker_sessions_lost_total").increment(1);
}

/// A message was disposed of; `fate` says how.
pub(crate) fn doorbell(fate: &'static str) {
    counter!("punctual_worker_doorbells_total", "fate" => fate).increment(1);
}

/// An attempt began, this long after its message had been received.
pub(crate) fn started(after: Duration) {
    histogram!("punctual_worker_start_seconds").record(after.as_secs_f64());
}

/// An attempt ended; `outcome` as the run's history has it.
pub(crate) fn ended(outcome: &'static str) {
    counter!("punctual_worker_attempts_total", "outcome" => outcome).increment(1);
}

/// How many places there are, and how many of them are free.
pub(crate) fn places(total: u32, free: u32) {
    gauge!("punctual_worker_places").set(f64::from(total));
    gauge!("punctual_worker_places_free").set(f64::from(free));
}
