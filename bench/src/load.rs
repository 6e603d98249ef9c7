//! What the loads are made of.

use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::{DateTime, Utc};
use punctual_proto::v1::create_run_request::Task;
use punctual_proto::v1::{CreateRunRequest, Job, Overlap, Schedule, job, schedule};
use sqlx::PgPool;

/// A run that does nothing, at once or at a time.
pub(crate) fn noop_run(run_at: Option<DateTime<Utc>>) -> CreateRunRequest {
    CreateRunRequest {
        task: Some(Task::Kind("noop".to_owned())),
        run_at: run_at.map(|at| prost_types::Timestamp {
            seconds: at.timestamp(),
            nanos: at.timestamp_subsec_nanos().cast_signed(),
        }),
        ..CreateRunRequest::default()
    }
}

/// A job that does nothing every second, `phase` after the full one.
pub(crate) fn noop_every_second(name: String, phase: Duration) -> Job {
    let when = Some(schedule::When::Every(prost_types::Duration { seconds: 1, nanos: 0 }));
    let phase = prost_types::Duration { seconds: 0, nanos: phase.subsec_nanos().cast_signed() };
    Job {
        name,
        schedule: vec![Schedule { when, phase: Some(phase), ..Schedule::default() }],
        task: Some(job::Task::Kind("noop".to_owned())),
        overlap: Overlap::Allow.into(),
        ..Job::default()
    }
}

/// Waits until so many runs are in history.
pub(crate) async fn ended(database: &PgPool, runs: i64, within: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let found: i64 =
            sqlx::query_scalar("select count(*) from punctual.run_history").fetch_one(database).await?;
        if found >= runs {
            return Ok(());
        }
        if started.elapsed() > within {
            bail!("{found} of {runs} runs ended within {within:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Empties history, so that the next round counts from zero.
pub(crate) async fn forget(database: &PgPool) -> anyhow::Result<()> {
    sqlx::query("truncate punctual.run_history, punctual.attempt_history").execute(database).await?;
    Ok(())
}
