//! Partitions of the ledger and the history: made ahead of their day, dropped when their retention has passed.

use super::{PostgresStore, kept, requests};
use crate::store::StoreError;

/// Days made ahead, from yesterday on.
const AHEAD_DAYS: i32 = 9;
/// The ledger outlives the catch-up window by far; behind it the cursor is the guard.
const LEDGER_DAYS: i32 = 8;

/// How many days the history of each retention class is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionDays {
    /// Of class `short`.
    pub short: u16,
    /// Of class `default`.
    pub default: u16,
    /// Of class `long`.
    pub long: u16,
}

impl RetentionDays {
    /// When nothing else is asked for.
    pub const USUAL: Self = Self { short: 3, default: 30, long: 365 };
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self::USUAL
    }
}

pub(super) async fn maintain(store: &PostgresStore) -> Result<(), StoreError> {
    sqlx::query!(
        "select punctual.ensure_partitions((coalesce($1, statement_timestamp()) at time zone 'UTC')::date - 1, $2)",
        store.now(),
        AHEAD_DAYS
    )
    .fetch_one(&store.pool)
    .await?;
    // Answers to changes of jobs, and which sessions ended, are kept a day; a run's idempotency key as long as its history.
    sqlx::query!(
        "delete from punctual.job_request where created_at < coalesce($1, statement_timestamp()) - interval '24 hours'",
        store.now()
    )
    .execute(&store.pool)
    .await?;
    sqlx::query!(
        "delete from punctual.ended_session where ended_at < coalesce($1, statement_timestamp()) - interval '24 hours'",
        store.now()
    )
    .execute(&store.pool)
    .await?;
    sqlx::query!(
        "delete from punctual.run_request k
         where k.created_at < coalesce($1, statement_timestamp()) - $2 * interval '1 day'
           and not exists (select from punctual.run_live r where r.id = k.run_id)",
        store.now(),
        f64::from(store.retention.default)
    )
    .execute(&store.pool)
    .await?;
    requests::forget(store).await?;
    kept::forget(store).await?;
    // Last: where somebody reads history for long it drops what it can and leaves the rest to the next time.
    sqlx::query!(
        "select punctual.drop_partitions((coalesce($1, statement_timestamp()) at time zone 'UTC')::date, $2, $3, $4, $5)",
        store.now(),
        LEDGER_DAYS,
        i32::from(store.retention.short),
        i32::from(store.retention.default),
        i32::from(store.retention.long)
    )
    .fetch_one(&store.pool)
    .await?;
    Ok(())
}
