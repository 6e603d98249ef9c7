//! Numbers of lanes, remembered for good: a lane is never changed or removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use punctual_scheduler_domain::priority::Priority;
use sqlx::{PgConnection, PgPool};

use crate::store::{LaneId, StoreError};

/// What a lane is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) namespace: Namespace,
    pub(super) task_queue: TaskQueue,
    pub(super) kind: Kind,
    pub(super) priority: Priority,
}

#[derive(Default)]
pub(super) struct Lanes {
    known: Mutex<HashMap<LaneKey, LaneId>>,
}

impl Lanes {
    /// The lane's number; made when it is new, in a transaction of its own, since its number is remembered. One that
    /// is known costs no connection.
    pub(super) async fn find_or_make(&self, pool: &PgPool, lane: LaneKey) -> Result<LaneId, StoreError> {
        if let Some(id) = self.known(&lane) {
            return Ok(id);
        }
        self.id(&mut *pool.acquire().await?, lane).await
    }

    /// The same on a connection that is at hand. Within a transaction, only for a lane that is there already: its
    /// number is remembered, whatever becomes of the transaction.
    pub(super) async fn id(
        &self,
        connection: &mut PgConnection,
        lane: LaneKey,
    ) -> Result<LaneId, StoreError> {
        if let Some(id) = self.known(&lane) {
            return Ok(id);
        }
        let id = match find(connection, &lane).await? {
            Some(id) => id,
            None => make(connection, &lane).await.map_err(|error| match &error {
                sqlx::Error::Database(inner) if inner.constraint() == Some("lane_namespace_fkey") => {
                    StoreError::UnknownNamespace(lane.namespace.clone())
                }
                _ => error.into(),
            })?,
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(lane, LaneId(id));
        Ok(LaneId(id))
    }

    fn known(&self, lane: &LaneKey) -> Option<LaneId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(lane).copied()
    }
}

async fn find(connection: &mut PgConnection, lane: &LaneKey) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_file_scalar!(
        "src/store/postgres/lane.sql",
        lane.namespace.as_str(),
        lane.task_queue.as_str(),
        lane.kind.as_str(),
        i16::from(lane.priority.get())
    )
    .fetch_optional(connection)
    .await
}

/// Two that meet make it once. Reading it first, above, is what keeps every other look-up free of locks.
async fn make(connection: &mut PgConnection, lane: &LaneKey) -> Result<i32, sqlx::Error> {
    sqlx::query_file!(
        "src/store/postgres/insert_lane.sql",
        lane.namespace.as_str(),
        lane.task_queue.as_str(),
        lane.kind.as_str(),
        i16::from(lane.priority.get())
    )
    .execute(&mut *connection)
    .await?;
    find(connection, lane).await?.ok_or(sqlx::Error::RowNotFound)
}
