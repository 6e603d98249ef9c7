//! Task queues that are paused and go on.

use std::collections::HashMap;

use punctual_scheduler_domain::id::Shard;
use punctual_scheduler_domain::name::{Namespace, TaskQueuePath};

use super::{PostgresStore, admit, namespaces, rows, unblock, workers};
use crate::store::{StoreError, TaskQueue, TaskQueueChange};

/// Blocked runs that a resume lets go itself; the sweep does the rest.
const BATCH: u32 = 1_000;

pub(super) async fn change(
    store: &PostgresStore,
    path: &TaskQueuePath,
    change: &TaskQueueChange,
) -> Result<TaskQueue, StoreError> {
    let mut tx = store.pool.begin().await?;
    let (namespace, name) = (path.namespace.as_str(), path.task_queue.as_str());
    match change {
        TaskQueueChange::Pause { reason } => {
            sqlx::query_file!(
                "src/store/postgres/pause_task_queue.sql",
                namespace,
                name,
                reason,
                store.now()
            )
            .execute(&mut *tx)
            .await
            .map_err(|error| match &error {
                sqlx::Error::Database(inner) if inner.constraint() == Some("task_queue_namespace_fkey") => {
                    StoreError::UnknownNamespace(path.namespace.clone())
                }
                _ => error.into(),
            })?;
        }
        TaskQueueChange::Resume => {
            namespaces::require(store, &path.namespace).await?;
            sqlx::query!(
                "update punctual.task_queue set paused_at = null, pause_reason = '' where namespace = $1 and name = $2",
                namespace,
                name
            )
            .execute(&mut *tx)
            .await?;
            unblock::resumed(&mut tx, BATCH).await?;
        }
    }
    tx.commit().await?;
    let all = list(store, &path.namespace).await?;
    let found = all.into_iter().find(|queue| queue.path == *path);
    Ok(found.unwrap_or_else(|| TaskQueue::idle(path.clone())))
}

pub(super) async fn list(store: &PostgresStore, namespace: &Namespace) -> Result<Vec<TaskQueue>, StoreError> {
    let found = sqlx::query_file!("src/store/postgres/task_queues.sql", namespace.as_str())
        .fetch_all(&store.pool)
        .await?;
    if found.is_empty() {
        namespaces::require(store, namespace).await?;
    }
    let all: Vec<_> = Shard::all().collect();
    let queued = admit::queued_counts(store, &all).await?;
    let fleets = workers::fleets(store).await?.into_iter();
    let places: HashMap<_, _> = fleets
        .map(|fleet| {
            let path = TaskQueuePath { namespace: fleet.namespace, task_queue: fleet.task_queue };
            (path, fleet.places)
        })
        .collect();
    found
        .into_iter()
        .map(|row| {
            let path = TaskQueuePath {
                namespace: namespace.clone(),
                task_queue: rows::parsed("task queue", &row.name)?,
            };
            Ok(TaskQueue {
                paused_at: row.paused_at,
                pause_reason: row.pause_reason,
                queued: queued.get(&path).copied().unwrap_or(0),
                places: places.get(&path).copied().unwrap_or(0),
                path,
            })
        })
        .collect()
}
