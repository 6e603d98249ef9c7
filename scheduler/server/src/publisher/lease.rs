//! Keeping the lease: which shards are this replica's, and until when.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use punctual_scheduler_domain::id::Shard;
use punctual_service::health::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::store::{EndedReplica, Ownership, SCHEDULER_LEASE};

/// Well within the lease, so that two renewals may fail.
const RENEW_EVERY: Duration = Duration::from_millis(300);
/// Doorbells taken over from a silent replica in one transaction.
const ADOPT_BATCH: u32 = 1000;

/// The shards this replica owns. Cheap to clone.
#[derive(Clone, Default)]
pub struct Owned {
    current: Arc<ArcSwap<Term>>,
}

#[derive(Default)]
struct Term {
    shards: Vec<Shard>,
    /// Counted from before the renewal was sent, so that it ends here before it ends in the database.
    until: Option<Instant>,
    replicas: u32,
}

impl Owned {
    /// The shards, or none when the lease has run out.
    pub fn shards(&self) -> Vec<Shard> {
        let term = self.current.load();
        if term.until.is_some_and(|until| Instant::now() < until) { term.shards.clone() } else { Vec::new() }
    }

    /// How many replicas are alive, as of the last renewal.
    pub fn replicas(&self) -> u32 {
        self.current.load().replicas.max(1)
    }

    fn set(&self, shards: Vec<Shard>, replicas: u32, sent: Instant) {
        self.current.store(Arc::new(Term { shards, replicas, until: Some(sent + SCHEDULER_LEASE) }));
    }
}

/// Renews until `stopped`, then gives the lease up. Keeps the condition `shards` of `health`.
pub(super) async fn keep(shared: Shared, health: Health, stopped: CancellationToken) {
    let mut ticks = tokio::time::interval(RENEW_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
        let sent = Instant::now();
        match shared.store.renew_lease(&shared.replica).await {
            Ok(Ownership { shards, replicas, ended }) => {
                metrics::gauge!("punctual_shards_owned").set(shards.len() as f64);
                shared.owned.set(shards, replicas, sent);
                health.set_ready("shards", true, "");
                for replica in ended {
                    adopt(&shared, &replica).await;
                }
            }
            Err(error) => {
                health.set_ready(
                    "shards",
                    !shared.owned.shards().is_empty(),
                    "the lease could not be renewed",
                );
                tracing::warn!(error = &error as &dyn std::error::Error, "could not renew the lease");
            }
        }
    }
    if let Err(error) = shared.store.release_lease(shared.replica.id).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "could not give the lease up; it runs out by itself"
        );
    }
}

/// Publishes again what a silent replica queued last. What is missed here is found by the reaper, later.
async fn adopt(shared: &Shared, ended: &EndedReplica) {
    tracing::warn!(replica = %ended.id, "a scheduler fell silent: taking over");
    loop {
        match shared.store.adopt_dispatches(shared.replica.id, ended, ADOPT_BATCH).await {
            Ok(adopted) => {
                let all = adopted.len() < ADOPT_BATCH as usize;
                if !adopted.is_empty() {
                    metrics::counter!("punctual_doorbells_adopted_total").increment(adopted.len() as u64);
                    // Not the bounded way: the lease must be renewed whatever the nodes do.
                    let _ = shared.created.send(adopted);
                }
                if all {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not take over a silent scheduler's doorbells"
                );
                return;
            }
        }
    }
}
