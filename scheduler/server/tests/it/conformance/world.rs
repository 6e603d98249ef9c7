//! A store with its time in hand, and the few words that scenarios are written in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::store::{
    AdmitRequest, Admitted, Attempt, Beat, BeatAnswer, Dispatch, FinishAnswer, Grant, HeldAttempt, JobChange,
    LOOK_AHEAD, ModelStore, NewJob, NewRun, NewSession, NodeId, NodeIdentity, OneOffRun, PlanOutcome,
    PostgresStore, Registered, Report, Run, RunFilter, RunSelection, Start, StartAnswer, Store, StoreError,
    TriggerOptions,
};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{CatchUp, Job, JobSpec, Misfire, Overlap, Task};
use punctual_scheduler_domain::name::{JobName, Kind, Namespace, TaskQueue};
use punctual_scheduler_domain::retention::Retention;
use punctual_scheduler_domain::retry::{Backoff, RetryPolicy};
use punctual_scheduler_domain::run::RunState;
use punctual_scheduler_domain::schedule::ScheduleSpec;
use punctual_scheduler_domain::timeouts::Timeouts;
use sqlx::PgPool;
use uuid::Uuid;

/// The replica that publishes, where it does not matter which.
pub(crate) const REPLICA: ReplicaId = ReplicaId(Uuid::from_u128(1));

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    which: Which,
    now: Mutex<DateTime<Utc>>,
}

enum Which {
    Model(Arc<ModelStore>),
    Postgres(Arc<PostgresStore>),
}

impl World {
    /// When every scenario begins.
    pub(crate) fn beginning() -> DateTime<Utc> {
        "2031-03-03T08:00:00.25Z".parse().unwrap()
    }

    pub(crate) fn model() -> Self {
        let model = Arc::new(ModelStore::new(Self::beginning()));
        Self { store: model.clone(), which: Which::Model(model), now: Mutex::new(Self::beginning()) }
    }

    pub(crate) async fn postgres(pool: PgPool) -> Self {
        let postgres = Arc::new(PostgresStore::new(pool));
        postgres.pin_now(Some(Self::beginning()));
        postgres.maintain_partitions().await.unwrap();
        Self { store: postgres.clone(), which: Which::Postgres(postgres), now: Mutex::new(Self::beginning()) }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.set_now(self.now() + TimeDelta::from_std(by).unwrap());
    }

    pub(crate) fn set_now(&self, now: DateTime<Utc>) {
        *self.now.lock().unwrap() = now;
        match &self.which {
            Which::Model(model) => model.set_now(now),
            Which::Postgres(postgres) => postgres.pin_now(Some(now)),
        }
    }

    // Jobs

    pub(crate) async fn job(&self, name: &str, spec: JobSpec) -> JobId {
        self.store.create_job(new_job(name, spec), None).await.unwrap()
    }

    pub(crate) async fn change(&self, name: &str, change: JobChange) -> Result<Job, StoreError> {
        self.store.change_job(&Namespace::default(), &job_name(name), change, None, None, "me").await
    }

    pub(crate) async fn get_job(&self, name: &str) -> Option<Job> {
        self.store.get_job(&Namespace::default(), &job_name(name)).await.unwrap()
    }

    // Runs

    pub(crate) async fn trigger(&self, job: &str) -> RunId {
        self.trigger_with(job, TriggerOptions::default()).await
    }

    pub(crate) async fn trigger_with(&self, job: &str, options: TriggerOptions) -> RunId {
        let run = NewRun::Trigger {
            id: RunId(Uuid::now_v7()),
            namespace: Namespace::default(),
            job: job_name(job),
            payload: None,
            options,
            request: None,
        };
        self.create(run).await
    }

    pub(crate) async fn create(&self, run: NewRun) -> RunId {
        let mut answers = self.store.create_runs(REPLICA, vec![run]).await.unwrap();
        answers.pop().unwrap().unwrap().id
    }

    pub(crate) async fn get(&self, run: RunId) -> (Run, Vec<Attempt>) {
        self.store.get_run(run).await.unwrap().expect("the run is known")
    }

    pub(crate) async fn run(&self, run: RunId) -> Run {
        self.get(run).await.0
    }

    pub(crate) async fn state(&self, run: RunId) -> RunState {
        self.run(run).await.state
    }

    pub(crate) async fn all_runs(&self) -> Vec<Run> {
        self.list(None).await
    }

    async fn list(&self, job: Option<JobName>) -> Vec<Run> {
        let filter = RunFilter { namespace: Namespace::default(), job, run: None };
        let selection = RunSelection { filter, states: Vec::new(), before: None, limit: 1_000_000 };
        self.store.list_runs(&selection).await.unwrap()
    }

    /// All runs of the job, by due time.
    pub(crate) async fn runs_of(&self, job: &str) -> Vec<Run> {
        let mut runs = self.list(Some(job_name(job))).await;
        runs.sort_by_key(|run| (run.due_at, run.id));
        runs
    }

    // The parts

    /// What the planner does when it wakes.
    pub(crate) async fn plan(&self) -> PlanOutcome {
        let mut total = PlanOutcome::default();
        loop {
            let planned = self.store.plan_due_jobs(LOOK_AHEAD, 200).await.unwrap();
            if planned.jobs == 0 {
                return total;
            }
            total.jobs += planned.jobs;
            total.runs += planned.runs;
            total.missed += planned.missed;
        }
    }

    pub(crate) async fn node(&self, address: &str, identity: &str) -> NodeId {
        let node = NodeIdentity { address: address.to_owned(), identity: identity.to_owned() };
        self.store.nodes_seen(&[node]).await.unwrap()[0]
    }

    /// Admits what is due in all shards, for one node.
    pub(crate) async fn admit(&self) -> Admitted {
        let node = self.node("one:4150", "a").await;
        self.admit_to(node).await
    }

    pub(crate) async fn admit_to(&self, node: NodeId) -> Admitted {
        let shards: Vec<_> = Shard::all().collect();
        let lanes = self.store.due_lanes(&shards).await.unwrap();
        let request = AdmitRequest {
            publisher: REPLICA,
            shards,
            lanes,
            nodes: vec![node],
            ahead: Duration::ZERO,
            limit: 500,
        };
        self.store.admit_due_runs(&request).await.unwrap()
    }

    /// Admits, and expects exactly one doorbell.
    pub(crate) async fn admit_one(&self) -> Dispatch {
        let mut admitted = self.admit().await;
        assert_eq!(admitted.dispatches.len(), 1, "{admitted:?}");
        admitted.dispatches.remove(0)
    }

    pub(crate) async fn reap_runs(&self) -> u32 {
        self.store.reap_runs(500).await.unwrap().runs
    }

    // Workers

    pub(crate) async fn worker(&self, places: u32) -> SessionId {
        self.worker_for(places, &["work"]).await
    }

    pub(crate) async fn worker_for(&self, places: u32, kinds: &[&str]) -> SessionId {
        let session = SessionId(Uuid::new_v4());
        let opened = self.store.register_worker(new_session(session, places, kinds)).await.unwrap();
        assert_eq!(opened, Registered::Opened);
        session
    }

    pub(crate) async fn start(&self, session: SessionId, dispatch: &Dispatch) -> StartAnswer {
        let start = Start { run: dispatch.run, dispatch_seq: dispatch.dispatch_seq };
        self.store.start_attempts(session, &[start]).await.unwrap().remove(0)
    }

    pub(crate) async fn granted(&self, session: SessionId, dispatch: &Dispatch) -> Grant {
        match self.start(session, dispatch).await {
            StartAnswer::Granted(grant) => *grant,
            other => panic!("expected a grant, got {other:?}"),
        }
    }

    pub(crate) async fn finish(
        &self,
        session: SessionId,
        grant: &Grant,
        outcome: AttemptOutcome,
    ) -> FinishAnswer {
        let report = AttemptReport { error: error_of(outcome), ..AttemptReport::default() };
        self.report(Report { session, run: grant.run, attempt: grant.attempt, outcome, report }).await
    }

    pub(crate) async fn report(&self, report: Report) -> FinishAnswer {
        self.store.finish_attempts(&[report]).await.unwrap()[0]
    }

    /// A heartbeat that lists these attempts.
    pub(crate) async fn beat(
        &self,
        session: SessionId,
        held: &[(RunId, AttemptNumber)],
    ) -> Option<BeatAnswer> {
        let held = held.iter().map(|(run_id, attempt)| HeldAttempt {
            run_id: *run_id,
            attempt: attempt.get(),
            progress: None,
            progress_note: String::new(),
        });
        self.store.heartbeat(&Beat { session, held: held.collect(), draining: false }).await.unwrap()
    }

    /// A run of the job, queued and started by this session.
    pub(crate) async fn running(&self, job: &str, session: SessionId) -> Grant {
        self.trigger(job).await;
        let dispatch = self.admit_one().await;
        self.granted(session, &dispatch).await
    }
}

fn error_of(outcome: AttemptOutcome) -> String {
    if outcome == AttemptOutcome::Failed { "it did not work".to_owned() } else { String::new() }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn job_name(name: &str) -> JobName {
    JobName::new(name).unwrap()
}

pub(crate) fn new_job(name: &str, spec: JobSpec) -> NewJob {
    NewJob {
        id: JobId(Uuid::now_v7()),
        namespace: Namespace::default(),
        name: job_name(name),
        spec,
        author: "somebody".to_owned(),
    }
}

pub(crate) fn new_session(session: SessionId, places: u32, kinds: &[&str]) -> NewSession {
    NewSession {
        session,
        name: "one".to_owned(),
        namespace: Namespace::default(),
        task_queue: TaskQueue::default(),
        kinds: kinds.iter().map(|kind| Kind::new(kind).unwrap()).collect(),
        places,
    }
}

/// Work that is only done when triggered, side by side, tried three times after one and two seconds.
pub(crate) fn a_job() -> JobSpec {
    JobSpec {
        schedule: Vec::new(),
        task: a_task("work"),
        task_queue: TaskQueue::default(),
        labels: Default::default(),
        overlap: Overlap::Allow,
        max_running: 1,
        concurrency: None,
        priority: Default::default(),
        misfire: Misfire::Latest,
        catchup: CatchUp::default(),
        retry: RetryPolicy {
            max_tries: 3,
            backoff: Backoff::Exponential { initial: seconds(1), factor: 2.0, cap: seconds(300) },
            jitter: false,
            non_retryable: vec!["hopeless".to_owned()],
        },
        timeouts: Timeouts::default(),
        retention: Retention::default(),
        description: String::new(),
    }
}

pub(crate) fn a_task(kind: &str) -> Task {
    Task::Handler { kind: Kind::new(kind).unwrap(), payload: "{}".to_owned() }
}

pub(crate) fn every(period: Duration) -> JobSpec {
    JobSpec { schedule: vec![ScheduleSpec::every(period)], ..a_job() }
}

/// A run of no job, due now.
pub(crate) fn a_one_off(id: RunId) -> OneOffRun {
    OneOffRun {
        id,
        namespace: Namespace::default(),
        task_queue: TaskQueue::default(),
        task: a_task("work"),
        run_at: None,
        priority: Default::default(),
        concurrency: None,
        retry: a_job().retry,
        timeouts: Timeouts::default(),
        request: None,
        node: None,
    }
}
