//! Follows runs: what has changed since it was last sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::Stream;
use punctual_proto::v1;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::run::RunState;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert::run_to_proto;
use super::error::ApiError;
use crate::store::{Run, RunFilter, Store, StoreError};

/// How often the store is asked. What a person follows need not be faster, and it bounds what watching costs.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// What a watcher has been told, as far as it may have to be told again.
#[derive(Debug, Default)]
struct Told {
    runs: HashMap<RunId, (RunState, u32)>,
}

impl Told {
    /// Those of `runs` whose state or attempt is news. A run may be among them twice, live and ended. One that is not
    /// among them is forgotten: it was final, and will not be seen again.
    fn news(&mut self, runs: Vec<Run>) -> Vec<Run> {
        let mut seen = HashMap::with_capacity(runs.len());
        let mut news = Vec::new();
        for run in runs {
            let now = (run.state, run.attempts);
            let known = seen.get(&run.id).or_else(|| self.runs.get(&run.id)).copied();
            if let Some(last) = known.filter(|(state, _)| state.is_final()) {
                // Final is final: whatever else was read about it is older.
                seen.insert(run.id, last);
                continue;
            }
            seen.insert(run.id, now);
            if known != Some(now) {
                news.push(run);
            }
        }
        self.runs = seen;
        news
    }
}

/// One caller's watch. Asks the store only as fast as the caller takes what it is told.
pub(super) struct Watch {
    pub(super) store: Arc<dyn Store>,
    pub(super) filter: RunFilter,
    /// Ends the watch when this replica stops.
    pub(super) shutdown: CancellationToken,
    /// Its place among the replica's watches.
    pub(super) place: OwnedSemaphorePermit,
}

struct Following {
    watch: Watch,
    ticks: tokio::time::Interval,
    since: Option<DateTime<Utc>>,
    told: Told,
    unsent: VecDeque<Run>,
    ended: bool,
}

impl Watch {
    /// The runs as they are, then every change. The stream ends after the end of a run watched alone, and with an
    /// error when the store fails or the replica stops.
    pub(super) fn stream(self) -> impl Stream<Item = Result<v1::Run, Status>> + Send + 'static {
        let mut ticks = tokio::time::interval_at(Instant::now(), POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let following = Following {
            watch: self,
            ticks,
            since: None,
            told: Told::default(),
            unsent: VecDeque::new(),
            ended: false,
        };
        futures::stream::unfold(following, |mut following| async move {
            let next = following.next().await?;
            following.ended |= next.is_err();
            Some((next.map(|run| run_to_proto(run, Vec::new())).map_err(Status::from), following))
        })
    }
}

impl Following {
    async fn next(&mut self) -> Option<Result<Run, ApiError>> {
        loop {
            if let Some(run) = self.unsent.pop_front() {
                self.ended |= self.watch.filter.run == Some(run.id) && run.state.is_final();
                return Some(Ok(run));
            }
            if self.ended {
                return None;
            }
            let shutdown = self.watch.shutdown.clone();
            match shutdown.run_until_cancelled(self.poll()).await {
                None => return Some(Err(ApiError::Stopping)),
                Some(Err(error)) => return Some(Err(error.into())),
                Some(Ok(())) => {}
            }
        }
    }

    async fn poll(&mut self) -> Result<(), StoreError> {
        self.ticks.tick().await;
        let first = self.since.is_none();
        let changes = self.watch.store.changed_runs(&self.watch.filter, self.since).await?;
        self.since = Some(changes.next_since);
        let mut runs = changes.runs;
        // A run watched alone is told of once even if it ended long ago.
        if let (true, true, Some(id)) = (first, runs.is_empty(), self.watch.filter.run)
            && let Some((run, _attempts)) = self.watch.store.get_run(id).await?
        {
            runs.push(run);
        }
        self.unsent.extend(self.told.news(runs));
        Ok(())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("filter", &self.filter)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
