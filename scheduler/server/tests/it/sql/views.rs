//! What the views show, on a database with something in each.

use std::time::Duration;

use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::attempt::AttemptOutcome;
use sqlx::{PgPool, Row};

use super::execute;
use crate::conformance::world::{World, a_job, every, seconds};

/// Some hours ago, by the database's own clock, which the views go by; half past, so that a few minutes are one hour's.
async fn world(pool: &PgPool) -> World {
    let world = World::postgres(pool.clone()).await;
    let now = sqlx::query_scalar("select date_trunc('hour', now()) - interval '150 minutes'")
        .fetch_one(pool)
        .await
        .unwrap();
    world.set_now(now);
    world.store.maintain_partitions().await.unwrap();
    world
}

/// The first column of every row.
async fn texts(pool: &PgPool, statement: &'static str) -> Vec<String> {
    let rows =
        sqlx::query(statement).fetch_all(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// Runs `job` once, `seconds` long.
async fn run(world: &World, job: &str, took: u64, outcome: AttemptOutcome) {
    let session = world.worker(5).await;
    let grant = world.running(job, session).await;
    world.advance(seconds(took));
    world.finish(session, &grant, outcome).await;
    world.store.unregister_worker(session).await.unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn history_statistics_and_dead_letters_tell_how_runs_went(pool: PgPool) {
    let world = world(&pool).await;
    let mut once = a_job();
    once.retry.max_tries = 1;
    world.job("report", once).await;
    for took in [1, 2, 3] {
        run(&world, "report", took, AttemptOutcome::Succeeded).await;
    }
    run(&world, "report", 60, AttemptOutcome::Failed).await;
    let of_report = "select state || ' ' || took || ' ' || worker from punctual.job_history
        where job_id = punctual.job_id('report') order by run_id";
    assert_eq!(
        texts(&pool, of_report).await,
        ["succeeded 00:00:01 one", "succeeded 00:00:02 one", "succeeded 00:00:03 one", "failed 00:01:00 one"]
    );
    let sums = "select format('%s %s %s', sum(runs), sum(succeeded), sum(failures))
        from punctual.job_stats where job = 'report' and hour > now() - interval '1 day'";
    assert_eq!(texts(&pool, sums).await, ["4 3 1"]);
    let of_hour =
        "select max(duration_p50)::text from punctual.job_stats where job_id = punctual.job_id('report')";
    assert_eq!(texts(&pool, of_hour).await, ["00:00:02"]);
    assert_eq!(
        texts(&pool, "select format('%s %s: %s', job, attempts, error) from punctual.dead_letters").await,
        ["report 1: it did not work"]
    );
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_is_overdue_says_why(pool: PgPool) {
    let world = world(&pool).await;
    assert_eq!(texts(&pool, "select reason from punctual.overdue").await, [] as [String; 0]);
    world.job("tick", every(Duration::from_secs(3_600))).await;
    world.trigger("tick").await;
    let reasons = "select what || ' ' || reason from punctual.overdue order by 1";
    assert_eq!(texts(&pool, reasons).await, ["cursor no_scheduler", "run no_scheduler"]);
    let lease = "insert into punctual.scheduler_lease (replica, name, started_at, expires_at)
        values (gen_random_uuid(), 'one', now(), now() + interval '1 hour')";
    execute(&pool, lease).await;
    assert_eq!(texts(&pool, reasons).await, ["cursor not_planned", "run no_worker"]);
    assert_eq!(
        texts(&pool, "select job || ' ' || (lag > interval '1 hour')::text from punctual.schedule_lag").await,
        ["tick true"]
    );
    // A worker for another kind is of no use.
    let worker = "insert into punctual.worker_lease (session, name, namespace, task_queue, kinds, places, registered_at, beat_at, expires_at)
        values (gen_random_uuid(), 'box', 'default', 'default', '{other}', 4, now(), now(), now() + interval '1 hour')";
    execute(&pool, worker).await;
    assert_eq!(texts(&pool, reasons).await, ["cursor not_planned", "run no_worker"]);
    execute(&pool, "update punctual.worker_lease set kinds = '{other,work}'").await;
    assert_eq!(texts(&pool, reasons).await, ["cursor not_planned", "run not_queued"]);
    assert_eq!(
        texts(&pool, "select worker || ' ' || places || ' ' || held from punctual.live_workers").await,
        ["box 4 0"]
    );
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn missed_instants_and_what_was_done_to_a_job_are_shown(pool: PgPool) {
    let world = world(&pool).await;
    world.job("tick", every(seconds(60))).await;
    world.advance(seconds(9_000));
    world.plan().await;
    world
        .change("tick", JobChange::Pause { reason: "disk full".to_owned(), by: String::new(), until: None })
        .await
        .unwrap();
    assert_eq!(
        texts(
            &pool,
            "select job || ' ' || (instants > 50)::text || ' ' || reason from punctual.missed order by 1"
        )
        .await,
        ["tick true catchup_window", "tick true misfire"]
    );
    assert_eq!(
        texts(
            &pool,
            "select event || ' ' || actor || ' ' || note from punctual.job_events order by event_id"
        )
        .await,
        ["created somebody ", "paused me disk full"]
    );
}
