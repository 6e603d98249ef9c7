//! G9 and G12 with three stores on one Postgres that admit, start and end the same runs at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler::store::{
    AdmitRequest, Attempt, Dispatch, NewRun, NewSession, NodeId, NodeIdentity, PostgresStore, Report, Run,
    RunFilter, RunSelection, Start, StartAnswer, Store, TriggerOptions,
};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::concurrency::{Concurrency, KeyTemplate};
use punctual_scheduler_domain::id::{ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::name::Namespace;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use super::world::{a_job, job_name, new_job, new_session};

const TRIGGERS: usize = 45;
/// Far more than it takes; a run that stays blocked for ever is not there by then either.
const PATIENCE: Duration = Duration::from_secs(60);

struct Race {
    pool: PgPool,
    stores: Vec<Arc<PostgresStore>>,
    node: NodeId,
    session: SessionId,
    jobs: Vec<&'static str>,
    /// More than that many of one job, or of all of them together, are never unfinished.
    limit: i64,
    triggered: AtomicBool,
}

impl Race {
    async fn new(pool: PgPool, jobs: &[&'static str], spec: JobSpec, limit: i64) -> Arc<Self> {
        let stores: Vec<_> = (0..3).map(|_| Arc::new(PostgresStore::new(pool.clone()))).collect();
        let first = &stores[0];
        first.maintain_partitions().await.unwrap();
        let node = NodeIdentity { address: "one:4150".to_owned(), identity: "a".to_owned() };
        let node = first.nodes_seen(&[node]).await.unwrap()[0];
        for job in jobs {
            first.create_job(new_job(job, spec.clone()), None).await.unwrap();
        }
        let session = SessionId(Uuid::new_v4());
        let worker: NewSession = new_session(session, 100, &["work"]);
        first.register_worker(worker).await.unwrap();
        let triggered = AtomicBool::new(false);
        Arc::new(Self { pool, stores, node, session, jobs: jobs.to_vec(), limit, triggered })
    }

    /// One after the other, so that they are due in the order in which they are written down.
    async fn trigger(&self) {
        for number in 0..TRIGGERS {
            let run = NewRun::Trigger {
                id: RunId(Uuid::now_v7()),
                namespace: Namespace::default(),
                job: job_name(self.jobs[number % self.jobs.len()]),
                payload: None,
                options: TriggerOptions::default(),
                request: None,
            };
            let store = &self.stores[number % self.stores.len()];
            store.create_runs(ReplicaId(Uuid::from_u128(1)), vec![run]).await.unwrap().remove(0).unwrap();
        }
        self.triggered.store(true, Ordering::Release);
    }

    /// Admits whatever shard it is in, as if nobody else did, until nothing is left.
    async fn admit(&self, number: usize, doorbells: mpsc::UnboundedSender<Dispatch>) {
        let store = &self.stores[number];
        let shards: Vec<_> = Shard::all().collect();
        loop {
            let lanes = store.due_lanes(&shards).await.unwrap();
            let request = AdmitRequest {
                publisher: ReplicaId(Uuid::from_u128(number as u128 + 1)),
                shards: shards.clone(),
                lanes,
                nodes: vec![self.node],
                ahead: Duration::ZERO,
                limit: 500,
            };
            match store.admit_due_runs(&request).await {
                Ok(admitted) => admitted.dispatches.into_iter().for_each(|each| {
                    // Fails when the workers have failed, which is seen there.
                    let _ = doorbells.send(each);
                }),
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            store.unblock(100).await.unwrap();
            let unfinished = "select count(*) from punctual.run_live where dispatch_seq > 0";
            let unfinished: i64 = sqlx::query_scalar(unfinished).fetch_one(&self.pool).await.unwrap();
            assert!(unfinished <= self.limit, "{unfinished} are unfinished");
            let live = "select exists (select from punctual.run_live)";
            let done = self.triggered.load(Ordering::Acquire)
                && !sqlx::query_scalar::<_, bool>(live).fetch_one(&self.pool).await.unwrap();
            if done {
                return;
            }
        }
    }

    /// Starts and ends what is announced.
    async fn work(&self, number: usize, doorbells: &Mutex<mpsc::UnboundedReceiver<Dispatch>>) {
        let store = &self.stores[number % self.stores.len()];
        loop {
            let Some(dispatch) = doorbells.lock().await.recv().await else { return };
            let start = Start { run: dispatch.run, dispatch_seq: dispatch.dispatch_seq };
            let granted = loop {
                match store.start_attempts(self.session, &[start]).await.unwrap().remove(0) {
                    StartAnswer::Granted(grant) => break Some(grant),
                    StartAnswer::NotDue(_) => tokio::task::yield_now().await,
                    // It was made to give way.
                    StartAnswer::Gone(_) => break None,
                }
            };
            let Some(grant) = granted else { continue };
            let report = Report {
                session: self.session,
                run: grant.run,
                attempt: grant.attempt,
                outcome: AttemptOutcome::Succeeded,
                report: AttemptReport::default(),
            };
            store.finish_attempts(&[report]).await.unwrap();
        }
    }

    /// All runs with their attempts, in due order.
    async fn run(self: Arc<Self>) -> Vec<(Run, Vec<Attempt>)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Mutex::new(receiver);
        let admit = async {
            tokio::join!(
                self.admit(0, sender.clone()),
                self.admit(1, sender.clone()),
                self.admit(2, sender.clone())
            );
            drop(sender);
        };
        let work =
            async { tokio::join!(self.work(0, &receiver), self.work(1, &receiver), self.work(2, &receiver)) };
        let all = async { tokio::join!(self.trigger(), admit, work) };
        tokio::time::timeout(PATIENCE, all).await.expect("nothing stays blocked for ever");
        let filter = RunFilter { namespace: Namespace::default(), job: None, run: None };
        let selection = RunSelection { filter, states: Vec::new(), before: None, limit: 1_000 };
        let mut runs = Vec::new();
        for run in self.stores[0].list_runs(&selection).await.unwrap() {
            runs.extend(self.stores[0].get_run(run.id).await.unwrap());
        }
        runs.sort_by_key(|(run, _)| (run.due_at, run.id));
        assert_eq!(runs.len(), TRIGGERS);
        runs
    }
}

/// The most attempts that were held at one instant.
fn most_at_once(runs: &[(Run, Vec<Attempt>)]) -> usize {
    let spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = runs
        .iter()
        .flat_map(|(_, attempts)| attempts)
        .map(|attempt| (attempt.started_at, attempt.ended_at.expect("all have ended")))
        .collect();
    spans
        .iter()
        .map(|(start, _)| spans.iter().filter(|(from, until)| from <= start && start < until).count())
        .max()
        .unwrap_or(0)
}

async fn raced(pool: PgPool, overlap: Overlap, max_running: u32) -> Vec<(Run, Vec<Attempt>)> {
    let spec = JobSpec { overlap, max_running, ..a_job() };
    let runs = Race::new(pool, &["raced"], spec, i64::from(max_running)).await.run().await;
    let most = most_at_once(&runs);
    assert!((1..=max_running as usize).contains(&most), "{most} at once");
    runs
}

fn started_in_order(runs: &[(Run, Vec<Attempt>)]) -> bool {
    let starts: Vec<_> =
        runs.iter().filter_map(|(_, attempts)| attempts.first()).map(|one| one.started_at).collect();
    starts.is_sorted()
}

fn count(runs: &[(Run, Vec<Attempt>)], state: &str) -> usize {
    runs.iter().filter(|(run, _)| run.state.as_str() == state).count()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_skip_never_has_two_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::Skip, 1).await;
    assert_eq!(count(&runs, "succeeded") + count(&runs, "skipped"), TRIGGERS);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_no_more_than_max_running_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::QueueAll, 3).await;
    assert_eq!(count(&runs, "succeeded"), TRIGGERS);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g12_queue_all_starts_in_due_order_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::QueueAll, 1).await;
    assert_eq!(count(&runs, "succeeded"), TRIGGERS);
    assert!(started_in_order(&runs));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_queue_one_has_one_that_waits_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::QueueOne, 1).await;
    assert_eq!(count(&runs, "succeeded") + count(&runs, "skipped"), TRIGGERS);
    assert!(started_in_order(&runs));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_cancel_running_ends_with_the_youngest_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::CancelRunning, 1).await;
    assert_eq!(count(&runs, "succeeded") + count(&runs, "cancelled"), TRIGGERS);
    assert_eq!(runs.last().map(|(run, _)| run.state.as_str()), Some("succeeded"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_kill_running_ends_with_the_youngest_whoever_admits(pool: PgPool) {
    let runs = raced(pool, Overlap::KillRunning, 2).await;
    assert_eq!(count(&runs, "succeeded") + count(&runs, "cancelled"), TRIGGERS);
    assert_eq!(runs.last().map(|(run, _)| run.state.as_str()), Some("succeeded"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_g12_a_key_of_one_place_keeps_to_due_order_whoever_admits(pool: PgPool) {
    let concurrency = Some(Concurrency { key: KeyTemplate::new("one").unwrap(), limit: 1 });
    let spec = JobSpec { concurrency, ..a_job() };
    let runs = Race::new(pool, &["a", "b", "c"], spec, 1).await.run().await;
    assert_eq!(count(&runs, "succeeded"), TRIGGERS);
    assert_eq!(most_at_once(&runs), 1);
    assert!(started_in_order(&runs));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g9_a_key_never_has_more_than_its_places_whoever_admits(pool: PgPool) {
    let concurrency = Some(Concurrency { key: KeyTemplate::new("three").unwrap(), limit: 3 });
    let spec = JobSpec { concurrency, ..a_job() };
    let runs = Race::new(pool, &["a", "b", "c"], spec, 3).await.run().await;
    assert_eq!(count(&runs, "succeeded"), TRIGGERS);
    assert!(most_at_once(&runs) <= 3);
}
