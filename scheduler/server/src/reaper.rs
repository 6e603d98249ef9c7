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
            // Each by itself: what keeps one from its work must not keep the others.
            let moved = [
                self.until_done("session_lost", BATCH, || self.store.reap_sessions(BATCH)).await,
                self.until_done("deadline", BATCH, || self.store.reap_runs(BATCH)).await,
                self.requeue_lost().await,
            ];
            if moved.into_iter().any(|moved| moved > 0) {
                self.wake.publisher();
            }
        }
    }

    async fn requeue_lost(&self) -> u32 {
        let unreachable = self.nodes.unreachable();
        let shards = self.owned.shards();
        self.until_done("node_lost", LOST_BATCH, || {
            self.store.requeue_lost(&unreachable, &shards, LOST_BATCH)
        })
        .await
    }

    /// Repeats a call until it finds less than a batch. Answers how many runs it moved.
    async fn until_done<F>(&self, why: &'static str, batch: u32, reap: impl Fn() -> F) -> u32
    where
        F: Future<Output = Result<Reaped, StoreError>>,
    {
        let mut moved = 0;
        loop {
            match reap().await {
                Ok(reaped) => {
                    if reaped.sessions > 0 {
                        tracing::warn!(sessions = reaped.sessions, runs = reaped.runs, "workers fell silent");
                    }
                    count(why, &reaped);
                    moved += reaped.runs;
                    if reaped.runs < batch {
                        return moved;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        why,
                        "reaping failed, will be repeated"
                    );
                    return moved;
                }
            }
        }
    }
}

fn count(why: &'static str, reaped: &Reaped) {
    if reaped.runs > 0 {
        metrics::counter!("punctual_runs_reaped_total", "why" => why).increment(u64::from(reaped.runs));
    }
}
