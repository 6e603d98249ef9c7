//! `punctual.enqueue`, `punctual.cancel`, `punctual.finish`.

use std::time::Duration;

use punctual_scheduler::store::{FinishAnswer, Grant};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::{RunId, SessionId};
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use sqlx::PgPool;
use sqlx::postgres::PgDatabaseError;
use uuid::Uuid;

use super::execute;
use crate::conformance::world::World;

/// What a statement that fails says: SQLSTATE, message and hint.
async fn refusal(pool: &PgPool, statement: &str) -> (String, String, String) {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    let error = sqlx::query(statement).execute(pool).await.expect_err("it is refused");
    let error = error.into_database_error().expect("by the database");
    let error = error.downcast_ref::<PgDatabaseError>();
    (error.code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

async fn id(pool: &PgPool, statement: &str) -> RunId {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    RunId(sqlx::query_scalar(statement).fetch_one(pool).await.unwrap())
}

/// A world on this database, a little ahead of the database's own time: what is enqueued meanwhile is due in it.
async fn world(pool: &PgPool) -> World {
    let world = World::postgres(pool.clone()).await;
    let now = sqlx::query_scalar("select now() + interval '1 minute'").fetch_one(pool).await.unwrap();
    world.set_now(now);
    world.store.maintain_partitions().await.unwrap();
    world
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_is_enqueued_runs_as_it_was_asked_to(pool: PgPool) {
    let world = world(&pool).await;
    let run = id(
        &pool,
        r#"select punctual.enqueue('work', '{"to": "ann"}', max_tries => 2, start_to_close => '90 seconds', cancel_grace => '1.5 seconds')"#,
    )
    .await;
    let made = world.run(run).await;
    assert_eq!((made.state, made.origin), (RunState::Scheduled, RunOrigin::OneOff));
    let session = world.worker(5).await;
    let grant = start_next(&world, session).await;
    assert_eq!((grant.run, grant.payload.as_str()), (run, r#"{"to": "ann"}"#));
    assert_eq!(grant.start_to_close, Duration::from_secs(90));
    assert_eq!(grant.cancel_grace, Duration::from_millis(1_500));
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    assert_eq!(world.state(run).await, RunState::Scheduled, "it is tried again");
    world.advance(Duration::from_secs(2));
    let grant = start_next(&world, session).await;
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    assert_eq!(world.state(run).await, RunState::Failed, "and no more than twice");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_rolled_back_transaction_leaves_no_run_and_a_committed_one_does(pool: PgPool) {
    let mut tx = pool.begin().await.unwrap();
    execute_in(&mut tx, "select punctual.enqueue('work', idempotency_key => 'k')").await;
    tx.rollback().await.unwrap();
    let count = "select count(*) from punctual.run_live";
    let runs = async || sqlx::query_scalar::<_, i64>(count).fetch_one(&pool).await.unwrap();
    assert_eq!(runs().await, 0);
    let mut tx = pool.begin().await.unwrap();
    execute_in(&mut tx, "select punctual.enqueue('work', idempotency_key => 'k')").await;
    assert_eq!(runs().await, 0, "nobody sees it before");
    tx.commit().await.unwrap();
    assert_eq!(runs().await, 1);
}

/// Admits the one run that is due, and starts it.
async fn start_next(world: &World, session: SessionId) -> Grant {
    let dispatch = world.admit_one().await;
    world.granted(session, &dispatch).await
}

async fn execute_in(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>, statement: &'static str) {
    sqlx::query(statement).execute(&mut **tx).await.unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_idempotency_key_makes_one_run_over_sql_and_api_and_ids_sort_by_creation(pool: PgPool) {
    let first = id(&pool, "select punctual.enqueue('work', idempotency_key => 'k')").await;
    assert_eq!(id(&pool, "select punctual.enqueue('other', idempotency_key => 'k')").await, first);
    let ids: Vec<Uuid> = sqlx::query_scalar("select punctual.enqueue('work') from generate_series(1, 100)")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(ids.is_sorted() && first.0 < ids[0]);
    assert!(ids.iter().all(|id| id.get_version_num() == 7), "{ids:?}");

    let world = world(&pool).await;
    world.job("tick", crate::conformance::world::a_job()).await;
    execute(
        &pool,
        "insert into punctual.run_request (namespace, request_id, run_id, job_id)
         select 'default', 'of a job', gen_random_uuid(), id from punctual.job",
    )
    .await;
    let (state, message, _) =
        refusal(&pool, "select punctual.enqueue('work', idempotency_key => 'of a job')").await;
    assert_eq!(state, "23505");
    assert!(message.starts_with("REQUEST_ID_REUSED: "), "{message}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_cannot_be_enqueued_is_refused_with_each_wrong_field(pool: PgPool) {
    let cases = [
        ("'a b'", "kind: 'a b' is not 1 to 100 characters"),
        ("null", "kind: null is not"),
        ("'exec'", "kind: exec is the runner's own kind"),
        ("'k', to_jsonb(repeat('x', 1048577))", "payload: 1048579 bytes, the most is 1048576"),
        ("'k', task_queue => 'A'", "task_queue: 'A' is not"),
        ("'k', run_at => 'infinity'", "run_at: infinity is not"),
        ("'k', idempotency_key => repeat('x', 129)", "idempotency_key: 129 characters"),
        ("'k', max_tries => 0", "max_tries: 0 is not between"),
        ("'k', priority => 10", "priority: 10 is not between 0 and 9"),
        ("'k', concurrency_key => ''", "concurrency_key: 0 bytes"),
        ("'k', concurrency_key => 'x', concurrency_limit => 0", "concurrency_limit: 0 is not"),
        ("'k', start_to_close => '0'", "start_to_close: 00:00:00 is not between 1 ms"),
        ("'k', cancel_grace => '2 days'", "cancel_grace: 2 days is not between"),
        (
            "'k', schedule_to_start => '2h', schedule_to_close => '1h'",
            "schedule_to_start: 02:00:00 is more than",
        ),
    ];
    for (arguments, says) in cases {
        let (state, message, hint) = refusal(&pool, &format!("select punctual.enqueue({arguments})")).await;
        assert_eq!(state, "22023", "{arguments}");
        assert!(message.starts_with("INVALID_FIELDS: ") && message.contains(says), "{arguments}: {message}");
        assert!(hint.contains("docs/sql.md"), "{hint}");
    }
    let both = refusal(&pool, "select punctual.enqueue('a b', max_tries => 0)").await.1;
    assert!(both.contains("kind: ") && both.contains("; max_tries: "), "all that is wrong at once: {both}");
    let (state, message, _) = refusal(&pool, "select punctual.enqueue('k', namespace => 'nowhere')").await;
    assert_eq!(
        (state.as_str(), message.as_str()),
        ("P0002", "NAMESPACE_NOT_FOUND: namespace nowhere does not exist")
    );
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_run_is_cancelled_at_once_or_asked_to_end(pool: PgPool) {
    let world = world(&pool).await;
    let run = id(&pool, "select punctual.enqueue('work')").await;
    let cancel = format!("select punctual.cancel('{run}', 'no need')");
    let answer = async |statement: &str| -> String {
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement.to_owned())).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(answer(&cancel).await, "cancelled");
    let cancelled = world.run(run).await;
    assert_eq!((cancelled.state, cancelled.reason.as_str()), (RunState::Cancelled, "no need"));
    let (state, message, _) = refusal(&pool, &cancel).await;
    assert_eq!(
        (state, message),
        ("55000".to_owned(), format!("RUN_IS_FINAL: run {run} is already cancelled"))
    );
    let nobody = refusal(&pool, &format!("select punctual.cancel('{}')", Uuid::nil())).await;
    assert!(nobody.0 == "P0002" && nobody.1.starts_with("RUN_NOT_FOUND: "), "{nobody:?}");

    let session = world.worker(5).await;
    let running = id(&pool, "select punctual.enqueue('work')").await;
    let grant = start_next(&world, session).await;
    assert_eq!(grant.run, running);
    assert_eq!(answer(&format!("select punctual.cancel('{running}', 'enough')")).await, "requested");
    let asked = world.run(running).await;
    assert!(asked.cancel_requested && asked.state == RunState::Running, "{asked:?}");
    world.finish(session, &grant, AttemptOutcome::Cancelled).await;
    let ended = world.run(running).await;
    assert_eq!((ended.state, ended.reason.as_str()), (RunState::Cancelled, "enough"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_attempt_is_finished_with_its_effects_and_only_once(pool: PgPool) {
    execute(&pool, "create table effect (what text)").await;
    let world = world(&pool).await;
    let session = world.worker(5).await;
    let run = id(&pool, "select punctual.enqueue('work')").await;
    let grant = start_next(&world, session).await;
    let finish = format!("select punctual.finish('{run}', 1, '{{\"sent\": 2}}')");
    let with_effect = async |commit: bool| {
        let mut tx = pool.begin().await.unwrap();
        execute_in(&mut tx, "insert into effect values ('sent')").await;
        let finished = sqlx::query(sqlx::AssertSqlSafe(finish.clone())).execute(&mut *tx).await;
        match (&finished, commit) {
            (Ok(_), true) => tx.commit().await.unwrap(),
            _ => tx.rollback().await.unwrap(),
        }
        finished.map(|_| ()).map_err(|error| error.into_database_error().unwrap().message().to_owned())
    };
    with_effect(false).await.unwrap();
    assert_eq!(world.state(run).await, RunState::Running, "rolled back, nothing has happened");
    with_effect(true).await.unwrap();
    let (ended, attempts) = world.get(run).await;
    assert_eq!((ended.state, ended.result.as_str()), (RunState::Succeeded, r#"{"sent": 2}"#));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Succeeded));
    assert_eq!(attempts[0].session, session);
    // Done again, say because the answer was lost, it must not do its work twice.
    let again = with_effect(true).await.unwrap_err();
    assert!(again.starts_with("STALE_ATTEMPT: attempt 1 of run"), "{again}");
    let effects: i64 = sqlx::query_scalar("select count(*) from effect").fetch_one(&pool).await.unwrap();
    assert_eq!(effects, 1);
    // What the worker then reports of it is what is on record.
    assert_eq!(world.finish(session, &grant, AttemptOutcome::Succeeded).await, FinishAnswer::Stored);
    assert_eq!(world.finish(session, &grant, AttemptOutcome::Failed).await, FinishAnswer::StaleAttempt);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_attempt_that_was_superseded_finishes_nothing(pool: PgPool) {
    let world = world(&pool).await;
    let session = world.worker(5).await;
    let run = id(&pool, "select punctual.enqueue('work')").await;
    let first = start_next(&world, session).await;
    world.finish(session, &first, AttemptOutcome::Failed).await;
    let finish = |attempt: u32| format!("select punctual.finish('{run}', {attempt})");
    let (state, message, hint) = refusal(&pool, &finish(1)).await;
    assert!(state == "55000" && message.starts_with("STALE_ATTEMPT: "), "{message}");
    assert!(
        message.contains("the run is scheduled, attempt 1") && hint.starts_with("Roll back"),
        "{message}: {hint}"
    );
    world.advance(Duration::from_secs(2));
    let second = start_next(&world, session).await;
    assert_eq!(second.attempt.get(), 2);
    assert!(refusal(&pool, &finish(1)).await.1.starts_with("STALE_ATTEMPT: "));
    assert!(refusal(&pool, &finish(3)).await.1.starts_with("STALE_ATTEMPT: "));
    execute_dynamic(&pool, &finish(2)).await;
    assert_eq!(world.state(run).await, RunState::Succeeded);
    let nobody = refusal(&pool, &format!("select punctual.finish('{}', 1)", Uuid::nil())).await;
    assert!(nobody.1.starts_with("RUN_NOT_FOUND: "), "{nobody:?}");
}

async fn execute_dynamic(pool: &PgPool, statement: &str) {
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn runs_of_one_key_have_the_places_that_it_has_and_each_has_its_priority(pool: PgPool) {
    let world = world(&pool).await;
    for priority in [2, 8] {
        let statement = format!(
            "select punctual.enqueue('work', priority => {priority}, concurrency_key => 'ann', concurrency_limit => 1)"
        );
        id(&pool, &statement).await;
    }
    let admitted = world.admit().await.dispatches;
    assert_eq!(admitted.len(), 1, "the key has one place: {admitted:?}");
    let run = world.run(admitted[0].run).await;
    assert_eq!((run.concurrency_key.as_str(), run.state), ("ann", RunState::Queued));
    let priorities: Vec<i16> = sqlx::query_scalar(
        "select l.priority from punctual.run_live r join punctual.lane l on l.id = r.lane order by r.id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(priorities, [2, 8]);
    execute(&pool, "select punctual.enqueue('work', concurrency_key => 'bob')").await;
    assert_eq!(world.admit().await.dispatches.len(), 1, "another key has its own");
}

/// What is asked for in an uncommitted transaction holds nobody up.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_open_transaction_that_enqueues_does_not_keep_others_from_it(pool: PgPool) {
    let world = world(&pool).await;
    execute(&pool, "select punctual.enqueue('work')").await;
    let mut tx = pool.begin().await.unwrap();
    execute_in(&mut tx, "select punctual.enqueue('work')").await;
    let session = world.worker(5).await;
    let granted = tokio::time::timeout(Duration::from_secs(20), start_next(&world, session)).await.unwrap();
    assert_eq!(granted.attempt.get(), 1);
    tx.rollback().await.unwrap();
}

/// Whoever changes the one changes the other: in a new migration, once this one is out.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_end_of_a_run_is_written_in_sql_as_schedulers_write_it(pool: PgPool) {
    let of_schedulers = include_str!("../../../src/store/postgres/conclude_runs.sql");
    let of_functions: String =
        sqlx::query_scalar("select prosrc from pg_proc where oid = 'punctual.conclude_runs'::regproc")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(of_functions.trim(), of_schedulers.trim());
}
