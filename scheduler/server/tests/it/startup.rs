//! What keeps a scheduler from starting is said with what to do about it, and no secret.

use punctual_scheduler::{Scheduler, SchedulerError, SchedulerOptions};
use sqlx::PgPool;

use crate::front::{Front, options};

/// The error and its causes on one line, as a person sees it.
async fn why(options: SchedulerOptions) -> (SchedulerError, String) {
    let error = Scheduler::start(options).await.expect_err("the scheduler must not start");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    (error, text)
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_port_in_use_is_named_with_its_flag(pool: PgPool) {
    let first = Front::start(&pool).await;
    let address = first.url.trim_start_matches("http://").parse().unwrap();
    let (error, text) = why(SchedulerOptions { grpc_address: address, ..options(&pool) }).await;
    assert!(matches!(error, SchedulerError::Bind(_)), "{error:?}");
    assert!(text.contains(&address.to_string()) && text.contains("--grpc-address"), "{text}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_wide_address_without_tokens_is_refused_unless_asked_for(pool: PgPool) {
    let wide = SchedulerOptions { grpc_address: ([0, 0, 0, 0], 0).into(), ..options(&pool) };
    let (error, text) = why(wide.clone()).await;
    assert!(matches!(error, SchedulerError::Bind(_)), "{error:?}");
    assert!(text.contains("--allow-unauthenticated"), "{text}");
    Scheduler::start(SchedulerOptions { allow_unauthenticated: true, ..wide }).await.unwrap();
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn without_any_queue_it_says_what_to_name(pool: PgPool) {
    let (error, text) = why(SchedulerOptions { queue_tcp_address: Vec::new(), ..options(&pool) }).await;
    assert!(matches!(error, SchedulerError::NoQueue), "{error:?}");
    assert!(text.contains("--lookup-http-address"), "{text}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_database_that_is_not_there_is_named_without_its_password(pool: PgPool) {
    let database_url = "postgres://someone:s3cret@127.0.0.1:9/nothing".parse().unwrap();
    let (error, text) = why(SchedulerOptions { database_url, ..options(&pool) }).await;
    assert!(matches!(error, SchedulerError::Database { .. }), "{error:?}");
    assert!(text.contains("postgres://someone@127.0.0.1:9/nothing"), "{text}");
    assert!(text.contains("check that Postgres runs there"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[sqlx::test(migrations = false)]
async fn an_empty_database_is_to_be_migrated_first(pool: PgPool) {
    let (error, text) = why(options(&pool)).await;
    assert!(matches!(error, SchedulerError::Schema { .. }), "{error:?}");
    assert!(text.contains("version 0") && text.contains("punctual migrate"), "{text}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_schema_of_a_much_later_release_is_refused(pool: PgPool) {
    let ahead = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'from the future', true, '', 0)";
    sqlx::query(ahead).execute(&pool).await.unwrap();
    let (error, text) = why(options(&pool)).await;
    assert!(matches!(error, SchedulerError::Schema { .. }), "{error:?}");
    assert!(text.contains("version 9999"), "{text}");
}
