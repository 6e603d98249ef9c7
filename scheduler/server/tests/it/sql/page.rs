//! Every statement of docs/sql.md, on a database with some history.

use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::attempt::AttemptOutcome;
use sqlx::{Executor, PgPool};

use crate::conformance::world::{World, a_job, every, seconds};

const PAGE: &str = include_str!("../../../../../docs/sql.md");

/// The blocks of a language in a page, with the number of their first line.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, line) if line.strip_prefix("```") == Some(language) => {
                open = Some((number + 2, String::new()))
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Jobs that succeeded, failed, were missed, paused, changed and are late.
async fn some_history(pool: &PgPool) {
    let world = World::postgres(pool.clone()).await;
    let now = sqlx::query_scalar("select now() - interval '5 hours'").fetch_one(pool).await.unwrap();
    world.set_now(now);
    world.store.maintain_partitions().await.unwrap();
    world.job("report", a_job()).await;
    world.job("nightly", every(seconds(60))).await;
    for (took, outcome) in [(1, AttemptOutcome::Succeeded), (2, AttemptOutcome::Failed)] {
        let session = world.worker(5).await;
        let grant = world.running("report", session).await;
        world.advance(seconds(took));
        world.finish(session, &grant, outcome).await;
        world.store.unregister_worker(session).await.unwrap();
        world.advance(seconds(9_000));
    }
    world.plan().await;
    world
        .change(
            "nightly",
            JobChange::Pause { reason: "disk full".to_owned(), by: String::new(), until: None },
        )
        .await
        .unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn every_statement_of_the_page_runs(pool: PgPool) {
    some_history(&pool).await;
    pool.execute(
        "create table invoice (id bigint primary key, customer text); create table payment (id bigint)",
    )
    .await
    .unwrap();
    let statements = blocks(PAGE, "sql");
    assert!(statements.len() >= 14, "{} statements are found", statements.len());
    for (line, statement) in statements {
        let mut connection = pool.acquire().await.unwrap();
        let ended = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone()))).await;
        if let Err(error) = ended {
            panic!("docs/sql.md, line {line}: {error}\n{statement}");
        }
    }
    // Each function and each view is on the page.
    let parts: Vec<String> = sqlx::query_scalar(
        "select viewname::text from pg_views where schemaname = 'punctual'
         union all
         select p.proname::text from pg_proc p
         where p.pronamespace = 'punctual'::regnamespace and obj_description(p.oid, 'pg_proc') is not null",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    for part in parts {
        assert!(
            PAGE.contains(&format!("`punctual.{part}`")) || PAGE.contains(&format!("`punctual.{part}(")),
            "{part}"
        );
    }
}

#[test]
fn ten_questions_are_answered() {
    let questions = PAGE.lines().filter(|line| line.starts_with("### ") && line.ends_with('?')).count();
    assert_eq!(questions, 10);
}
