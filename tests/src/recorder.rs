//! The one recorder of a history.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};
use punctual_verify::history::{Event, History, What};
use punctual_verify::time::{DbTime, Tick};
use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

/// Writes down what happens, stamped by the machine's monotonic clock, which all its processes share.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Mutex<Vec<Event>>,
    ops: AtomicU64,
}

impl Recorder {
    /// Writes down what happens now.
    pub fn record(&self, who: &str, what: What) {
        self.record_at(now(), who, what);
    }

    /// Writes down what happened at `ts`, by the same clock.
    pub fn record_at(&self, ts: Tick, who: &str, what: What) {
        let event = Event { ts, p: who.to_owned(), what };
        self.events.lock().expect("nobody panics with the lock").push(event);
    }

    /// A number for a new call.
    pub fn next_op(&self) -> u64 {
        self.ops.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads the database's clock: of several readings the quickest, which says most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read_clock(&self, database: &PgPool) -> anyhow::Result<()> {
        let mut best: Option<(i64, Tick, DbTime)> = None;
        for _ in 0..10 {
            let asked = now();
            let shown: DateTime<Utc> =
                sqlx::query_scalar("select clock_timestamp()").fetch_one(database).await?;
            let answered = now();
            let took_ns = answered.0 - asked.0;
            if best.is_none_or(|(quickest, ..)| took_ns < quickest) {
                best = Some((took_ns, answered, DbTime(shown.timestamp_micros())));
            }
        }
        if let Some((took_ns, answered, db)) = best {
            self.record_at(answered, "recorder", What::Clock { db, took_ns });
        }
        Ok(())
    }

    /// Everything so far, in order.
    pub fn history(&self) -> History {
        let mut events = self.events.lock().expect("nobody panics with the lock").clone();
        events.sort_by_key(|event| event.ts);
        History { events }
    }
}

/// The machine's monotonic clock.
pub fn now() -> Tick {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    Tick(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
