//! Cancelling: at once what has not started, through its worker what has.

use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::conclude::{Conclusion, conclude};
use super::live::lock_runs;
use super::{PostgresStore, interval, read};
use crate::store::{CANCEL_MARGIN, Run, StoreError};

type Tx = Transaction<'static, Postgres>;

/// Runs that one transaction cancels at most beside the rest of its work: some tens of milliseconds of locks.
const BATCH: i64 = 1000;

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

/// Cancels runs of a job that have not started, a batch in each transaction, until less than a batch is left for the
/// transaction that deletes the job: that one is short then, however many there were.
pub(super) async fn cancel_backlog(
    store: &PostgresStore,
    job: JobId,
    reason: &str,
) -> Result<(), StoreError> {
    loop {
        let mut tx = store.pool.begin().await?;
        let runs = unstarted(store, &mut tx, job, Some(BATCH)).await?;
        if runs.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            tx.rollback().await?;
            return Ok(());
        }
        cancel(store, &mut tx, &runs, reason).await?;
        tx.commit().await?;
    }
}

/// Cancels every run of a job that has not started. The caller holds the job's cursor and has removed what was only
/// planned ahead.
pub(super) async fn cancel_unstarted(
    store: &PostgresStore,
    tx: &mut Tx,
    job: JobId,
    reason: &str,
) -> Result<(), StoreError> {
    let runs = unstarted(store, tx, job, None).await?;
    cancel(store, tx, &runs, reason).await
}

async fn unstarted(
    store: &PostgresStore,
    tx: &mut Tx,
    job: JobId,
    limit: Option<i64>,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_file_scalar!("src/store/postgres/unstarted_runs.sql", job.0, store.now(), limit)
        .fetch_all(&mut **tx)
        .await?)
}

/// Cancels those of the runs that have not started meanwhile.
async fn cancel(store: &PostgresStore, tx: &mut Tx, runs: &[Uuid], reason: &str) -> Result<(), StoreError> {
    let runs = lock_runs(store, tx, runs).await?;
    let Some(now) = runs.first().map(|run| run.now) else { return Ok(()) };
    let ends: Vec<_> = runs
        .iter()
        .filter(|run| run.state != RunState::Running)
        .map(|run| Conclusion::of(run, RunState::Cancelled, reason))
        .collect();
    conclude(tx, &ends, now).await?;
    Ok(())
}
