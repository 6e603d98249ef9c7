//! The reconciler: asks again which instants there should have been, and looks whether each is on record.
//!
//! Nothing rests on it. It is there to say so if anything else were wrong: an instant that is neither in the ledger nor
//! counted as missed has been lost. One replica, the one that owns the first shard, goes through all jobs page by page;
//! two that believe to be it do the same work twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::audit::{ReconcileInput, Reconciled, Timeline, reconcile};
use punctual_scheduler_domain::id::{JobId, Shard};
use punctual_scheduler_domain::schedule::ScheduleSet;
use tokio_util::sync::CancellationToken;

use crate::publisher::Owned;
use crate::store::{JobRecord, RecordSelection, RecordsOf, Store, StoreError};

/// From the end of one look at all jobs to the next, and before the first.
const EVERY: Duration = Duration::from_secs(600);
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// What is looked at: an hour that ended two minutes ago, so that planning had its time.
const WINDOW: TimeDelta = TimeDelta::hours(1);
const BEHIND: TimeDelta = TimeDelta::minutes(2);
/// Jobs of one page, and the rest after it, so that a million jobs are looked through and nobody notices.
const PAGE: u32 = 50;
const REST: Duration = Duration::from_millis(20);
/// Instants of one job: that of a job due each second, and no more of one with many such schedules.
const MOST_OF_JOB: usize = 4_000;
/// Differences that one look at all jobs logs.
const MOST_LOGGED: usize = 20;

/// Reconciles until told to stop.
pub struct Reconciler {
    store: Arc<dyn Store>,
    owned: Owned,
}

/// What a look at all jobs found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs looked at.
    pub jobs: u64,
    /// Instants that their versions ask for.
    pub expected: u64,
    /// Those on record.
    pub found: u64,
    /// Those that are not.
    pub absent: u64,
    /// Instants on record that nothing asks for.
    pub unexpected: u64,
}

impl Reconciler {
    /// A reconciler that works while its replica owns the first shard.
    pub fn new(store: Arc<dyn Store>, owned: Owned) -> Self {
        Self { store, owned }
    }

    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pause = FIRST_AFTER;
        while shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = EVERY;
            if !self.owned.shards().contains(&Shard::first()) {
                continue;
            }
            match shutdown.run_until_cancelled(self.look()).await {
                None => return,
                Some(Ok(totals)) => report(&totals),
                Some(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "could not reconcile");
                }
            }
        }
    }

    /// Looks at all jobs once.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self) -> Result<Totals, StoreError> {
        let until = self.store.database_time().await? - BEHIND;
        let (from, mut after, mut totals, mut logged) = (until - WINDOW, None, Totals::default(), 0);
        loop {
            let selection = RecordSelection { of: RecordsOf::AllAfter(after), from, until, limit: PAGE };
            let records = self.store.job_records(&selection).await?;
            for record in &records {
                if let Some(found) = one(&*self.store, record, from, until, MOST_OF_JOB).await? {
                    totals.add(&found);
                    log_differences(record, &found, &mut logged);
                }
            }
            match records.last() {
                Some(last) if records.len() == PAGE as usize => after = Some(last.id),
                _ => return Ok(totals),
            }
            tokio::time::sleep(REST).await;
        }
    }
}

impl Totals {
    fn add(&mut self, found: &Reconciled) {
        self.jobs += 1;
        self.expected += found.expected;
        self.found += found.found;
        self.absent += found.absent.len() as u64;
        self.unexpected += found.unexpected.len() as u64;
    }
}

/// Reconciles one job in `[from, until)`, as far as it is planned. `None` where its events do not tell all that was done
/// to it: it was changed by a release that wrote none.
///
/// # Errors
/// The store's.
pub(crate) async fn one(
    store: &dyn Store,
    record: &JobRecord,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
) -> Result<Option<Reconciled>, StoreError> {
    let is_whole = record.events.last().is_some_and(|last| last.at >= record.updated_at);
    if !is_whole {
        return Ok(None);
    }
    let until = record.next_due_at.map_or(until, |next| next.min(until));
    let timeline = Timeline::new(&record.events);
    let versions: Vec<_> =
        timeline.planned(from, until).iter().map(|span| (record.id, span.version)).collect();
    let schedules = schedules(store, record.created_at, &versions).await?;
    let input = ReconcileInput {
        timeline,
        from,
        until,
        ledger: &record.ledger.iter().copied().collect(),
        missed: &record.missed,
        limit,
    };
    Ok(Some(reconcile(&input, |version| schedules.get(&version))))
}

/// The schedules of those versions that can be evaluated, and that depend on the clock alone: not on when runs end.
async fn schedules(
    store: &dyn Store,
    created_at: DateTime<Utc>,
    versions: &[(JobId, u32)],
) -> Result<HashMap<u32, ScheduleSet>, StoreError> {
    let specs = store.job_specs(versions).await?;
    Ok(specs
        .into_iter()
        .filter_map(|((_, version), spec)| {
            Some((version, ScheduleSet::compile_for(&spec.schedule, created_at).ok()?))
        })
        .filter(|(_, schedule)| !schedule.is_delay())
        .collect())
}

fn log_differences(record: &JobRecord, found: &Reconciled, logged: &mut usize) {
    let (absent, unexpected) = (found.absent.len(), found.unexpected.len());
    if absent + unexpected == 0 || *logged == MOST_LOGGED {
        return;
    }
    *logged += 1;
    let first = found.absent.first().or(found.unexpected.first());
    tracing::error!(
        namespace = %record.namespace,
        job.name = %record.name,
        absent,
        unexpected,
        first = first.map(tracing::field::display),
        "a job's instants and what is on record of them differ: `punctual job reconcile` lists them"
    );
}

fn report(totals: &Totals) {
    for (result, instants) in [
        ("expected", totals.expected),
        ("found", totals.found),
        ("absent", totals.absent),
        ("unexpected", totals.unexpected),
    ] {
        metrics::gauge!("punctual_reconciled_instants", "result" => result).set(instants as f64);
    }
    let Totals { jobs, expected, found, .. } = totals;
    tracing::info!(jobs, "reconciled the last hour: expected {expected}, found {found}");
}
