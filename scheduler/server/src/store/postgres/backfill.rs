//! Backfills.

mod plan;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::backfill::BackfillState;
use punctual_scheduler_domain::id::{BackfillId, JobId};
use punctual_scheduler_domain::run::RunState;
use sqlx::{PgExecutor, Postgres, Transaction};
use uuid::Uuid;

use super::{PostgresStore, cancel, namespaces, requests, rows};
use crate::store::{
    Backfill, BackfillPlanned, BackfillSelection, BackfillStore, NewBackfill, RequestId, StoreError,
};

type Tx = Transaction<'static, Postgres>;

#[async_trait]
impl BackfillStore for PostgresStore {
    async fn create_backfill(
        &self,
        new: NewBackfill,
        request: Option<RequestId>,
    ) -> Result<Option<Backfill>, StoreError> {
        let Some(id) = create(self, &new, request.as_ref()).await? else { return Ok(None) };
        read(&self.pool, id).await
    }

    async fn get_backfill(&self, backfill: BackfillId) -> Result<Option<Backfill>, StoreError> {
        read(&self.pool, backfill).await
    }

    async fn list_backfills(&self, selection: &BackfillSelection) -> Result<Vec<Backfill>, StoreError> {
        list(self, selection).await
    }

    async fn cancel_backfill(
        &self,
        backfill: BackfillId,
        reason: &str,
    ) -> Result<Option<Backfill>, StoreError> {
        cancel_one(self, backfill, reason).await?;
        read(&self.pool, backfill).await
    }

    async fn plan_backfill(&self) -> Result<Option<BackfillPlanned>, StoreError> {
        plan::plan_one(self).await
    }
}

async fn create(
    store: &PostgresStore,
    new: &NewBackfill,
    request: Option<&RequestId>,
) -> Result<Option<BackfillId>, StoreError> {
    let mut tx = store.pool.begin().await?;
    let now = store.time(&mut *tx).await?;
    if let Some(earlier) = requests::earlier(&mut tx, request, "create_backfill", now).await? {
        return Ok(Some(BackfillId(earlier)));
    }
    let made = sqlx::query_file!(
        "src/store/postgres/insert_backfill.sql",
        new.id.0,
        new.job.0,
        i32::try_from(new.version).unwrap_or(i32::MAX),
        new.from,
        new.until,
        new.overlap.as_str(),
        i64::try_from(new.instants).unwrap_or(i64::MAX),
        new.author,
        now
    )
    .execute(&mut *tx)
    .await?;
    if made.rows_affected() == 0 {
        tx.rollback().await?;
        return Ok(None);
    }
    requests::remember(&mut tx, request, &new.id.0).await?;
    tx.commit().await?;
    Ok(Some(new.id))
}

/// A row of `backfills.sql`.
struct BackfillRow {
    id: Uuid,
    namespace: String,
    job: String,
    job_version: i32,
    from_at: DateTime<Utc>,
    until_at: DateTime<Utc>,
    overlap: String,
    state: String,
    state_reason: String,
    instants: i64,
    created_at: DateTime<Utc>,
    live: i64,
    ended: serde_json::Value,
}

impl BackfillRow {
    fn into_backfill(self) -> Result<Backfill, StoreError> {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let counted: BTreeMap<String, u64> = rows::definition("progress of a backfill", self.ended)?;
        let ended = counted.into_iter().map(|(state, runs)| Ok((rows::parsed("run state", &state)?, runs)));
        let ended = ended.collect::<Result<BTreeMap<RunState, u64>, StoreError>>()?;
        let state: BackfillState = rows::parsed("state of a backfill", &self.state)?;
        let live = count(self.live);
        Ok(Backfill {
            id: BackfillId(self.id),
            namespace: rows::parsed("namespace", &self.namespace)?,
            job: self.job,
            job_version: rows::count(self.job_version),
            from: self.from_at,
            until: self.until_at,
            overlap: rows::parsed("overlap policy", &self.overlap)?,
            state: state.with_live(live),
            state_reason: self.state_reason,
            instants: count(self.instants),
            planned: live + ended.values().sum::<u64>(),
            live,
            ended,
            created_at: self.created_at,
        })
    }
}

async fn read(executor: impl PgExecutor<'_>, id: BackfillId) -> Result<Option<Backfill>, StoreError> {
    let found = sqlx::query_file_as!(
        BackfillRow,
        "src/store/postgres/backfills.sql",
        Some(id.0),
        None::<String>,
        None::<String>,
        None::<Uuid>,
        1_i64
    );
    found.fetch_optional(executor).await?.map(BackfillRow::into_backfill).transpose()
}

async fn list(store: &PostgresStore, selection: &BackfillSelection) -> Result<Vec<Backfill>, StoreError> {
    let found = sqlx::query_file_as!(
        BackfillRow,
        "src/store/postgres/backfills.sql",
        None::<Uuid>,
        Some(selection.namespace.to_string()),
        selection.job.as_ref().map(ToString::to_string),
        selection.before.map(|before| before.0),
        i64::from(selection.limit)
    )
    .fetch_all(&store.pool)
    .await?;
    if found.is_empty() {
        namespaces::require(store, &selection.namespace).await?;
    }
    found.into_iter().map(BackfillRow::into_backfill).collect()
}

async fn cancel_one(store: &PostgresStore, id: BackfillId, reason: &str) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    // Whoever plans it has this row; what is written down by then is seen by the next statement.
    let stopped = sqlx::query_file!("src/store/postgres/stop_backfill.sql", id.0, reason, store.now())
        .execute(&mut *tx)
        .await?;
    if stopped.rows_affected() > 0 {
        let waiting = sqlx::query_scalar!(
            "select id from punctual.run_live where backfill = $1 and state <> 'running' order by id",
            id.0
        )
        .fetch_all(&mut *tx)
        .await?;
        cancel::cancel(store, &mut tx, &waiting, reason).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Stops the backfills of a job that is deleted. The caller holds the job, and cancels its runs.
pub(super) async fn cancel_of_job(
    tx: &mut Tx,
    job: JobId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update punctual.backfill set state = 'cancelled', state_reason = $2, next_due_at = null, updated_at = $3
         where job_id = $1 and state = 'planning'",
        job.0,
        reason,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
