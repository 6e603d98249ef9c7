//! Deletes of jobs, with much or little of them waiting.

use std::time::Duration;

use punctual_scheduler::store::{JobChange, NewRun, PostgresStore, Reaped, Store, StoreError};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::job::JobState;
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::run::RunState;
use sqlx::PgPool;
use uuid::Uuid;

use super::world::{REPLICA, World, a_job, every, job_name, new_job, seconds};
use super::{locks, on_both_stores};

on_both_stores!(
    a_deleted_job_cancels_what_has_not_started_and_frees_its_name,
    a_delete_cancels_however_many_runs_wait,
);

async fn trigger_often(store: &dyn Store, job: &str, times: usize) {
    let trigger = || NewRun::Trigger {
        id: RunId(Uuid::now_v7()),
        namespace: Namespace::default(),
        job: job_name(job),
        payload: None,
        options: Default::default(),
        request: None,
    };
    let triggers: Vec<_> = std::iter::repeat_with(trigger).take(times).collect();
    let answers = store.create_runs(REPLICA, triggers).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

async fn a_deleted_job_cancels_what_has_not_started_and_frees_its_name(world: World) {
    world.job("tick", every(seconds(60))).await;
    let session = world.worker(10).await;
    let running = world.running("tick", session).await;
    let queued = world.trigger("tick").await;
    world.admit_one().await;
    let scheduled = world.trigger("tick").await;
    world.advance(seconds(58));
    world.plan().await;
    let deleted = world.change("tick", JobChange::Delete).await.unwrap();
    assert_eq!((deleted.state, deleted.next_due_at), (JobState::Deleted, None));
    for run in [queued, scheduled] {
        let run = world.run(run).await;
        assert_eq!((run.state, run.reason.as_str()), (RunState::Cancelled, "job deleted"));
    }
    assert_eq!(world.runs_of("tick").await.len(), 3, "the planned one is gone without a trace");
    assert_eq!(world.get_job("tick").await, None);
    world.job("tick", a_job()).await;
    // What runs goes on, and is retried under the version it was made under.
    world.finish(session, &running, AttemptOutcome::Failed).await;
    let retried = world.run(running.run).await;
    assert_eq!((retried.state, retried.tries_used), (RunState::Scheduled, 1));
}

async fn a_delete_cancels_however_many_runs_wait(world: World) {
    world.job("tick", every(seconds(60))).await;
    let revision = world.get_job("tick").await.unwrap().revision;
    trigger_often(&*world.store, "tick", 2_100).await;
    let (namespace, name) = (Namespace::default(), job_name("tick"));
    let delete =
        |revision| world.store.change_job(&namespace, &name, JobChange::Delete, Some(revision), None, "me");
    assert!(matches!(delete(revision + 1).await, Err(StoreError::StaleRevision { .. })));
    assert!(world.runs_of("tick").await.iter().all(|run| run.state == RunState::Scheduled));
    world.advance(seconds(58));
    world.plan().await;
    delete(revision).await.unwrap();
    let runs = world.runs_of("tick").await;
    assert_eq!(runs.len(), 2_100, "the planned one is gone without a trace");
    assert!(runs.iter().all(|run| run.state == RunState::Cancelled));
    assert_eq!(world.store.clear_deleted(10).await.unwrap(), Reaped::default(), "nothing is left of it");
}

/// An update that has not committed yet when the delete reads the job.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_delete_that_comes_behind_an_update_is_refused_and_cancels_nothing(pool: PgPool) {
    let store = PostgresStore::new(pool.clone());
    let job = store.create_job(new_job("work", a_job()), None).await.unwrap();
    trigger_often(&store, "work", 1_500).await;
    let mut update = pool.begin().await.unwrap();
    for statement in [
        "select from punctual.job_cursor where job_id = $1 for no key update",
        "update punctual.job set revision = revision + 1 where id = $1",
    ] {
        sqlx::query(statement).bind(job.0).execute(&mut *update).await.unwrap();
    }
    let updating = async {
        locks::awaited(&pool).await;
        update.commit().await.unwrap();
    };
    let (namespace, name) = (Namespace::default(), job_name("work"));
    let deleting = store.change_job(&namespace, &name, JobChange::Delete, Some(1), None, "me");
    let both = async { tokio::join!(deleting, updating).0 };
    let refused = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::StaleRevision { expected: 1, found: 2, .. }), "{refused:?}");
    assert_eq!(waiting(&pool).await, 1_500);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_delete_that_was_cut_off_is_finished_batch_by_batch(pool: PgPool) {
    let store = PostgresStore::new(pool.clone());
    store.create_job(new_job("work", a_job()), None).await.unwrap();
    trigger_often(&store, "work", 5).await;
    let cut_off = "update punctual.job set state = 'deleted', clearing = true";
    sqlx::query(cut_off).execute(&pool).await.unwrap();
    for (cleared, left) in [(2, 3), (2, 1), (1, 0), (0, 0)] {
        assert_eq!(store.clear_deleted(2).await.unwrap(), Reaped { sessions: 0, runs: cleared });
        assert_eq!(waiting(&pool).await, left);
    }
    let clearing: bool =
        sqlx::query_scalar("select clearing from punctual.job").fetch_one(&pool).await.unwrap();
    assert!(!clearing);
}

async fn waiting(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from punctual.run_live").fetch_one(pool).await.unwrap()
}
