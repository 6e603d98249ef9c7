//! Planning a backfill: its next instants become runs and its cursor moves, in one transaction.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::backfill::{Chunk, MOST_LIVE, REFILL_AT, next_chunk};
use punctual_scheduler_domain::id::{BackfillId, JobId, RunId, Shard};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::super::definitions::Definition;
use super::super::{PostgresStore, calendars, count, jobs, millis};
use crate::store::{BackfillPlanned, LaneId, StoreError};

type Tx = Transaction<'static, Postgres>;

/// A backfill under lock.
struct Claimed {
    id: BackfillId,
    job: JobId,
    version: i32,
    cursor: DateTime<Utc>,
    until: DateTime<Utc>,
    overlap: String,
    now: DateTime<Utc>,
}

pub(super) async fn plan_one(store: &PostgresStore) -> Result<Option<BackfillPlanned>, StoreError> {
    let mut tx = store.pool.begin().await?;
    let Some(claimed) = claim(store, &mut tx).await? else {
        tx.rollback().await?;
        return Ok(None);
    };
    // On a snapshot taken after the lock: nobody adds to it any more.
    let live = sqlx::query_scalar!(
        r#"select count(*) as "live!" from punctual.run_live where backfill = $1"#,
        claimed.id.0
    )
    .fetch_one(&mut *tx)
    .await?;
    let live = usize::try_from(live).unwrap_or(MOST_LIVE);
    let key = (claimed.job, claimed.version);
    let definitions = store.definitions.get(&mut *tx, [key]).await?;
    let chunk = match definitions.get(&key) {
        Some(definition) => {
            let calendars = calendars::named_by(store, &mut tx, [&**definition]).await?;
            let calendars = calendars.get(&definition.namespace).unwrap_or(&store.no_calendars);
            definition
                .schedule
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|schedule| next_chunk(schedule, calendars, claimed.cursor, claimed.until, live))
                .map(|chunk| (definition, chunk))
                .map_err(|error| error.to_string())
        }
        None => Err("the job's definition cannot be read".to_owned()),
    };
    let mut planned = BackfillPlanned { backfill: claimed.id, runs: 0 };
    match chunk {
        Ok((definition, Chunk { due, next })) => {
            let spec = &definition.spec;
            let lane = store.lanes.id(&mut tx, jobs::lane_key(&definition.namespace, spec)).await?;
            planned.runs = insert(&mut tx, &claimed, definition, lane, &due).await?;
            move_cursor(&mut tx, &claimed, next).await?;
        }
        Err(reason) => give_up(&mut tx, &claimed, &reason).await?,
    }
    tx.commit().await?;
    Ok(Some(planned))
}

async fn claim(store: &PostgresStore, tx: &mut Tx) -> Result<Option<Claimed>, StoreError> {
    let refill_at = i64::try_from(REFILL_AT).unwrap_or(i64::MAX);
    let found = sqlx::query_file!("src/store/postgres/claim_backfill.sql", refill_at, store.now())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(found.map(|row| Claimed {
        id: BackfillId(row.id),
        job: JobId(row.job_id),
        version: row.job_version,
        cursor: row.next_due_at,
        until: row.until_at,
        overlap: row.overlap,
        now: row.now,
    }))
}

async fn insert(
    tx: &mut Tx,
    claimed: &Claimed,
    definition: &Definition,
    lane: LaneId,
    due: &[DateTime<Utc>],
) -> Result<u32, StoreError> {
    if due.is_empty() {
        return Ok(0);
    }
    let timeouts = &definition.spec.timeouts;
    let ids: Vec<_> = due.iter().map(|_| RunId(Uuid::now_v7()).0).collect();
    let inserted = sqlx::query_file!(
        "src/store/postgres/insert_backfill_runs.sql",
        &ids,
        due,
        claimed.id.0,
        claimed.job.0,
        claimed.version,
        i16::from(Shard::of_job(claimed.job).get()),
        lane.0,
        claimed.overlap,
        // Their instants are long past: their time counts from now.
        timeouts.start_deadline(claimed.now),
        timeouts.close_deadline(claimed.now),
        millis(timeouts.start_to_close),
        millis(timeouts.cancel_grace),
        claimed.now,
        count(definition.spec.max_running),
        definition.key_path.clone(),
        definition.spec.concurrency.as_ref().map(|key| count(key.limit))
    )
    .execute(&mut **tx)
    .await?;
    Ok(u32::try_from(inserted.rows_affected()).unwrap_or(u32::MAX))
}

async fn move_cursor(tx: &mut Tx, claimed: &Claimed, next: Option<DateTime<Utc>>) -> Result<(), StoreError> {
    sqlx::query!(
        "update punctual.backfill
         set next_due_at = $2, state = case when $2::timestamptz is null then 'running' else 'planning' end, updated_at = $3
         where id = $1 and state = 'planning'",
        claimed.id.0,
        next,
        claimed.now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn give_up(tx: &mut Tx, claimed: &Claimed, reason: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update punctual.backfill set next_due_at = null, state = 'errored', state_reason = $2, updated_at = $3
         where id = $1 and state = 'planning'",
        claimed.id.0,
        reason,
        claimed.now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
