//! What is kept as long as a run's history, beside the history itself: its own definition, and its place among the
//! dead letters.

use super::PostgresStore;
use crate::store::StoreError;

/// Rows removed by one statement; the rest is left to the next look.
const BATCH: i64 = 10_000;

/// Removes what belongs to runs that are neither live nor in the history any more. Only what is old enough is looked at.
pub(super) async fn forget(store: &PostgresStore) -> Result<(), StoreError> {
    sqlx::query_file!("src/store/postgres/forget_specs.sql", store.now(), BATCH).execute(&store.pool).await?;
    sqlx::query_file!("src/store/postgres/forget_dead_letters.sql", store.now(), BATCH)
        .execute(&store.pool)
        .await?;
    sqlx::query_file!("src/store/postgres/forget_backfills.sql", store.now()).execute(&store.pool).await?;
    Ok(())
}
