//! Numbers of lanes, remembered: a lane is never changed, and only removed with its namespace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use sqlx::{PgConnection, PgPool};

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
        pool: &PgPool,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
    ) -> Result<LaneId, StoreError> {
        if let Some(id) = self.known(&(namespace.clone(), task_queue.clone(), kind.clone())) {
            return Ok(id);
        }
        self.id(&mut *pool.acquire().await?, namespace, task_queue, kind).await
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
        let names = [namespace.as_str(), task_queue.as_str(), kind.as_str()];
        let id = match find(connection, names).await? {
            Some(id) => id,
            None => make(connection, names).await.map_err(|error| match &error {
                sqlx::Error::Database(inner) if inner.constraint() == Some("lane_namespace_fkey") => {
                    StoreError::UnknownNamespace(namespace.clone())
                }
                _ => error.into(),
            })?,
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, LaneId(id));
        Ok(LaneId(id))
    }

    /// Forgets them all, since some are no more.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, key: &Key) -> Option<LaneId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }
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
