//! Where messages go, how that went, and a line about it now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use tracing::info;

use crate::host_pool::{HostPool, Mode};
use crate::latency::Latencies;

/// Several destinations, named by their place in the list.
#[derive(Debug)]
pub(crate) struct Destinations {
    names: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pool: HostPool,
    all: Latencies,
    /// Of each destination, if there are several.
    each: Vec<Latencies>,
}

impl Destinations {
    /// These, of which `mode` chooses. Every so many requests are summed up in the log, for each and in all.
    pub(crate) fn new(names: Vec<String>, mode: Mode, status_every: usize) -> Self {
        let each = if names.len() > 1 { names.len() } else { 0 };
        let each = std::iter::repeat_with(|| Latencies::new(status_every)).take(each).collect();
        let pool = HostPool::new(mode, names.len());
        Self { names, state: Mutex::new(State { pool, all: Latencies::new(status_every), each }) }
    }

    /// What a destination is called.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// The destination for the next message.
    pub(crate) fn choose(&self) -> usize {
        self.lock().pool.choose(Instant::now(), || rand::rng().random_range(0.0..1.0))
    }

    /// A destination took a message in this time.
    pub(crate) fn succeeded(&self, place: usize, took: Duration) {
        let mut state = self.lock();
        state.pool.succeeded(place, took, Instant::now());
        let summary = state.each.get_mut(place).and_then(|latencies| latencies.add(took));
        drop(state);
        if let Some(summary) = summary {
            info!("[{}]: {summary}", self.name(place));
        }
    }

    /// A destination did not take a message.
    pub(crate) fn failed(&self, place: usize) {
        self.lock().pool.failed(place, Instant::now());
    }

    /// A message is where it has to go; it took this time in all.
    pub(crate) fn delivered(&self, took: Duration) {
        let summary = self.lock().all.add(took);
        if let Some(summary) = summary {
            info!("[aggregate]: {summary}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
