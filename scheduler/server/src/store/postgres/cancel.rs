//! Cancelling: at once what has not started, through its worker what has.

use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};
use sqlx::{Postgres, Transaction};

use super::conclude::{Conclusion, conclude};
use super::live::lock_runs;
use super::{PostgresStore, interval, read};
use crate::store::{CANCEL_MARGIN, Run, StoreError};

pub(super) async fn cancel_run(
    store: &PostgresStore,
    run: RunId,
    reason: &str,
) -> Result<Option<Run>, StoreError> {
    let mut tx = store.pool.begin().await?;
    if let Some(live) = lock_runs(store, &mut tx, &[run.0]).await?.pop() {
        match live.facts().on(RunEvent::CancelRequested) {
            Transition::To(state) => {
                conclude(&mut tx, &[Conclusion::of(&live, state, reason)], live.now).await?;
            }
            Transition::CancelPending => {
                sqlx::query_file!(
                    "src/store/postgres/request_cancel.sql",
                    run.0,
                    reason,
                    live.now,
                    interval(CANCEL_MARGIN)
                )
                .execute(&mut *tx)
                .await?;
            }
            Transition::Stale => {}
        }
        tx.commit().await?;
        return Ok(read::get_run(store, run).await?.map(|(run, _)| run));
    }
    tx.rollback().await?;
    match read::get_run(store, run).await? {
        Some((found, _)) => Err(StoreError::RunIsFinal { run, state: found.state }),
        None => Ok(None),
    }
}

/// Cancels every run of a job that has not started. The caller holds the job's cursor.
pub(super) async fn cancel_unstarted(
    store: &PostgresStore,
    tx: &mut Transaction<'static, Postgres>,
    job: JobId,
    reason: &str,
) -> Result<(), StoreError> {
    let runs = sqlx::query_scalar!(
        "select id from punctual.run_live where job_id = $1 and state <> 'running' order by id",
        job.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let runs = lock_runs(store, tx, &runs).await?;
    let Some(now) = runs.first().map(|run| run.now) else { return Ok(()) };
    let ends: Vec<_> = runs
        .iter()
        .filter(|run| run.state != RunState::Running)
        .map(|run| Conclusion::of(run, RunState::Cancelled, reason))
        .collect();
    conclude(tx, &ends, now).await?;
    Ok(())
}
