//! How far planning and workers are behind.

use std::time::Duration;

use punctual_scheduler_domain::name::TaskQueuePath;

use super::{PostgresStore, rows};
use crate::store::{Backlog, StoreError};

pub(super) async fn read(store: &PostgresStore) -> Result<Backlog, StoreError> {
    let now = store.now();
    let lag =
        sqlx::query_file_scalar!("src/store/postgres/schedule_lag.sql", now).fetch_one(&store.pool).await?;
    let most = i64::from(Backlog::MOST_PER_LANE);
    let lanes =
        sqlx::query_file!("src/store/postgres/waiting_counts.sql", now, most).fetch_all(&store.pool).await?;
    let mut backlog = Backlog {
        schedule_lag: Duration::from_millis(lag.and_then(|lag| u64::try_from(lag).ok()).unwrap_or(0)),
        ..Backlog::default()
    };
    for lane in lanes {
        let path = TaskQueuePath {
            namespace: rows::parsed("namespace", &lane.namespace)?,
            task_queue: rows::parsed("task queue", &lane.task_queue)?,
        };
        *backlog.waiting.entry(path).or_default() += u64::try_from(lane.waiting).unwrap_or(0);
    }
    Ok(backlog)
}
