//! The store in memory: what the ledger is meant to be, without a database.
//!
//! It decides with the same functions of the domain as the real store and answers the same; one conformance suite
//! drives both. Each call holds one lock from its beginning to its end, so calls happen one after the other, as
//! transactions seem to. Its time stands still until [`ModelStore::set_now`] moves it.

mod admit;
mod after;
mod audit;
mod backfill;
mod backlog;
mod calendars;
mod cancel;
mod create;
mod delays;
mod due;
mod finish;
mod give_back;
mod jobs;
mod lease;
mod live;
mod nodes;
mod plan;
mod read;
mod reap;
mod requests;
mod run_of_job;
mod standings;
mod start;
mod state;
mod task_queues;
mod unblock;
mod workers;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::calendar::{CalendarSpec, Calendars};
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{Job, JobSpec};
use punctual_scheduler_domain::name::{CalendarName, JobName, Namespace, TaskQueuePath};
use punctual_scheduler_domain::retention::Retention;

use super::{
    AdmitRequest, Admitted, Attempt, Backlog, Beat, BeatAnswer, CreatedRun, Dispatch, DueLane, EndedReplica,
    FinishAnswer, Fleet, InstantRun, JobChange, JobRecord, JobVersion, NamedCalendar, NamespaceRecord,
    NewJob, NewRun, NewSession, NodeId, NodeIdentity, Ownership, PlanOutcome, Reaped, RecordSelection,
    RecordedEvent, Redispatch, Registered, Release, Replica, Report, RequestId, Revision, Run, RunChanges,
    RunFilter, RunSelection, Start, StartAnswer, Store, StoreError, TaskQueue, TaskQueueChange,
};
use state::State;

/// The ledger in memory. Never fails for want of a database.
#[derive(Debug)]
pub struct ModelStore {
    state: Mutex<State>,
}

impl ModelStore {
    /// An empty ledger with the namespace `default`, at this time.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { state: Mutex::new(State::new(now)) }
    }

    /// Makes it `now` for every call that follows.
    pub fn set_now(&self, now: DateTime<Utc>) {
        self.lock().now = now;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn database_time(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(self.lock().now)
    }

    async fn create_job(&self, job: NewJob, request: Option<RequestId>) -> Result<JobId, StoreError> {
        jobs::create(&mut self.lock(), job, request.as_ref())
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
        jobs::change(&mut self.lock(), namespace, name, change, revision, request.as_ref(), by)
    }

    async fn get_job(&self, namespace: &Namespace, name: &JobName) -> Result<Option<Job>, StoreError> {
        Ok(self.lock().job_named(namespace, name).cloned())
    }

    async fn list_jobs(
        &self,
        namespace: &Namespace,
        after: Option<&JobName>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let state = self.lock();
        state.require(namespace)?;
        Ok(jobs::list(&state, namespace, after, limit))
    }

    async fn job_versions(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<u32>,
        limit: u32,
    ) -> Result<Vec<JobVersion>, StoreError> {
        audit::versions(&self.lock(), namespace, name, before, limit)
    }

    async fn job_events(
        &self,
        namespace: &Namespace,
        name: &JobName,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        audit::events(&self.lock(), namespace, name, before, limit)
    }

    async fn job_records(&self, selection: &RecordSelection) -> Result<Vec<JobRecord>, StoreError> {
        Ok(audit::records(&self.lock(), selection))
    }

    async fn job_specs(
        &self,
        versions: &[(JobId, u32)],
    ) -> Result<HashMap<(JobId, u32), JobSpec>, StoreError> {
        Ok(audit::specs(&self.lock(), versions))
    }

    async fn runs_of_instant(
        &self,
        job: JobId,
        due_at: DateTime<Utc>,
    ) -> Result<Vec<InstantRun>, StoreError> {
        Ok(audit::runs_of_instant(&self.lock(), job, due_at))
    }

    async fn create_namespace(&self, namespace: &Namespace, retention: Retention) -> Result<(), StoreError> {
        calendars::create_namespace(&mut self.lock(), namespace, retention)
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceRecord>, StoreError> {
        Ok(self.lock().namespaces.values().cloned().collect())
    }

    async fn delete_namespace(&self, namespace: &Namespace) -> Result<(), StoreError> {
        calendars::delete_namespace(&mut self.lock(), namespace)
    }

    async fn put_calendar(
        &self,
        namespace: &Namespace,
        name: &CalendarName,
        spec: &CalendarSpec,
    ) -> Result<(), StoreError> {
        calendars::put(&mut self.lock(), namespace, name, spec)
    }

    async fn list_calendars(
        &self,
        namespace: &Namespace,
        name: Option<&CalendarName>,
    ) -> Result<Vec<NamedCalendar>, StoreError> {
        calendars::list(&self.lock(), namespace, name)
    }

    async fn calendars(
        &self,
        namespace: &Namespace,
        _names: &[CalendarName],
    ) -> Result<Calendars, StoreError> {
        Ok(calendars::all(&self.lock(), namespace))
    }

    async fn delete_calendar(&self, namespace: &Namespace, name: &CalendarName) -> Result<bool, StoreError> {
        calendars::delete(&mut self.lock(), namespace, name)
    }

    async fn create_runs(
        &self,
        publisher: ReplicaId,
        runs: Vec<NewRun>,
    ) -> Result<Vec<Result<CreatedRun, StoreError>>, StoreError> {
        Ok(create::create_runs(&mut self.lock(), publisher, runs))
    }

    async fn get_run(&self, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        Ok(read::get_run(&self.lock(), run))
    }

    async fn list_runs(&self, selection: &RunSelection) -> Result<Vec<Run>, StoreError> {
        let state = self.lock();
        state.require(&selection.filter.namespace)?;
        Ok(read::list_runs(&state, selection))
    }

    async fn changed_runs(
        &self,
        filter: &RunFilter,
        since: Option<DateTime<Utc>>,
    ) -> Result<RunChanges, StoreError> {
        let state = self.lock();
        state.require(&filter.namespace)?;
        Ok(read::changed_runs(&state, filter, since))
    }

    async fn cancel_run(&self, run: RunId, reason: &str) -> Result<Option<Run>, StoreError> {
        cancel::cancel_run(&mut self.lock(), run, reason)
    }

    async fn plan_due_jobs(&self, look_ahead: Duration, limit: u32) -> Result<PlanOutcome, StoreError> {
        Ok(plan::plan_due_jobs(&mut self.lock(), look_ahead, limit))
    }

    async fn maintain_partitions(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn renew_lease(&self, replica: &Replica) -> Result<Ownership, StoreError> {
        Ok(lease::renew(&mut self.lock(), replica))
    }

    async fn release_lease(&self, replica: ReplicaId) -> Result<(), StoreError> {
        lease::release(&mut self.lock(), replica);
        Ok(())
    }

    async fn adopt_dispatches(
        &self,
        replica: ReplicaId,
        ended: &EndedReplica,
        limit: u32,
    ) -> Result<Vec<Dispatch>, StoreError> {
        Ok(admit::adopt(&mut self.lock(), replica, ended, limit))
    }

    async fn due_lanes(&self, shards: &[Shard]) -> Result<Vec<DueLane>, StoreError> {
        Ok(due::lanes(&self.lock(), shards))
    }

    async fn admit_due_runs(&self, request: &AdmitRequest) -> Result<Admitted, StoreError> {
        Ok(admit::admit_due_runs(&mut self.lock(), request))
    }

    async fn redispatch(
        &self,
        publisher: ReplicaId,
        runs: &[Redispatch],
    ) -> Result<Vec<Dispatch>, StoreError> {
        Ok(admit::redispatch(&mut self.lock(), publisher, runs))
    }

    async fn give_back(&self, untaken: &[Dispatch]) -> Result<u32, StoreError> {
        Ok(give_back::dispatches(&mut self.lock(), untaken))
    }

    async fn fleets(&self) -> Result<Vec<Fleet>, StoreError> {
        Ok(workers::fleets(&self.lock()))
    }

    async fn queued_counts(&self) -> Result<HashMap<TaskQueuePath, u32>, StoreError> {
        let all: Vec<_> = Shard::all().collect();
        Ok(due::queued_counts(&self.lock(), &all))
    }

    async fn nodes_seen(&self, seen: &[NodeIdentity]) -> Result<Vec<NodeId>, StoreError> {
        Ok(nodes::seen(&mut self.lock(), seen))
    }

    async fn silent_nodes_with_queued_runs(&self) -> Result<Vec<(NodeId, NodeIdentity)>, StoreError> {
        Ok(nodes::silent_with_queued_runs(&self.lock()))
    }

    async fn node_lost(&self, node: NodeId) -> Result<bool, StoreError> {
        Ok(nodes::lost(&mut self.lock(), node))
    }

    async fn register_worker(&self, session: NewSession) -> Result<Registered, StoreError> {
        Ok(workers::register(&mut self.lock(), session))
    }

    async fn unregister_worker(&self, session: SessionId) -> Result<(), StoreError> {
        workers::unregister(&mut self.lock(), session);
        Ok(())
    }

    async fn start_attempts(
        &self,
        session: SessionId,
        starts: &[Start],
    ) -> Result<Vec<StartAnswer>, StoreError> {
        Ok(start::start_attempts(&mut self.lock(), session, starts))
    }

    async fn heartbeat(&self, beat: &Beat) -> Result<Option<BeatAnswer>, StoreError> {
        Ok(workers::heartbeat(&mut self.lock(), beat))
    }

    async fn finish_attempts(&self, reports: &[Report]) -> Result<Vec<FinishAnswer>, StoreError> {
        let mut state = self.lock();
        Ok(reports.iter().map(|report| finish::finish_attempt(&mut state, report)).collect())
    }

    async fn release_attempt(&self, release: &Release) -> Result<FinishAnswer, StoreError> {
        Ok(finish::release_attempt(&mut self.lock(), release))
    }

    async fn reap_sessions(&self, limit: u32) -> Result<Reaped, StoreError> {
        Ok(reap::sessions(&mut self.lock(), limit))
    }

    async fn reap_runs(&self, limit: u32) -> Result<Reaped, StoreError> {
        Ok(reap::runs(&mut self.lock(), limit))
    }

    async fn clear_deleted(&self, _limit: u32) -> Result<Reaped, StoreError> {
        // A delete is one call, whatever it finds.
        Ok(Reaped::default())
    }

    async fn unblock(&self, _limit: u32) -> Result<Reaped, StoreError> {
        Ok(unblock::sweep(&mut self.lock()))
    }

    async fn change_task_queue(
        &self,
        task_queue: &TaskQueuePath,
        change: &TaskQueueChange,
    ) -> Result<TaskQueue, StoreError> {
        task_queues::change(&mut self.lock(), task_queue, change)
    }

    async fn list_task_queues(&self, namespace: &Namespace) -> Result<Vec<TaskQueue>, StoreError> {
        task_queues::list(&self.lock(), namespace)
    }

    async fn requeue_lost(
        &self,
        unreachable: &[NodeId],
        shards: &[Shard],
        limit: u32,
    ) -> Result<Reaped, StoreError> {
        Ok(reap::requeue_lost(&mut self.lock(), unreachable, shards, limit))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(backlog::read(&self.lock()))
    }
}
