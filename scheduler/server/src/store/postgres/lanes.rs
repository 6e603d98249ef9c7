//! Numbers of lanes, remembered: a lane is never changed, and only removed with its namespace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use punctual_scheduler_domain::priority::Priority;
use sqlx::PgConnection;

use super::pool::Pool;
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
    pub(super) async fn find_or_make(&self, pool: &Pool, lane: LaneKey) -> Result<LaneId, StoreError> {
        if let Some(id) = self.known(&lane) {
            return Ok(id);
        }
        let mut tx = pool.begin().await?;
        let id = find_or_make(&mut tx, &lane).await?;
        tx.commit().await?;
        Ok(self.remember(lane, id))
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
        let id = find_or_make(connection, &lane).await?;
        Ok(self.remember(lane, id))
    }

    fn remember(&self, lane: LaneKey, id: LaneId) -> LaneId {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(lane, id);
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

    fn known(&self, lane: &LaneKey) -> Option<LaneId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(lane).copied()
    }
}

async fn find_or_make(connection: &mut PgConnection, lane: &LaneKey) -> Result<LaneId, StoreError> {
    if let Some(id) = find(connection, lane).await? {
        return Ok(LaneId(id));
    }
    let made = make(connection, lane).await.map_err(|error| match &error {
        sqlx::Error::Database(inner) if inner.constraint() == Some("lane_namespace_fkey") => {
            StoreError::UnknownNamespace(lane.namespace.clone())
        }
        _ => error.into(),
    });
    Ok(LaneId(made?))
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
