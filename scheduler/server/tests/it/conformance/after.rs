//! Jobs that run after others: each end starts each of them once, in the transaction that writes it.

use std::time::Duration;

use punctual_scheduler::store::{JobChange, PostgresStore, Run, Store, StoreError};
use punctual_scheduler_domain::after::AfterOn;
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::job::{JobSpec, JobState, Overlap};
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::schedule::ScheduleSpec;
use sqlx::PgPool;

use super::on_both_stores;
use super::world::{World, a_job, job_name, new_job, seconds};

on_both_stores!(
    g1_the_end_of_a_run_starts_each_job_after_it_once,
    an_end_starts_the_jobs_that_want_such_an_end_and_no_others,
    a_retry_is_no_end,
    a_paused_or_deleted_job_starts_nothing,
    overlap_applies_to_runs_after_others,
    jobs_that_do_not_exist_and_circles_are_refused_with_their_place,
    a_job_made_anew_under_its_name_is_run_after_again,
    a_job_that_only_runs_after_others_is_never_exhausted,
    a_chain_runs_one_job_after_the_other,
    a_delete_leaves_runs_that_others_started_cancelled,
);

fn after(upstreams: &[&str], on: AfterOn) -> JobSpec {
    let names = upstreams.iter().map(|name| job_name(name));
    JobSpec { schedule: vec![ScheduleSpec::after(names, on)], ..a_job() }
}

/// A job that is tried once.
fn once() -> JobSpec {
    let mut spec = a_job();
    spec.retry.max_tries = 1;
    spec
}

/// Triggers the job and lets its run end so.
async fn end(world: &World, job: &str, outcome: AttemptOutcome) -> Run {
    let session = world.worker(10).await;
    let grant = world.running(job, session).await;
    if outcome == AttemptOutcome::Cancelled {
        world.store.cancel_run(grant.run, "").await.unwrap();
    }
    world.finish(session, &grant, outcome).await;
    world.run(grant.run).await
}

async fn g1_the_end_of_a_run_starts_each_job_after_it_once(world: World) {
    world.job("extract", once()).await;
    world.job("load", after(&["extract"], AfterOn::Success)).await;
    // Twice named is started once.
    let mut twice = after(&["extract"], AfterOn::Success);
    twice.schedule.extend(after(&["extract"], AfterOn::Any).schedule);
    world.job("report", twice).await;
    let session = world.worker(10).await;
    let grant = world.running("extract", session).await;
    assert_eq!(world.all_runs().await.len(), 1);
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    let upstream = world.run(grant.run).await;
    for job in ["load", "report"] {
        let runs = world.runs_of(job).await;
        assert_eq!(runs.len(), 1, "{job}: {runs:?}");
        let run = &runs[0];
        assert_eq!((run.origin, run.links.upstream_run), (RunOrigin::After, Some(upstream.id)));
        assert_eq!((Some(run.due_at), run.run_at), (upstream.ended_at, run.due_at));
        assert_eq!((run.state, run.job_version), (RunState::Scheduled, 1));
    }
    let load = world.runs_of("load").await[0].id;
    world.store.cancel_run(load, "").await.unwrap();
    assert_eq!(world.run(load).await.links.upstream_run, Some(upstream.id), "it is said in the history too");
}

async fn an_end_starts_the_jobs_that_want_such_an_end_and_no_others(world: World) {
    world.job("up", once()).await;
    world.job("on-success", after(&["up"], AfterOn::Success)).await;
    world.job("on-failure", after(&["up"], AfterOn::Failure)).await;
    world.job("on-any", after(&["up"], AfterOn::Any)).await;
    let counts = async || {
        let mut counts = Vec::new();
        for job in ["on-success", "on-failure", "on-any"] {
            let runs = world.runs_of(job).await;
            for run in runs.iter().filter(|run| !run.state.is_final()) {
                world.store.cancel_run(run.id, "").await.unwrap();
            }
            counts.push(runs.len());
        }
        counts
    };
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert_eq!(counts().await, [1, 0, 1]);
    end(&world, "up", AttemptOutcome::Failed).await;
    assert_eq!(counts().await, [1, 1, 2]);
    let cancelled = end(&world, "up", AttemptOutcome::Cancelled).await;
    assert_eq!((cancelled.state, counts().await), (RunState::Cancelled, vec![1, 1, 3]));
    // Skipped, since one runs: it never ran.
    let mut spec = once();
    spec.overlap = Overlap::Skip;
    world.change("up", JobChange::Update { spec: Box::new(spec), back_to: None }).await.unwrap();
    let session = world.worker(10).await;
    world.running("up", session).await;
    world.trigger("up").await;
    assert_eq!(world.admit().await.skipped, 1);
    assert_eq!(counts().await, [1, 1, 3]);
}

async fn a_retry_is_no_end(world: World) {
    world.job("up", a_job()).await;
    world.job("down", after(&["up"], AfterOn::Any)).await;
    let session = world.worker(10).await;
    let grant = world.running("up", session).await;
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    assert_eq!(world.state(grant.run).await, RunState::Scheduled);
    assert!(world.runs_of("down").await.is_empty());
}

async fn a_paused_or_deleted_job_starts_nothing(world: World) {
    world.job("up", once()).await;
    world.job("down", after(&["up"], AfterOn::Success)).await;
    let pause = JobChange::Pause { reason: String::new(), by: String::new(), until: None };
    world.change("down", pause).await.unwrap();
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert!(world.runs_of("down").await.is_empty());
    world.change("down", JobChange::Resume { catch_up: false }).await.unwrap();
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert_eq!(world.runs_of("down").await.len(), 1);
    world.change("down", JobChange::Delete).await.unwrap();
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert_eq!(world.runs_of("down").await.len(), 1);
}

async fn overlap_applies_to_runs_after_others(world: World) {
    world.job("up", once()).await;
    world.job("down", JobSpec { overlap: Overlap::Skip, ..after(&["up"], AfterOn::Success) }).await;
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert_eq!(world.admit().await.dispatches.len(), 1);
    let session = world.worker(10).await;
    world.trigger("up").await;
    let dispatch = world.admit_one().await;
    let grant = world.granted(session, &dispatch).await;
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    assert_eq!(world.admit().await.skipped, 1, "the first is unfinished");
}

fn fields(refused: Result<impl std::fmt::Debug, StoreError>) -> Vec<(String, String)> {
    match refused {
        Err(StoreError::InvalidDefinition(fields)) => {
            fields.into_iter().map(|error| (error.field, error.message)).collect()
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn jobs_that_do_not_exist_and_circles_are_refused_with_their_place(world: World) {
    world.job("a", a_job()).await;
    let unknown = world.store.create_job(new_job("b", after(&["a", "nobody"], AfterOn::Any)), None).await;
    let message = "there is no job nobody: create it first".to_owned();
    assert_eq!(fields(unknown), [("schedule[0].after.jobs[1]".to_owned(), message)]);
    assert_eq!(world.get_job("b").await, None);
    let own = world.store.create_job(new_job("b", after(&["b"], AfterOn::Any)), None).await;
    assert!(fields(own)[0].1.ends_with("b → b"));
    world.job("b", after(&["a"], AfterOn::Success)).await;
    world.job("c", after(&["b"], AfterOn::Failure)).await;
    let update = JobChange::Update { spec: Box::new(after(&["c"], AfterOn::Any)), back_to: None };
    let circle = fields(world.change("a", update.clone()).await);
    assert_eq!(circle[0].0, "schedule[0].after.jobs[0]");
    assert!(circle[0].1.ends_with("a → b → c → a"), "{circle:?}");
    assert_eq!(world.get_job("a").await.unwrap().version, 1);
    // The circle is broken elsewhere.
    let manual = JobChange::Update { spec: Box::new(a_job()), back_to: None };
    world.change("b", manual).await.unwrap();
    world.change("a", update).await.unwrap();
}

async fn a_job_made_anew_under_its_name_is_run_after_again(world: World) {
    world.job("up", once()).await;
    world.job("down", after(&["up"], AfterOn::Success)).await;
    let session = world.worker(10).await;
    let old = world.running("up", session).await;
    world.change("up", JobChange::Delete).await.unwrap();
    world.job("up", once()).await;
    world.finish(session, &old, AttemptOutcome::Succeeded).await;
    assert!(world.runs_of("down").await.is_empty(), "the job of that name is another one now");
    end(&world, "up", AttemptOutcome::Succeeded).await;
    assert_eq!(world.runs_of("down").await.len(), 1);
}

async fn a_job_that_only_runs_after_others_is_never_exhausted(world: World) {
    world.job("up", once()).await;
    world.job("down", after(&["up"], AfterOn::Success)).await;
    let mut both = after(&["up"], AfterOn::Success);
    both.schedule.push(ScheduleSpec::at(world.now() + seconds(1)));
    world.job("both", both).await;
    world.plan().await;
    for job in ["down", "both"] {
        let job = world.get_job(job).await.unwrap();
        assert_eq!((job.state, job.next_due_at), (JobState::Active, None));
    }
    assert_eq!(world.runs_of("both").await.len(), 1);
}

async fn a_chain_runs_one_job_after_the_other(world: World) {
    world.job("a", once()).await;
    world.job("b", after(&["a"], AfterOn::Success)).await;
    world.job("c", after(&["a", "b"], AfterOn::Success)).await;
    let session = world.worker(10).await;
    world.trigger("a").await;
    let mut ran = 0;
    loop {
        let dispatches = world.admit().await.dispatches;
        if dispatches.is_empty() {
            break;
        }
        for dispatch in dispatches {
            let grant = world.granted(session, &dispatch).await;
            world.finish(session, &grant, AttemptOutcome::Succeeded).await;
            ran += 1;
        }
        world.advance(seconds(1));
    }
    // a, b after a, c after a, c after b.
    assert_eq!(ran, 4);
    assert_eq!(world.runs_of("c").await.len(), 2, "several names: the end of each is a start");
}

async fn a_delete_leaves_runs_that_others_started_cancelled(world: World) {
    world.job("up", once()).await;
    world.job("down", after(&["up"], AfterOn::Success)).await;
    end(&world, "up", AttemptOutcome::Succeeded).await;
    world.change("down", JobChange::Delete).await.unwrap();
    let runs = world.runs_of("down").await;
    assert_eq!((runs.len(), runs[0].state, runs[0].reason.as_str()), (1, RunState::Cancelled, "job deleted"));
}

/// Each would be right without the other.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn two_saves_at_once_make_no_circle(pool: PgPool) {
    for round in 0..5 {
        let store = PostgresStore::new(pool.clone());
        let names = [format!("a{round}"), format!("b{round}")];
        for name in &names {
            store.create_job(new_job(name, a_job()), None).await.unwrap();
        }
        let save = async |job: &str, upstream: &str| {
            let spec = Box::new(after(&[upstream], AfterOn::Any));
            let change = JobChange::Update { spec, back_to: None };
            store.change_job(&Default::default(), &job_name(job), change, None, None, "me").await
        };
        let (one, other) = tokio::join!(save(&names[0], &names[1]), save(&names[1], &names[0]));
        assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|saved| **saved).count(), 1);
    }
}

/// G1 and G6 under a delete at the same time: the run that an end starts is cancelled with its job, or was never made;
/// and neither waits for the other for ever.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_end_and_a_delete_at_once_leave_no_run_of_a_deleted_job(pool: PgPool) {
    for round in 0..8_u32 {
        let world = World::postgres(pool.clone()).await;
        let (up, down) = (format!("up{round}"), format!("down{round}"));
        world.job(&up, once()).await;
        world.job(&down, after(&[&up], AfterOn::Success)).await;
        let session = world.worker(10).await;
        let first = world.running(&down, session).await;
        let grant = world.running(&up, session).await;
        let reports = [&first, &grant].map(|grant| punctual_scheduler::store::Report {
            session,
            run: grant.run,
            attempt: grant.attempt,
            outcome: AttemptOutcome::Succeeded,
            report: AttemptReport::default(),
        });
        let both = async {
            tokio::join!(world.store.finish_attempts(&reports), world.change(&down, JobChange::Delete))
        };
        let (finished, deleted) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        finished.unwrap();
        deleted.unwrap();
        let left = world.runs_of(&down).await;
        assert!(left.iter().all(|run| run.state.is_final()), "{left:?}");
    }
}
