//! Numbers of lanes, remembered for good: a lane is never changed or removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use sqlx::PgConnection;

use crate::store::{LaneId, StoreError};

type Key = (Namespace, TaskQueue, Kind);

#[derive(Default)]
pub(super) struct Lanes {
    known: Mutex<HashMap<Key, LaneId>>,
}

impl Lanes {
    /// The lane's number; made when it is new. A lane that may be new is asked for outside of any transaction: its
    /// number is remembered, whatever becomes of the transaction.
    pub(super) async fn id(
        &self,
        connection: &mut PgConnection,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
    ) -> Result<LaneId, StoreError> {
        let key = (namespace.clone(), task_queue.clone(), kind.clone());
        if let Some(id) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
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
