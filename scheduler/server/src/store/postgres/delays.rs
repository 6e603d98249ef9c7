//! Fixed delays: the end of a run puts the next instant of its job.
//!
//! Ends are written down by whoever ends a run and taken into account here, by the planner, under the cursor's lock: who
//! ends a run holds the run's lock, and a cursor is locked before runs.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::JobState;
use sqlx::{Postgres, Transaction};

use super::PostgresStore;
use super::rows::JobRow;
use crate::store::StoreError;

type Tx = Transaction<'static, Postgres>;

/// Puts the next instants of the jobs whose last runs have ended.
pub(super) async fn take_run_ends(store: &PostgresStore) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    let ends = sqlx::query_file!("src/store/postgres/claim_run_ends.sql").fetch_all(&mut *tx).await?;
    for end in &ends {
        delay_from(store, &mut tx, JobId(end.job_id), end.ended_at).await?;
    }
    if ends.is_empty() {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    Ok(())
}

/// The instant that was put and is not planned yet.
pub(super) async fn delayed_at(tx: &mut Tx, job: JobId) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!("select delayed_at from punctual.job_cursor where job_id = $1", job.0)
        .fetch_one(&mut **tx)
        .await?)
}

/// Whether a run of the job's schedule is not final: its end is still to come.
pub(super) async fn has_unfinished(tx: &mut Tx, job: JobId) -> Result<bool, StoreError> {
    Ok(sqlx::query_file_scalar!("src/store/postgres/unfinished_runs.sql", job.0).fetch_one(&mut **tx).await?)
}

/// What the end of a run means for its job, whose cursor is locked.
async fn delay_from(
    store: &PostgresStore,
    tx: &mut Tx,
    id: JobId,
    ended_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let job = sqlx::query_file_as!(JobRow, "src/store/postgres/job_by_id.sql", id.0)
        .fetch_one(&mut **tx)
        .await?
        .into_job()?;
    let version = (id, i32::try_from(job.version).unwrap_or(i32::MAX));
    let definitions = store.definitions.get(&mut **tx, [version]).await?;
    let schedule = definitions.get(&version).and_then(|definition| definition.schedule.as_ref().ok());
    let Some(schedule) = schedule.filter(|schedule| schedule.is_delay()) else { return Ok(()) };
    // The end of another run is still to come, which counts then.
    if job.state != JobState::Active || has_unfinished(tx, id).await? {
        return Ok(());
    }
    let pending = delayed_at(tx, id).await?;
    match schedule.delayed_from(ended_at).max(pending) {
        Some(instant) => {
            sqlx::query_file!("src/store/postgres/delay_cursor.sql", id.0, instant)
                .execute(&mut **tx)
                .await?;
        }
        None => {
            let now = store.time(&mut **tx).await?;
            let (jobs, states, reasons) = (vec![id.0], vec!["exhausted".to_owned()], vec![String::new()]);
            sqlx::query_file!(
                "src/store/postgres/stop_jobs.sql",
                &jobs,
                &states,
                &reasons,
                now,
                JobEventKind::SCHEDULER
            )
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(())
}
