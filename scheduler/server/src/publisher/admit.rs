//! Waiting for the next due instant, and admitting what falls due at it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::id::Shard;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::store::{AdmitRequest, DueLane, EndedReplica, StoreError};

/// Runs that may overlap are admitted this long ahead, and published at their time.
const AHEAD: Duration = Duration::from_millis(50);
/// Between two looks for runs that nobody announced: retries, and what other processes wrote.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Runs that have been due for this long go before new ones. Those that are younger are admitted within the next look, and
/// were new ones to queue up behind them, there would always be some: all of a steady load would go the long way.
const WAITING_AFTER: TimeDelta = TimeDelta::milliseconds(200);
/// After an error.
const PAUSE: Duration = Duration::from_millis(200);
/// Runs of one admission. Batches of about a hundred are where a Postgres is fastest; a few of them share a commit.
const BATCH: u32 = 500;

/// Admits until `shutdown`.
pub(super) async fn run(shared: &Shared, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let next = match look(shared).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "admission failed, will be repeated"
                );
                resend(shared).await;
                Instant::now() + PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = shared.wake.publisher_woken() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// An admission whose answer was lost may have been committed: what this replica queued last is sent again.
async fn resend(shared: &Shared) {
    let this = EndedReplica { id: shared.replica.id, expired_at: shared.clock.now() };
    if let Ok(queued) = shared.store.adopt_dispatches(shared.replica.id, &this, BATCH).await
        && !queued.is_empty()
    {
        // Fails only while stopping.
        let _ = shared.created.send(queued);
    }
}

/// Admits what is due now and answers when to look again.
async fn look(shared: &Shared) -> Result<Instant, StoreError> {
    let soon = Instant::now() + LOOK_EVERY;
    let shards = shared.owned.shards();
    if shards.is_empty() {
        return Ok(soon);
    }
    let lanes = shared.store.due_lanes(&shards).await?;
    let now = shared.clock.now();
    let (due, later): (Vec<_>, Vec<_>) =
        lanes.into_iter().partition(|lane| lane.first_run_at <= now + ahead());
    shared.rooms.set_waiting(due.iter().filter(|lane| lane.first_run_at <= now - WAITING_AFTER));
    let next = next_look(shared, now, due.iter().chain(&later)).min(soon);
    if due.is_empty() {
        return Ok(next);
    }
    let nodes = shared.nodes.usable();
    if nodes.is_empty() {
        return Ok(soon);
    }
    let more = admit(shared, shards, due, nodes).await?;
    Ok(if more { Instant::now() } else { next })
}

/// The first instant at which some lane has something to admit that it has not now.
fn next_look<'a>(shared: &Shared, now: DateTime<Utc>, lanes: impl Iterator<Item = &'a DueLane>) -> Instant {
    lanes
        .flat_map(|lane| [lane.first_run_at - ahead(), lane.first_run_at])
        .filter(|at| *at > now)
        .min()
        .map_or_else(|| Instant::now() + LOOK_EVERY, |at| shared.clock.instant_of(at))
}

fn ahead() -> TimeDelta {
    TimeDelta::from_std(AHEAD).unwrap_or_default()
}

async fn admit(
    shared: &Shared,
    shards: Vec<Shard>,
    lanes: Vec<DueLane>,
    nodes: Vec<crate::store::NodeId>,
) -> Result<bool, StoreError> {
    let request =
        AdmitRequest { publisher: shared.replica.id, shards, lanes, nodes, ahead: AHEAD, limit: BATCH };
    let admitted = shared.store.admit_due_runs(&request).await?;
    if admitted.skipped > 0 {
        metrics::counter!("punctual_runs_skipped_total").increment(u64::from(admitted.skipped));
    }
    if admitted.blocked > 0 {
        metrics::counter!("punctual_runs_blocked_total").increment(u64::from(admitted.blocked));
    }
    metrics::counter!("punctual_runs_admitted_total").increment(admitted.dispatches.len() as u64);
    if !admitted.dispatches.is_empty() {
        // Waits when the nodes are slow. The sender outlives the admitter.
        let _ = shared.admitted.send(admitted.dispatches).await;
    }
    Ok(admitted.more)
}
