//! Letting blocked runs go: by the end of what stood in their way, and by a sweep for what an end has missed.

use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;
use uuid::Uuid;

use super::PostgresStore;
use crate::store::{Reaped, StoreError};

/// What ends have given back.
#[derive(Debug, Default)]
pub(super) struct Freed {
    /// Jobs that have one unfinished run less.
    pub(super) jobs: Vec<Uuid>,
    /// Keys that have a place more, or a shorter line.
    pub(super) keys: Vec<String>,
}

/// Where the sweep goes on. So many jobs and keys with blocked runs cost several sweeps, not a long one.
#[derive(Debug, Default)]
pub(super) struct Sweep(Mutex<Turn>);

#[derive(Debug, Default, Clone)]
struct Turn {
    job: Uuid,
    key: String,
}

/// Lets go who can go now, in the transaction of the ends. Answers how many that are.
pub(super) async fn after_ends(
    store: &PostgresStore,
    connection: &mut PgConnection,
    freed: &Freed,
) -> Result<u32, StoreError> {
    let mut let_go = 0;
    if !freed.jobs.is_empty() {
        let unblocked = sqlx::query_file!("src/store/postgres/unblock_jobs.sql", &freed.jobs, store.now());
        let_go += unblocked.execute(&mut *connection).await?.rows_affected();
    }
    if !freed.keys.is_empty() {
        let unblocked = sqlx::query_file!("src/store/postgres/unblock_keys.sql", &freed.keys, store.now());
        let_go += unblocked.execute(&mut *connection).await?.rows_affected();
    }
    Ok(u32::try_from(let_go).unwrap_or(u32::MAX))
}

/// Lets go the blocked runs of task queues that are not paused, at most `limit`.
pub(super) async fn resumed(connection: &mut PgConnection, limit: u32) -> Result<u32, StoreError> {
    let unblocked = sqlx::query_file!("src/store/postgres/unblock_resumed.sql", i64::from(limit));
    let let_go = unblocked.execute(connection).await?.rows_affected();
    Ok(u32::try_from(let_go).unwrap_or(u32::MAX))
}

/// What an end in other hands, a finish in the user's own transaction or a race of two ends has left behind.
pub(super) async fn sweep(store: &PostgresStore, limit: u32) -> Result<Reaped, StoreError> {
    let turn = store.sweep.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let most = i64::from(limit);
    let jobs = sqlx::query_file_scalar!("src/store/postgres/blocked_jobs.sql", turn.job, most)
        .fetch_all(&store.pool)
        .await?;
    let keys = sqlx::query_file_scalar!("src/store/postgres/blocked_keys.sql", turn.key, most)
        .fetch_all(&store.pool)
        .await?;
    let complete = |found: usize| found < usize::try_from(limit).unwrap_or(usize::MAX);
    let next = Turn {
        job: jobs.last().copied().filter(|_| !complete(jobs.len())).unwrap_or_default(),
        key: keys.last().cloned().filter(|_| !complete(keys.len())).unwrap_or_default(),
    };
    *store.sweep.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    let mut tx = store.pool.begin().await?;
    let mut runs = after_ends(store, &mut tx, &Freed { jobs, keys }).await?;
    runs += resumed(&mut tx, limit).await?;
    tx.commit().await?;
    Ok(Reaped { sessions: 0, runs })
}
