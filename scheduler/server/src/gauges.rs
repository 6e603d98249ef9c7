//! Shows what waits as metrics.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::store::{Backlog, Store};

/// Between two looks. Autoscalers ask about every 30 s; a look costs two statements.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps `punctual_schedule_lag_seconds` and `punctual_task_queue_backlog` until `shutdown`. Every replica shows the
/// same: take the maximum over them, not the sum.
pub(crate) async fn keep(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        match shutdown.run_until_cancelled(store.backlog()).await {
            None => return,
            Some(Ok(backlog)) => show(&backlog),
            // The database's condition is looked after, and spoken of, elsewhere.
            Some(Err(error)) => tracing::debug!(%error, "could not read the backlog"),
        }
    }
}

fn show(backlog: &Backlog) {
    metrics::gauge!("punctual_schedule_lag_seconds").set(backlog.schedule_lag.as_secs_f64());
    for (path, runs) in &backlog.waiting {
        let (namespace, task_queue) = (path.namespace.to_string(), path.task_queue.to_string());
        metrics::gauge!("punctual_task_queue_backlog", "namespace" => namespace, "task_queue" => task_queue)
            .set(*runs as f64);
    }
}
