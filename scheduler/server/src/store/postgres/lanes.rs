//! Numbers of lanes, remembered: a lane is never changed, and only removed with its namespace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use sqlx::PgConnection;

use super::pool::Pool;
use crate::store::{LaneId, StoreError};

type Key = (Namespace, TaskQueue, Kind);

#[derive(Default)]
pub(super) struct Lanes {
    known: Mutex<HashMap<Key, LaneId>>,
}

impl Lanes {
    /// The lane's number; made when it is new, in a transaction of its own, since its number is remembered. One that
    /// is known costs no connection.
    pub(super) async fn find_or_make(
        &self,
        pool: &Pool,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
    ) -> Result<LaneId, StoreError> {
        let key = (namespace.clone(), task_queue.clone(), kind.clone());
        if let Some(id) = self.known(&key) {
            return Ok(id);
        }
        let mut tx = pool.begin().await?;
        let id = find_or_make(&mut tx, &key).await?;
        tx.commit().await?;
        Ok(self.remember(key, id))
    }

    /// The same on a connection that is at hand. Within a transaction, only for a lane that is there already: its
    /// number is remembered, whatever becomes of the transaction.
    pub(super) async fn id(
        &self,
        connection: &mut PgConnection,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
    ) -> Result<LaneId, StoreError> {
        let key = (namespace.clone(), task_queue.clone(), kind.clone());
        if let Some(id) = self.known(&key) {
            return Ok(id);
        }
        let id = find_or_make(connection, &key).await?;
        Ok(self.remember(key, id))
    }

    fn remember(&self, key: Key, id: LaneId) -> LaneId {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        id
    }

    /// Forgets them all, since some are no more.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets them where a statement failed for a lane that is no more: its namespace was deleted, and whatever was made
    /// anew under its name has another number.
    pub(super) fn heed(&self, error: &StoreError) {
        if let StoreError::Database(sqlx::Error::Database(error)) = error
            && error.constraint() == Some("run_live_lane_fkey")
        {
            self.forget();
        }
    }

    fn known(&self, key: &Key) -> Option<LaneId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }
}

async fn find_or_make(connection: &mut PgConnection, key: &Key) -> Result<LaneId, StoreError> {
    let (namespace, task_queue, kind) = key;
    let names = [namespace.as_str(), task_queue.as_str(), kind.as_str()];
    if let Some(id) = find(connection, names).await? {
        return Ok(LaneId(id));
    }
    let made = make(connection, names).await.map_err(|error| match &error {
        sqlx::Error::Database(inner) if inner.constraint() == Some("lane_namespace_fkey") => {
            StoreError::UnknownNamespace(namespace.clone())
        }
        _ => error.into(),
    });
    Ok(LaneId(made?))
}

async fn find(
    connection: &mut PgConnection,
    [namespace, task_queue, kind]: [&str; 3],
) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_file_scalar!("src/store/postgres/lane.sql", namespace, task_queue, kind)
        .fetch_optional(connection)
        .await
}

/// Two that meet make it once. Reading it first, above, is what keeps every other look-up free of locks.
async fn make(connection: &mut PgConnection, names: [&str; 3]) -> Result<i32, sqlx::Error> {
    let [namespace, task_queue, kind] = names;
    sqlx::query_file!("src/store/postgres/insert_lane.sql", namespace, task_queue, kind)
        .execute(&mut *connection)
        .await?;
    find(connection, names).await?.ok_or(sqlx::Error::RowNotFound)
}
