//! The planner: writes due runs down ahead of their time, for whichever jobs need it. Any replica plans any job.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::{LOOK_AHEAD, Store, StoreError};
use crate::wake::Wake;

/// Between two looks when nothing wakes it. Far below half the look-ahead, in which planning must have come round.
const EVERY: Duration = Duration::from_millis(500);
/// Jobs of one transaction.
const BATCH: u32 = 200;
/// Chunks of backfills that are planned before jobs are looked at again: some tens of milliseconds each.
const BACKFILL_CHUNKS: usize = 8;
/// Partitions are made days ahead; this only has to happen within them.
const MAINTAIN_EVERY: Duration = Duration::from_secs(3600);

/// After somebody who reads history kept us from it.
const MAINTAIN_AGAIN: Duration = Duration::from_secs(60);

/// Plans until told to stop.
pub struct Planner {
    store: Arc<dyn Store>,
    wake: Wake,
}

impl Planner {
    /// A planner on this store.
    pub fn new(store: Arc<dyn Store>, wake: Wake) -> Self {
        Self { store, wake }
    }

    /// Runs until `shutdown`; a transaction under way is finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut maintain_at: Option<tokio::time::Instant> = None;
        while !shutdown.is_cancelled() {
            if maintain_at.is_none_or(|at| at <= tokio::time::Instant::now()) {
                match self.store.maintain_partitions().await {
                    Ok(()) => maintain_at = Some(tokio::time::Instant::now() + MAINTAIN_EVERY),
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "could not look after the partitions"
                        );
                        maintain_at = Some(tokio::time::Instant::now() + MAINTAIN_AGAIN);
                    }
                }
            }
            if let Err(error) = self.plan().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "planning failed, will be repeated");
            }
            if let Err(error) = self.plan_backfills().await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "planning a backfill failed, will be repeated");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wake.planner_woken() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Plans what backfills have room for, and no more than a few chunks: what falls due goes first.
    ///
    /// # Errors
    /// The store's; what was planned before stays.
    pub async fn plan_backfills(&self) -> Result<(), StoreError> {
        for _ in 0..BACKFILL_CHUNKS {
            let Some(planned) = self.store.plan_backfill().await? else { return Ok(()) };
            metrics::counter!("punctual_backfill_runs_planned_total").increment(u64::from(planned.runs));
            self.wake.publisher();
        }
        Ok(())
    }

    /// Plans all that lies within the look-ahead now.
    ///
    /// # Errors
    /// The store's; what was planned before stays.
    pub async fn plan(&self) -> Result<(), StoreError> {
        loop {
            let planned = self.store.plan_due_jobs(LOOK_AHEAD, BATCH).await?;
            if planned.runs > 0 {
                metrics::counter!("punctual_runs_planned_total").increment(u64::from(planned.runs));
                self.wake.publisher();
            }
            if planned.missed > 0 {
                metrics::counter!("punctual_instants_missed_total").increment(planned.missed);
                tracing::warn!(instants = planned.missed, "recorded instants that nobody planned in time");
            }
            if planned.excluded > 0 {
                metrics::counter!("punctual_instants_excluded_total").increment(planned.excluded);
            }
            // A job with more instants than one transaction takes is claimed again, so only an empty look ends it.
            if planned.jobs == 0 {
                return Ok(());
            }
        }
    }
}
