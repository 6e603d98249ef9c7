//! What the database keeps of instants and of runs, and for how long.

use chrono::TimeDelta;
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::job::{CatchUp, JobSpec, Misfire};
use punctual_scheduler_domain::retention::{Retention, RetentionClass};
use sqlx::PgPool;

use crate::conformance::world::{World, a_job, every, seconds};

async fn classes(pool: &PgPool, table: &str) -> Vec<(String, i64)> {
    let counted = format!("select retention, count(*) from punctual.{table} group by 1 order by 1");
    sqlx::query_as(sqlx::AssertSqlSafe(counted)).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn history_is_kept_as_the_job_says_and_else_its_namespace(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    let retention = Retention { success: Some(RetentionClass::Short), failure: Some(RetentionClass::Long) };
    let mut fleeting = JobSpec { retention, ..a_job() };
    fleeting.retry.max_tries = 2;
    world.job("fleeting", fleeting).await;
    world.job("plain", a_job()).await;
    let session = world.worker(5).await;
    for name in ["fleeting", "plain"] {
        let grant = world.running(name, session).await;
        world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    }
    let grant = world.running("fleeting", session).await;
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    // The attempt that is followed by another is of the class of failures at once.
    let expected =
        [("default", 1), ("long", 1), ("short", 1)].map(|(class, count)| (class.to_owned(), count));
    assert_eq!(classes(&pool, "attempt_history").await, expected);
    world.advance(seconds(2));
    let dispatch = world.admit_one().await;
    let grant = world.granted(session, &dispatch).await;
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    assert_eq!(classes(&pool, "run_history").await, expected);
    // A namespace speaks for the jobs that say nothing.
    sqlx::query("update punctual.namespace set keep_success = 'long'").execute(&pool).await.unwrap();
    let grant = world.running("plain", session).await;
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    let expected =
        [("default", 1), ("long", 2), ("short", 1)].map(|(class, count)| (class.to_owned(), count));
    assert_eq!(classes(&pool, "run_history").await, expected);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_was_missed_is_recorded_with_its_reason(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    let catchup = CatchUp { window: seconds(600), limit: 5, ..CatchUp::default() };
    world.job("tick", JobSpec { misfire: Misfire::All, catchup, ..every(seconds(60)) }).await;
    world.advance(seconds(1_800));
    world.plan().await;
    let ranges: Vec<(chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>, i64, String)> =
        sqlx::query_as("select from_at, to_at, instants, reason from punctual.missed_range order by from_at")
            .fetch_all(&pool)
            .await
            .unwrap();
    let minute = |minute| World::beginning() - TimeDelta::milliseconds(250) + TimeDelta::minutes(minute);
    assert_eq!(
        ranges,
        [
            (minute(1), minute(20), 20, "catchup_window".to_owned()),
            (minute(21), minute(24), 4, "catchup_limit".to_owned()),
        ]
    );
}
