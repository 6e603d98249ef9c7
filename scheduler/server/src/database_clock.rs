//! The database's clock, as this process can tell it without asking each time.

mod estimate;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_service::health::Health;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::estimate::{Estimate, Probe};
use crate::store::{Store, StoreError};

/// How often the database is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A probe that takes longer says more about the connection than about the time.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the database's time, late by up to a round trip and never early. Moves with the monotonic clock, so what
/// happens to the machine's time of day does not matter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseClock {
    estimate: Arc<RwLock<Estimate>>,
}

impl DatabaseClock {
    /// Asks the database once.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start(store: &dyn Store) -> Result<Self, StoreError> {
        let probe = probe(store).await?;
        Ok(Self { estimate: Arc::new(RwLock::new(Estimate::new(probe))) })
    }

    /// The database's time now. May step back by a fraction of a round trip when a better probe comes in.
    pub fn now(&self) -> DateTime<Utc> {
        self.at(Instant::now())
    }

    /// The instant on tokio's clock at which the database's will have reached `time`; now when it has already.
    pub fn instant_of(&self, time: DateTime<Utc>) -> Instant {
        let now = Instant::now();
        now + (time - self.at(now)).to_std().unwrap_or(Duration::ZERO)
    }

    fn at(&self, instant: Instant) -> DateTime<Utc> {
        // Every change is one call on the estimate, so a panic elsewhere cannot have left it half changed.
        self.estimate.read().unwrap_or_else(PoisonError::into_inner).at(instant)
    }

    /// Goes on asking until `shutdown`, and keeps the condition `database` of `health`.
    pub async fn run(self, store: Arc<dyn Store>, health: Health, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(PROBE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let asked = tokio::time::timeout(PROBE_TIMEOUT, probe(&*store));
            match shutdown.run_until_cancelled(asked).await {
                None => return,
                Some(Ok(Ok(probe))) => {
                    health.set_ready("database", true, "");
                    self.learn(probe);
                }
                Some(Ok(Err(error))) => health.set_ready("database", false, error.to_string()),
                Some(Err(_elapsed)) => {
                    health.set_ready(
                        "database",
                        false,
                        format!("the database did not answer within {PROBE_TIMEOUT:?}"),
                    );
                }
            }
        }
    }

    fn learn(&self, probe: Probe) {
        let jumped = self.estimate.write().unwrap_or_else(PoisonError::into_inner).learn(probe);
        if let Some(by) = jumped {
            tracing::warn!(
                by_ms = by.num_milliseconds(),
                "the database's clock was set, or it is another database's"
            );
        }
        metrics::gauge!("punctual_database_round_trip_seconds").set(probe.round_trip().as_secs_f64());
    }
}

async fn probe(store: &dyn Store) -> Result<Probe, StoreError> {
    let sent = Instant::now();
    let database = store.database_time().await?;
    Ok(Probe { sent, received: Instant::now(), database })
}
