//! The store on Postgres: all SQL of the project, a file for each statement longer than a few lines, checked at build
//! time.
//!
//! No statement needs a session: no advisory session locks, no `SET`, no `LISTEN`. A job's cursor is locked before its
//! row, and both before runs. A statement that waits for the locks of many runs takes them in id order, the others skip
//! what is locked; only what was planned ahead is removed in any order, since nobody who waits holds it. What is due
//! is decided by `statement_timestamp()`, which tests may pin.

mod admit;
mod after;
mod audit;
mod backfill;
mod backlog;
mod calendars;
mod cancel;
mod conclude;
mod create;
mod definitions;
mod delays;
mod finish;
mod give_back;
mod jobs;
mod kept;
mod keys;
mod lanes;
mod lease;
mod live;
mod namespaces;
mod nodes;
mod overlap;
mod partitions;
mod pauses;
mod plan;
mod pool;
mod read;
mod reap;
mod requests;
mod rows;
mod schema;
mod start;
mod task_queues;
mod unblock;
mod verdicts;
mod workers;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::calendar::{CalendarSpec, Calendars};
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{Job, JobSpec};
use punctual_scheduler_domain::name::{CalendarName, JobName, Namespace, TaskQueuePath};
use punctual_scheduler_domain::retention::Retention;
use sqlx::PgExecutor;
use sqlx::postgres::PgPool;

use super::{
    AdmitRequest, Admitted, Attempt, Backlog, Beat, BeatAnswer, CreatedRun, Dispatch, DueLane, EndedReplica,
    FinishAnswer, Fleet, InstantRun, JobChange, JobRecord, JobVersion, NamedCalendar, NamespaceRecord,
    NewJob, NewRun, NewSession, NodeId, NodeIdentity, Ownership, PlanOutcome, Reaped, RecordSelection,
    RecordedEvent, Redispatch, Registered, Release, Replica, Report, RequestId, Revision, Run, RunChanges,
    RunFilter, RunSelection, Start, StartAnswer, Store, StoreError, TaskQueue, TaskQueueChange,
};
use calendars::KnownCalendars;
use definitions::Definitions;
use lanes::Lanes;
use pool::Pool;
use unblock::Sweep;

pub use partitions::RetentionDays;
pub(crate) use pool::Address;
pub use schema::{MIGRATOR, MigrateError, migrate};

/// The lease keeper, the admitter, the one that looks at the task queues' windows, and the database clock.
const STEADY_LOOPS: u32 = 4;

/// The ledger on a Postgres database.
pub struct PostgresStore {
    pool: Pool,
    /// For what must not wait behind calls: the lease, the clock, and admission. Each of their loops uses one
    /// connection at a time.
    steady: Pool,
    definitions: Definitions,
    calendars: KnownCalendars,
    no_calendars: Calendars,
    lanes: Lanes,
    sweep: Sweep,
    retention: RetentionDays,
    pinned_now: Mutex<Option<DateTime<Utc>>>,
}

impl PostgresStore {
    /// Uses at most `connections`, of which a quarter, up to four, is kept for what must go on whatever the others
    /// are busy with. A `url` that leads through a pooler in transaction mode says so: `pgbouncer=true`.
    ///
    /// # Errors
    /// When the URL is malformed or no connection can be made within five seconds.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, StoreError> {
        let address = Address::of(url)?;
        let steady = (connections / 4).clamp(1, STEADY_LOOPS);
        let others = connections.saturating_sub(steady);
        Ok(Self::over(address.connect(others).await?, address.connect(steady).await?))
    }

    /// On a pool that somebody else made.
    pub fn new(pool: PgPool) -> Self {
        let pool = Pool::from(pool);
        Self::over(pool.clone(), pool)
    }

    fn over(pool: Pool, steady: Pool) -> Self {
        Self {
            pool,
            steady,
            definitions: Definitions::default(),
            calendars: KnownCalendars::default(),
            no_calendars: Calendars::default(),
            retention: RetentionDays::default(),
            lanes: Lanes::default(),
            sweep: Sweep::default(),
            pinned_now: Mutex::new(None),
        }
    }

    /// The same, keeping history for these days.
    #[must_use]
    pub fn keeping(self, retention: RetentionDays) -> Self {
        Self { retention, ..self }
    }

    /// Refuses a database whose schema this release does not work with.
    ///
    /// # Errors
    /// [`StoreError::SchemaVersion`].
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        schema::check(&self.pool).await
    }

    /// Makes every statement believe that it is `now`; `None` gives the clock back to the database. For tests.
    pub fn pin_now(&self, now: Option<DateTime<Utc>>) {
        *self.pinned_now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        *self.pinned_now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The database's time at this statement.
    async fn time(&self, executor: impl PgExecutor<'_>) -> Result<DateTime<Utc>, StoreError> {
        if let Some(now) = self.now() {
            return Ok(now);
        }
        Ok(sqlx::query_scalar!(r#"select statement_timestamp() as "now!""#).fetch_one(executor).await?)
    }
}

fn interval(duration: Duration) -> sqlx::postgres::types::PgInterval {
    // Bounded by validation far below 292,000 years.
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    sqlx::postgres::types::PgInterval { months: 0, days: 0, microseconds }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn shard_numbers(shards: &[Shard]) -> Vec<i16> {
    shards.iter().map(|shard| i16::from(shard.get())).collect()
}

#[async_trait]
impl Store for PostgresStore {
    async fn database_time(&self) -> Result<DateTime<Utc>, StoreError> {
        self.time(&self.steady).await
    }

    async fn create_job(&self, job: NewJob, request: Option<RequestId>) -> Result<JobId, StoreError> {
        jobs::create(self, job, request).await
    }

    async fn change_job(
        &self,
        namespace: &Namespace,
        name: &JobName,
        change: JobChange,
        revision: Option<Revision>,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<Job, StoreError> {
        jobs::change(self, namespace, name, change, revision, request, by).await
    }

    async fn get_job(&self, namespace: &Namespace, name: &JobName) -> Result<Option<Job>, StoreError> {
        jobs::get(self, namespace, name).await
    }

    async fn list_jobs(
        &self,
        namespace: &Namespace,
        after: Option<&JobName>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        jobs::list(self, namespace, after, limit).await
    }

    async fn job_versions(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<JobVersion>, StoreError> {
        audit::versions(self, namespace, name, before, limit).await
    }

    async fn job_events(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        audit::events(self, namespace, name, before, limit).await
    }

    async fn job_records(&self, selection: &RecordSelection) -> Result<Vec<JobRecord>, StoreError> {
        audit::records(self, selection).await
    }

    async fn job_specs(
        &self,
        versions: &[(JobId, u32)],
    ) -> Result<HashMap<(JobId, u32), JobSpec>, StoreError> {
        audit::specs(self, versions).await
    }

    async fn runs_of_instant(
        &self,
        job: JobId,
        due_at: DateTime<Utc>,
    ) -> Result<Vec<InstantRun>, StoreError> {
        audit::runs_of_instant(self, job, due_at).await
    }

    async fn create_namespace(&self, namespace: &Namespace, retention: Retention) -> Result<(), StoreError> {
        let made = namespaces::create(self, namespace, retention).await?;
        if made { Ok(()) } else { Err(StoreError::NamespaceExists(namespace.clone())) }
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceRecord>, StoreError> {
        namespaces::list(self).await
    }

    async fn delete_namespace(&self, namespace: &Namespace) -> Result<(), StoreError> {
        namespaces::delete(self, namespace).await
    }

    async fn put_calendar(
        &self,
        namespace: &Namespace,
        name: &CalendarName,
        spec: &CalendarSpec,
    ) -> Result<(), StoreError> {
        calendars::put(self, namespace, name, spec).await
    }

    async fn list_calendars(
        &self,
        namespace: &Namespace,
        name: Option<&CalendarName>,
    ) -> Result<Vec<NamedCalendar>, StoreError> {
        calendars::list(self, namespace, name).await
    }

    async fn calendars(
        &self,
        namespace: &Namespace,
        names: &[CalendarName],
    ) -> Result<Calendars, StoreError> {
        calendars::get(self, namespace, names).await
    }

    async fn delete_calendar(&self, namespace: &Namespace, name: &CalendarName) -> Result<bool, StoreError> {
        calendars::delete(self, namespace, name).await
    }

    async fn create_runs(
        &self,
        publisher: ReplicaId,
        runs: Vec<NewRun>,
    ) -> Result<Vec<Result<CreatedRun, StoreError>>, StoreError> {
        create::create_runs(self, publisher, runs).await
    }

    async fn get_run(&self, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        read::get_run(self, run).await
    }

    async fn list_runs(&self, selection: &RunSelection) -> Result<Vec<Run>, StoreError> {
        read::list_runs(self, selection).await
    }

    async fn changed_runs(
        &self,
        filter: &RunFilter,
        since: Option<DateTime<Utc>>,
    ) -> Result<RunChanges, StoreError> {
        read::changed_runs(self, filter, since).await
    }

    async fn cancel_run(&self, run: RunId, reason: &str) -> Result<Option<Run>, StoreError> {
        cancel::cancel_run(self, run, reason).await
    }

    async fn plan_due_jobs(&self, look_ahead: Duration, limit: u32) -> Result<PlanOutcome, StoreError> {
        plan::plan_due_jobs(self, look_ahead, limit).await
    }

    async fn maintain_partitions(&self) -> Result<(), StoreError> {
        partitions::maintain(self).await?;
        delays::restart_stalled(self).await
    }

    async fn renew_lease(&self, replica: &Replica) -> Result<Ownership, StoreError> {
        lease::renew(self, replica).await
    }

    async fn release_lease(&self, replica: ReplicaId) -> Result<(), StoreError> {
        lease::release(self, replica).await
    }

    async fn adopt_dispatches(
        &self,
        replica: ReplicaId,
        ended: &EndedReplica,
        limit: u32,
    ) -> Result<Vec<Dispatch>, StoreError> {
        admit::adopt(self, replica, ended, limit).await
    }

    async fn due_lanes(&self, shards: &[Shard]) -> Result<Vec<DueLane>, StoreError> {
        admit::due_lanes(self, shards).await
    }

    async fn admit_due_runs(&self, request: &AdmitRequest) -> Result<Admitted, StoreError> {
        admit::admit_due_runs(self, request).await
    }

    async fn redispatch(
        &self,
        publisher: ReplicaId,
        runs: &[Redispatch],
    ) -> Result<Vec<Dispatch>, StoreError> {
        admit::redispatch(self, publisher, runs).await
    }

    async fn give_back(&self, untaken: &[Dispatch]) -> Result<u32, StoreError> {
        give_back::dispatches(self, untaken).await
    }

    async fn fleets(&self) -> Result<Vec<Fleet>, StoreError> {
        workers::fleets(self).await
    }

    async fn queued_counts(&self) -> Result<HashMap<TaskQueuePath, u32>, StoreError> {
        let all: Vec<_> = Shard::all().collect();
        admit::queued_counts(self, &all).await
    }

    async fn nodes_seen(&self, seen: &[NodeIdentity]) -> Result<Vec<NodeId>, StoreError> {
        nodes::seen(self, seen).await
    }

    async fn silent_nodes_with_queued_runs(&self) -> Result<Vec<(NodeId, NodeIdentity)>, StoreError> {
        nodes::silent_with_queued_runs(self).await
    }

    async fn node_lost(&self, node: NodeId) -> Result<bool, StoreError> {
        nodes::lost(self, node).await
    }

    async fn register_worker(&self, session: NewSession) -> Result<Registered, StoreError> {
        workers::register(self, session).await
    }

    async fn unregister_worker(&self, session: SessionId) -> Result<(), StoreError> {
        workers::unregister(self, session).await
    }

    async fn start_attempts(
        &self,
        session: SessionId,
        starts: &[Start],
    ) -> Result<Vec<StartAnswer>, StoreError> {
        start::start_attempts(self, session, starts).await
    }

    async fn heartbeat(&self, beat: &Beat) -> Result<Option<BeatAnswer>, StoreError> {
        workers::heartbeat(self, beat).await
    }

    async fn finish_attempts(&self, reports: &[Report]) -> Result<Vec<FinishAnswer>, StoreError> {
        finish::finish_attempts(self, reports).await
    }

    async fn release_attempt(&self, release: &Release) -> Result<FinishAnswer, StoreError> {
        finish::release_attempt(self, release).await
    }

    async fn reap_sessions(&self, limit: u32) -> Result<Reaped, StoreError> {
        reap::sessions(self, limit).await
    }

    async fn reap_runs(&self, limit: u32) -> Result<Reaped, StoreError> {
        reap::runs(self, limit).await
    }

    async fn clear_deleted(&self, limit: u32) -> Result<Reaped, StoreError> {
        Ok(Reaped { sessions: 0, runs: cancel::clear_any(self, limit).await? })
    }

    async fn unblock(&self, limit: u32) -> Result<Reaped, StoreError> {
        unblock::sweep(self, limit).await
    }

    async fn change_task_queue(
        &self,
        task_queue: &TaskQueuePath,
        change: &TaskQueueChange,
    ) -> Result<TaskQueue, StoreError> {
        task_queues::change(self, task_queue, change).await
    }

    async fn list_task_queues(&self, namespace: &Namespace) -> Result<Vec<TaskQueue>, StoreError> {
        task_queues::list(self, namespace).await
    }

    async fn requeue_lost(
        &self,
        unreachable: &[NodeId],
        shards: &[Shard],
        limit: u32,
    ) -> Result<Reaped, StoreError> {
        reap::requeue_lost(self, unreachable, shards, limit).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        backlog::read(self).await
    }
}
