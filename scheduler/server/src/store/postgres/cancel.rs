//! Cancelling: at once what has not started, through its worker what has.

use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::conclude::{Conclusion, conclude};
use super::live::{LiveRun, lock_runs};
use super::{PostgresStore, interval, read};
use crate::store::{CANCEL_MARGIN, Run, StoreError};

type Tx = Transaction<'static, Postgres>;

/// Why the runs of a deleted job are cancelled.
pub(super) const DELETED: &str = "job deleted";
/// Runs that one transaction cancels at most: some tens of milliseconds of locks, also of the job's row, which
/// everybody waits for who triggers it.
pub(super) const BATCH: u32 = 1000;

pub(super) async fn cancel_run(
    store: &PostgresStore,
    run: RunId,
    reason: &str,
) -> Result<Option<Run>, StoreError> {
    let mut tx = store.pool.begin().await?;
    if let Some(live) = lock_runs(store, &mut tx, &[run.0]).await?.pop() {
        match live.facts().on(RunEvent::CancelRequested) {
            Transition::To(state) => {
                conclude(store, &mut tx, &[Conclusion::of(&live, state, reason)]).await?;
            }
            Transition::CancelPending => request(&mut tx, &live, reason).await?,
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

/// Asks for the end of a run that has started. The caller holds it.
pub(super) async fn request(tx: &mut Tx, run: &LiveRun, reason: &str) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/store/postgres/request_cancel.sql",
        run.id.0,
        reason,
        run.now,
        interval(CANCEL_MARGIN)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Cancels what a job that is being deleted has waiting: all of it, or, where that is much, a first batch, which leaves
/// the rest to be cleared after the deletion. The caller holds the job and has removed what was only planned ahead.
pub(super) async fn begin_clearing(store: &PostgresStore, tx: &mut Tx, job: JobId) -> Result<(), StoreError> {
    if cancel_batch(store, tx, job.0, BATCH).await? == BATCH {
        leave_clearing(tx, job).await?;
    }
    Ok(())
}

/// Leaves all of it to be cancelled after the deletion. The end of another job's run waits for the delete of one that
/// runs after it, with its own runs locked: the delete must not wait for runs in turn.
pub(super) async fn leave_clearing(tx: &mut Tx, job: JobId) -> Result<(), StoreError> {
    sqlx::query!("update punctual.job set clearing = true where id = $1", job.0).execute(&mut **tx).await?;
    Ok(())
}

/// Cancels what a deleted job has left waiting, a batch in each transaction. Nothing adds to it any more.
pub(super) async fn clear_deleted_job(store: &PostgresStore, job: JobId) -> Result<(), StoreError> {
    loop {
        let mut tx = store.pool.begin().await?;
        let clearing =
            sqlx::query!("select from punctual.job where id = $1 and clearing for no key update", job.0);
        if clearing.fetch_optional(&mut *tx).await?.is_none() {
            tx.rollback().await?;
            return Ok(());
        }
        clear(store, &mut tx, job.0, BATCH).await?;
        tx.commit().await?;
    }
}

/// Goes on where a delete was cut off: a batch of one job. Answers how many runs that were.
pub(super) async fn clear_any(store: &PostgresStore, limit: u32) -> Result<u32, StoreError> {
    let mut tx = store.pool.begin().await?;
    let clearing = sqlx::query_scalar!(
        "select id from punctual.job where clearing limit 1 for no key update skip locked"
    );
    let Some(job) = clearing.fetch_optional(&mut *tx).await? else {
        tx.rollback().await?;
        return Ok(0);
    };
    let cleared = clear(store, &mut tx, job, limit).await?;
    tx.commit().await?;
    Ok(cleared)
}

/// Cancels a batch; with the last one, the job is cleared.
async fn clear(store: &PostgresStore, tx: &mut Tx, job: Uuid, limit: u32) -> Result<u32, StoreError> {
    let found = cancel_batch(store, tx, job, limit).await?;
    if found < limit {
        sqlx::query!("update punctual.job set clearing = false where id = $1", job)
            .execute(&mut **tx)
            .await?;
    }
    Ok(found)
}

/// Cancels runs of a job that have not started, at most `limit`. Answers how many it found.
async fn cancel_batch(store: &PostgresStore, tx: &mut Tx, job: Uuid, limit: u32) -> Result<u32, StoreError> {
    let found = sqlx::query_file_scalar!("src/store/postgres/unstarted_runs.sql", job, i64::from(limit))
        .fetch_all(&mut **tx)
        .await?;
    cancel(store, tx, &found, DELETED).await?;
    Ok(u32::try_from(found.len()).unwrap_or(u32::MAX))
}

/// Cancels those of the runs that have not started meanwhile.
pub(super) async fn cancel(
    store: &PostgresStore,
    tx: &mut Tx,
    runs: &[Uuid],
    reason: &str,
) -> Result<(), StoreError> {
    let runs = lock_runs(store, tx, runs).await?;
    let ends: Vec<_> = runs
        .iter()
        .filter(|run| run.state != RunState::Running)
        .map(|run| Conclusion::of(run, RunState::Cancelled, reason))
        .collect();
    conclude(store, tx, &ends).await?;
    Ok(())
}
