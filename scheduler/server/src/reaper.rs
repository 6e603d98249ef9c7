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
        while shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            if let Err(error) = self.reap().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "reaping failed, will be repeated");
            }
        }
    }

    /// Takes back all that is due to be taken back now.
    ///
    /// # Errors
    /// The store's; what was taken back before stays.
    pub async fn reap(&self) -> Result<(), StoreError> {
        let mut moved = 0;
        loop {
            let reaped = self.store.reap_sessions(BATCH).await?;
            count("session_lost", &reaped);
            moved += reaped.runs;
            if reaped.sessions > 0 {
                tracing::warn!(sessions = reaped.sessions, runs = reaped.runs, "workers fell silent");
            }
            if reaped.runs < BATCH {
                break;
            }
        }
        loop {
            let reaped = self.store.reap_runs(BATCH).await?;
            count("deadline", &reaped);
            moved += reaped.runs;
            if reaped.runs < BATCH {
                break;
            }
        }
        let unreachable = self.nodes.unreachable();
        loop {
            let reaped = self.store.requeue_lost(&unreachable, &self.owned.shards(), LOST_BATCH).await?;
            count("node_lost", &reaped);
            moved += reaped.runs;
            if reaped.runs < LOST_BATCH {
                break;
            }
        }
        if moved > 0 {
            self.wake.publisher();
        }
        Ok(())
    }
}

fn count(why: &'static str, reaped: &Reaped) {
    if reaped.runs > 0 {
        metrics::counter!("punctual_runs_reaped_total", "why" => why).increment(u64::from(reaped.runs));
    }
}
