//! Doorbells that no node took.

use std::collections::HashMap;

use punctual_scheduler_domain::run::RunState;
use uuid::Uuid;

use super::PostgresStore;
use super::conclude::{Rescheduled, reschedule};
use super::live::{LiveRun, lock_runs};
use crate::store::{Dispatch, StoreError};

pub(super) async fn dispatches(store: &PostgresStore, untaken: &[Dispatch]) -> Result<u32, StoreError> {
    let ids: Vec<Uuid> = untaken.iter().map(|dispatch| dispatch.run.0).collect();
    let mut tx = store.pool.begin().await?;
    let runs = lock_runs(store, &mut tx, &ids).await?;
    let Some(now) = runs.first().map(|run| run.now) else {
        tx.rollback().await?;
        return Ok(0);
    };
    // Under another dispatch it is somebody else's to publish.
    let seqs: HashMap<_, _> = untaken.iter().map(|dispatch| (dispatch.run, dispatch.dispatch_seq)).collect();
    let stands = |run: &&LiveRun| {
        run.state == RunState::Queued && seqs.get(&run.id).is_some_and(|seq| *seq == run.dispatch_seq)
    };
    let back: Vec<_> = runs.iter().filter(stands).map(Rescheduled::requeue).collect();
    let moved = reschedule(&mut tx, &back, now).await?;
    tx.commit().await?;
    Ok(moved)
}
