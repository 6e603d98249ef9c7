//! Pauses that end by themselves.

use punctual_scheduler_domain::job::JobState;
use punctual_scheduler_domain::plan::Since;

use super::PostgresStore;
use super::jobs;
use super::rows::JobRow;
use crate::store::StoreError;
use crate::store::job::Entry;

/// Jobs resumed in one transaction.
const AT_ONCE: i64 = 200;

/// Resumes the jobs whose pause is over, as of its end: what fell due since then is planned, late as it may be.
pub(super) async fn end_those_that_are_over(store: &PostgresStore) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    let claimed = sqlx::query_file!("src/store/postgres/claim_ended_pauses.sql", store.now(), AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
    if claimed.is_empty() {
        tx.rollback().await?;
        return Ok(());
    }
    let now = store.time(&mut *tx).await?;
    for row in claimed {
        let job = sqlx::query_file_as!(JobRow, "src/store/postgres/job_by_id.sql", row.job_id)
            .fetch_one(&mut *tx)
            .await?
            .into_job()?;
        // Resumed or paused anew before the lock was held.
        let until = job.pause.as_ref().and_then(|pause| pause.until).filter(|until| *until <= now);
        if let Some(until) = until.filter(|_| job.state == JobState::Paused) {
            let over = Entry::pause_is_over(until);
            jobs::resume(&mut tx, job, Since::From(until), over, now).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
