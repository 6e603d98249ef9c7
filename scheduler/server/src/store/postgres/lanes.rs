//! Numbers of lanes, remembered for good: a lane is never changed or removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use sqlx::PgExecutor;

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
        executor: impl PgExecutor<'_>,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
    ) -> Result<LaneId, StoreError> {
        let key = (namespace.clone(), task_queue.clone(), kind.clone());
        if let Some(id) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let id = sqlx::query_file_scalar!(
            "src/store/postgres/lane.sql",
            namespace.as_ref(),
            task_queue.as_ref(),
            kind.as_ref()
        )
        .fetch_one(executor)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(inner) if inner.constraint() == Some("lane_namespace_fkey") => {
                StoreError::UnknownNamespace(namespace.clone())
            }
            _ => error.into(),
        })?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, LaneId(id));
        Ok(LaneId(id))
    }
}
