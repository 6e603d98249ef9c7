//! The reaper: takes back what fell silent. Every replica reaps everything; locks are skipped, guards decide.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::nodes::Nodes;
use crate::publisher::Owned;
use crate::store::{Reaped, Store, StoreError};
use crate::wake::Wake;

/// Between two looks; what a lost worker, node or deadline is late by at most on our side.
const EVERY: Duration = Duration::from_millis(250);
/// Between two looks for blocked runs that nothing stands in the way of any more. The end of what did lets them go itself;
/// this is for ends that could not.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// Jobs, and keys, of one sweep.
const SWEEP: u32 = 200;
/// Rows of one transaction.
const BATCH: u32 = 500;
/// Runs taken back from lost nodes in one transaction.
const LOST_BATCH: u32 = 1000;

/// Reaps until told to stop.
pub struct Reaper {
    store: Arc<dyn Store>,
    nodes: Nodes,
    owned: Owned,
    wake: Wake,
}

impl Reaper {
    /// A reaper that knows which nodes this replica cannot reach, and which shards are its own.
    pub fn new(store: Arc<dyn Store>, nodes: Nodes, owned: Owned, wake: Wake) -> Self {
        Self { store, nodes, owned, wake }
    }

    /// Runs until `shutdown`; a transaction under way is finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::join!(self.reap(&shutdown), self.sweep(&shutdown));
    }

    async fn sweep(&self, shutdown: &CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(SWEEP_EVERY)).await.is_some() {
            if found("unblocked", u32::MAX, self.store.unblock(SWEEP).await) != Found::Nothing {
                self.wake.publisher();
            }
        }
    }

    async fn reap(&self, shutdown: &CancellationToken) {
        let mut pause = EVERY;
        while shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            // In turn and each by itself: neither what fails nor what has much to do keeps the others from their work.
            let unreachable = self.nodes.unreachable();
            let shards = self.owned.shards();
            let lost = self.store.requeue_lost(&unreachable, &shards, LOST_BATCH);
            let found = [
                found("session_lost", BATCH, self.store.reap_sessions(BATCH).await),
                found("deadline", BATCH, self.store.reap_runs(BATCH).await),
                found("job_deleted", BATCH, self.store.clear_deleted(BATCH).await),
                found("node_lost", LOST_BATCH, lost.await),
            ];
            if found.iter().any(|found| *found != Found::Nothing) {
                self.wake.publisher();
            }
            pause = if found.contains(&Found::More) { Duration::ZERO } else { EVERY };
        }
    }
}

/// What one look brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Some,
    /// As much as one transaction takes, so there may be more.
    More,
}

/// Says what was reaped, or why not.
fn found(why: &'static str, batch: u32, reaped: Result<Reaped, StoreError>) -> Found {
    match reaped {
        Ok(reaped) => {
            if reaped.sessions > 0 {
                tracing::warn!(sessions = reaped.sessions, runs = reaped.runs, "workers fell silent");
            }
            count(why, &reaped);
            match reaped.runs {
                0 => Found::Nothing,
                runs if runs < batch => Found::Some,
                _ => Found::More,
            }
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, why, "reaping failed, will be repeated");
            Found::Nothing
        }
    }
}

fn count(why: &'static str, reaped: &Reaped) {
    if reaped.runs > 0 {
        metrics::counter!("punctual_runs_reaped_total", "why" => why).increment(u64::from(reaped.runs));
    }
}
