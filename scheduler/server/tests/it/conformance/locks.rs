//! Two transactions that meet, made to.

use sqlx::PgPool;

/// Returns when somebody waits for a lock in this database.
pub(crate) async fn awaited(pool: &PgPool) {
    let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(pool).await.unwrap() {
        tokio::task::yield_now().await;
    }
}
