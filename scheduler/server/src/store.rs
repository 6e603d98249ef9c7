//! The ledger: everything that schedulers must agree on, behind one trait.
//!
//! [`PostgresStore`] is the real one and holds all SQL of the project. [`ModelStore`] does the same in memory, for
//! simulation; one conformance suite drives both, so that they cannot drift apart.
//!
//! Rules that hold for every method: what one run or one job goes through in a call is one transaction, and where a
//! call takes several they are bounded and each leaves things in order; what it moves it guards (`and state = … and
//! attempt = …`), and finding nothing to move is an answer, not an error; due, lease and time-out decisions use the
//! database's clock; a call that failed may have happened, in whole or in part, and can be repeated. Calls that read
//! may see one part later than another.

mod audit;
mod backfill;
mod backlog;
mod calendar;
mod error;
mod job;
mod lanes;
mod lease;
mod links;
mod model;
mod node;
mod postgres;
mod run;
mod task_queue;
mod worker;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::calendar::{CalendarSpec, Calendars};
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::name::{CalendarName, JobName, Namespace, TaskQueuePath};
use punctual_scheduler_domain::retention::Retention;

pub use audit::{InstantRun, JobRecord, JobVersion, RecordSelection, RecordedEvent, RecordsOf};
pub use backfill::{Backfill, BackfillPlanned, BackfillSelection, BackfillStore, NewBackfill};
pub use backlog::Backlog;
pub use calendar::{NamedCalendar, NamespaceRecord};
pub use error::{RequestId, StoreError};
pub use job::{JobChange, NewJob, PlanOutcome, Revision};
pub use lease::{EndedReplica, Ownership, Replica};
pub use links::RunLinks;
pub use model::ModelStore;
pub use node::{NODE_SILENT_AFTER, NodeId, NodeIdentity};
pub(crate) use postgres::Address;
pub use postgres::{MIGRATOR, MigrateError, PostgresStore, RetentionDays, migrate};
pub use run::{
    AdmitRequest, Admitted, Attempt, CreatedRun, Dispatch, DueLane, LaneId, NewRun, OneOffRun, Redispatch,
    Run, RunChanges, RunFilter, RunSelection, TriggerOptions,
};
pub use task_queue::{TaskQueue, TaskQueueChange};
pub use worker::{
    Beat, BeatAnswer, FinishAnswer, Fleet, GoneReason, Grant, HeldAttempt, NewSession, Reaped, Registered,
    Release, Report, Start, StartAnswer,
};

/// How long a worker's session lives after a stored heartbeat.
pub const WORKER_LEASE: Duration = Duration::from_secs(10);
/// How often a worker sends one.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// A worker stops an attempt at its time and reports it; only when no report has come this long after is the attempt
/// taken from it. Covers the way of the grant and of the report, so that what it printed is not lost.
pub const REAP_MARGIN: Duration = Duration::from_secs(2);
/// The same for a cancel, which the worker learns of with its next heartbeat.
pub const CANCEL_MARGIN: Duration = Duration::from_secs(4);
/// How long a scheduler owns its shards after a renewal.
pub const SCHEDULER_LEASE: Duration = Duration::from_secs(1);
/// How far ahead runs are written down.
pub const LOOK_AHEAD: Duration = Duration::from_secs(10);

/// What the schedulers' parts and the API ask of the database. See the module's rules.
#[async_trait]
pub trait Store: BackfillStore {
    /// The database's clock, which alone decides what is due.
    async fn database_time(&self) -> Result<DateTime<Utc>, StoreError>;

    // Jobs --------------------------------------------------------------------------------------------------

    /// Writes a job and its first version down. A repeated `request` answers with the first call's job.
    ///
    /// # Errors
    /// [`StoreError::JobExists`], [`StoreError::UnknownNamespace`], [`StoreError::NoSuchCalendar`].
    async fn create_job(&self, job: NewJob, request: Option<RequestId>) -> Result<JobId, StoreError>;
    /// Changes a job under its cursor's lock: first plans under the old version every instant up to the database's
    /// now, then removes the runs planned ahead, then sets the cursor to the new first instant.
    ///
    /// A delete that finds thousands of runs waiting cancels the first thousand of them with the job and the others
    /// in transactions that follow; one that fails in between has deleted the job, and leaves the others to
    /// [`Store::clear_deleted`].
    ///
    /// `revision`, when given, must be the job's. A change that changes nothing makes no version. `by` is who asks for it,
    /// for the record.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`], [`StoreError::StaleRevision`], [`StoreError::NoSuchCalendar`].
    async fn change_job(
        &self,
        namespace: &Namespace,
        name: &JobName,
        change: JobChange,
        revision: Option<Revision>,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<punctual_scheduler_domain::job::Job, StoreError>;
    /// One job that is not deleted.
    async fn get_job(
        &self,
        namespace: &Namespace,
        name: &JobName,
    ) -> Result<Option<punctual_scheduler_domain::job::Job>, StoreError>;
    /// Jobs by name, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn list_jobs(
        &self,
        namespace: &Namespace,
        after: Option<&JobName>,
        limit: u32,
    ) -> Result<Vec<punctual_scheduler_domain::job::Job>, StoreError>;

    // What was done to jobs ---------------------------------------------------------------------------------

    /// The versions of a job, newest first, those before `before`; at most `limit`. Of a name that no job bears, those of
    /// the job that bore it last.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn job_versions(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<JobVersion>, StoreError>;
    /// What was done to the jobs that bear or bore a name, newest first, before the event `before`; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchJob`].
    async fn job_events(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError>;
    /// What is on record of jobs for a stretch of time.
    async fn job_records(&self, selection: &RecordSelection) -> Result<Vec<JobRecord>, StoreError>;
    /// The definitions of these versions; those that cannot be read are left out.
    async fn job_specs(
        &self,
        versions: &[(JobId, u32)],
    ) -> Result<HashMap<(JobId, u32), JobSpec>, StoreError>;
    /// The runs that a job's schedule has at an instant.
    async fn runs_of_instant(&self, job: JobId, due_at: DateTime<Utc>)
    -> Result<Vec<InstantRun>, StoreError>;

    // Namespaces and calendars ------------------------------------------------------------------------------

    /// Makes a namespace.
    ///
    /// # Errors
    /// [`StoreError::NamespaceExists`].
    async fn create_namespace(&self, namespace: &Namespace, retention: Retention) -> Result<(), StoreError>;
    /// All of them, by name.
    async fn list_namespaces(&self) -> Result<Vec<NamespaceRecord>, StoreError>;
    /// Takes an empty namespace away, with what its deleted jobs left.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`], [`StoreError::NamespaceNotEmpty`].
    async fn delete_namespace(&self, namespace: &Namespace) -> Result<(), StoreError>;
    /// Makes a calendar, or replaces what it holds. Runs that are planned already stay.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn put_calendar(
        &self,
        namespace: &Namespace,
        name: &CalendarName,
        spec: &CalendarSpec,
    ) -> Result<(), StoreError>;
    /// The calendars of a namespace by name, or the one of this name.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn list_calendars(
        &self,
        namespace: &Namespace,
        name: Option<&CalendarName>,
    ) -> Result<Vec<NamedCalendar>, StoreError>;
    /// Those of these calendars that are there, ready for use.
    async fn calendars(&self, namespace: &Namespace, names: &[CalendarName])
    -> Result<Calendars, StoreError>;
    /// Takes a calendar away that no job names. `false`: there was none.
    ///
    /// # Errors
    /// [`StoreError::CalendarInUse`].
    async fn delete_calendar(&self, namespace: &Namespace, name: &CalendarName) -> Result<bool, StoreError>;

    // Runs --------------------------------------------------------------------------------------------------

    /// Creates runs that no schedule made: triggers and one-off runs. Answers in order; a known idempotency key
    /// answers with its run. A trigger makes no run of a job whose delete was answered before. Runs that name a node and
    /// are due and free of overlap are created `queued`.
    ///
    /// # Errors
    /// As a whole only when the database fails; each answer says by itself what is wrong with its run.
    async fn create_runs(
        &self,
        publisher: ReplicaId,
        runs: Vec<NewRun>,
    ) -> Result<Vec<Result<CreatedRun, StoreError>>, StoreError>;
    /// One run with its attempts, live or ended.
    async fn get_run(&self, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError>;
    /// Runs, newest first.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn list_runs(&self, selection: &RunSelection) -> Result<Vec<Run>, StoreError>;
    /// The live runs that match, and those that ended after `since`, with the instant to ask from next time.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`], the first time.
    async fn changed_runs(
        &self,
        filter: &RunFilter,
        since: Option<DateTime<Utc>>,
    ) -> Result<RunChanges, StoreError>;
    /// Cancels a run that has not started, or asks for the end of one that has. `None`: no such run.
    ///
    /// # Errors
    /// [`StoreError::RunIsFinal`].
    async fn cancel_run(&self, run: RunId, reason: &str) -> Result<Option<Run>, StoreError>;

    // Task queues -------------------------------------------------------------------------------------------

    /// Pauses a task queue, or lets it go on. One that nobody used can be paused too.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn change_task_queue(
        &self,
        task_queue: &TaskQueuePath,
        change: &TaskQueueChange,
    ) -> Result<TaskQueue, StoreError>;
    /// All task queues of a namespace that ever had work or were paused, by name.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn list_task_queues(&self, namespace: &Namespace) -> Result<Vec<TaskQueue>, StoreError>;

    // Planner -----------------------------------------------------------------------------------------------

    /// Resumes jobs whose pause is over, and puts the next instants of fixed delays where runs have ended; then
    /// claims up to `limit` jobs whose cursor lies within the look-ahead, writes their runs down and moves their
    /// cursors on; ends early after [`PlanOutcome::MOST_RUNS`]. To be repeated until no cursor moves.
    async fn plan_due_jobs(&self, look_ahead: Duration, limit: u32) -> Result<PlanOutcome, StoreError>;
    /// Makes the partitions of the days to come and drops those whose retention has passed. Also goes on with fixed
    /// delays whose last run was ended by a scheduler that left no note of it.
    async fn maintain_partitions(&self) -> Result<(), StoreError>;

    // Publisher ---------------------------------------------------------------------------------------------

    /// Renews this replica's lease, takes its fair part of the shards nobody owns, gives up what exceeds it, and
    /// ends the leases of replicas that fell silent. A lease that had ended already is taken anew, without shards
    /// that others took meanwhile.
    async fn renew_lease(&self, replica: &Replica) -> Result<Ownership, StoreError>;
    /// Gives the lease and its shards up at once, as on a clean stop.
    async fn release_lease(&self, replica: ReplicaId) -> Result<(), StoreError>;
    /// What was queued by replicas that ended, from 3 s before their end on; this replica takes their place as
    /// its publisher. At most `limit`.
    async fn adopt_dispatches(
        &self,
        replica: ReplicaId,
        ended: &EndedReplica,
        limit: u32,
    ) -> Result<Vec<Dispatch>, StoreError>;
    /// For each lane with scheduled runs in these shards, when its first may be queued.
    async fn due_lanes(&self, shards: &[Shard]) -> Result<Vec<DueLane>, StoreError>;
    /// Admits due runs: judges overlap, keys, pauses, windows and kinds, and moves each to `queued`, `blocked` or
    /// `skipped`, or ends what has to give way to it.
    async fn admit_due_runs(&self, request: &AdmitRequest) -> Result<Admitted, StoreError>;
    /// Stores another node for runs whose publish was refused or unknown, with the next dispatch number. Runs that
    /// moved on meanwhile are left out of the answer. Repeated after its answer was lost, it answers the same numbers.
    async fn redispatch(
        &self,
        publisher: ReplicaId,
        runs: &[Redispatch],
    ) -> Result<Vec<Dispatch>, StoreError>;
    /// Schedules again, at once, runs whose doorbells no node took, each if it is still queued under that dispatch.
    /// Answers how many.
    async fn give_back(&self, untaken: &[Dispatch]) -> Result<u32, StoreError>;
    /// The places and kinds of the live workers of every task queue.
    async fn fleets(&self) -> Result<Vec<Fleet>, StoreError>;
    /// How many runs are queued in each task queue, whoever published them.
    async fn queued_counts(&self) -> Result<HashMap<TaskQueuePath, u32>, StoreError>;

    // Queue nodes -------------------------------------------------------------------------------------------

    /// Numbers for nodes that answered a probe. A node seen under a new identity at a known address makes the
    /// older ones lost; a lost one that answers again is no longer lost.
    async fn nodes_seen(&self, nodes: &[NodeIdentity]) -> Result<Vec<NodeId>, StoreError>;
    /// The nodes that runs are queued on, that are not marked lost, and that no scheduler has confirmed for
    /// [`NODE_SILENT_AFTER`].
    async fn silent_nodes_with_queued_runs(&self) -> Result<Vec<(NodeId, NodeIdentity)>, StoreError>;
    /// Marks a node lost. `false` when it was already.
    async fn node_lost(&self, node: NodeId) -> Result<bool, StoreError>;

    // Workers -----------------------------------------------------------------------------------------------

    /// Opens a session. Repeated, it changes what the session says of itself. One that has ended is not opened again.
    async fn register_worker(&self, session: NewSession) -> Result<Registered, StoreError>;
    /// Closes a session; attempts it still holds are released.
    async fn unregister_worker(&self, session: SessionId) -> Result<(), StoreError>;
    /// Grants attempts. Answers in order. Of those with large payloads it hands out [`Grant::MOST_BYTES`] at once.
    async fn start_attempts(
        &self,
        session: SessionId,
        starts: &[Start],
    ) -> Result<Vec<StartAnswer>, StoreError>;
    /// Extends a lease and compares what the session holds. `None`: the session has ended.
    async fn heartbeat(&self, beat: &Beat) -> Result<Option<BeatAnswer>, StoreError>;
    /// Stores how attempts ended. Answers in order.
    async fn finish_attempts(&self, reports: &[Report]) -> Result<Vec<FinishAnswer>, StoreError>;
    /// Takes an attempt back unfinished.
    async fn release_attempt(&self, release: &Release) -> Result<FinishAnswer, StoreError>;

    // Reaper ------------------------------------------------------------------------------------------------

    /// Ends sessions whose lease has run out, then the attempts of sessions that are no more; at most `limit` each.
    async fn reap_sessions(&self, limit: u32) -> Result<Reaped, StoreError>;
    /// Acts on live runs whose next deadline has passed: not started in time, over its time, cancel not confirmed.
    async fn reap_runs(&self, limit: u32) -> Result<Reaped, StoreError>;
    /// Cancels runs that a delete of their job was kept from cancelling, at most `limit`.
    async fn clear_deleted(&self, limit: u32) -> Result<Reaped, StoreError>;
    /// Schedules blocked runs that nothing stands in the way of any more, which whatever ended last may have left behind:
    /// those of at most `limit` jobs, as many keys, and as many of resumed task queues. Goes on from there next time.
    async fn unblock(&self, limit: u32) -> Result<Reaped, StoreError>;
    /// Schedules again the runs queued on lost nodes, and those of these shards that are queued on nodes which the
    /// caller cannot reach; at most `limit`.
    async fn requeue_lost(
        &self,
        unreachable: &[NodeId],
        shards: &[Shard],
        limit: u32,
    ) -> Result<Reaped, StoreError>;

    // Metrics -----------------------------------------------------------------------------------------------

    /// How far planning and workers are behind.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}
