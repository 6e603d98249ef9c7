//! What the database holds at the end, for the history.

use anyhow::Context;
use punctual_verify::history::{Origin, Outcome, Phase, RunRow, State, What};
use punctual_verify::time::DbTime;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};

use crate::recorder::Recorder;

const RUNS: &str = "
    select r.id::text as run, coalesce(j.name, '') as job, r.origin, r.due_at, r.shard_index, r.state, r.reason,
           r.job_version, r.created_at, r.ended_at, r.attempts, r.tries_used,
           (select min(a.started_at) from punctual.attempt_history a where a.run_id = r.id) as first_started_at
    from (
        select id, job_id, job_version, origin, due_at, shard_index, state, reason, created_at, ended_at, attempts,
               tries_used
        from punctual.run_history
        union all
        select id, job_id, job_version, origin, due_at, shard_index, state, cancel_reason, created_at, null, attempt,
               tries_used
        from punctual.run_live
    ) r
    left join punctual.job j on j.id = r.job_id
    order by r.due_at";

const ATTEMPTS: &str = "
    select run_id::text as run, attempt, session::text as session, outcome, started_at, ended_at
    from punctual.attempt_history
    union all
    select id::text, attempt, session::text, null, started_at, null
    from punctual.run_live where state = 'running'
    order by 5";

const MISSED: &str = "
    select j.name as job, m.from_at, m.to_at, m.instants, m.recorded_at
    from punctual.missed_range m join punctual.job j on j.id = m.job_id";

/// Ends the history: writes down `quiesce`, every run, every attempt and what was only counted.
///
/// # Errors
/// When the database cannot be read, or holds words that the checker does not know.
pub async fn export(database: &PgPool, recorder: &Recorder) -> anyhow::Result<()> {
    recorder.read_clock(database).await?;
    recorder.record("recorder", What::Quiesce);
    // One snapshot, so that a run is not missed on its way from one table to the other.
    let mut snapshot = database.begin_with("begin isolation level repeatable read read only").await?;
    for row in sqlx::query(ATTEMPTS).fetch_all(&mut *snapshot).await? {
        let (run, att) =
            (row.try_get::<String, _>("run")?, row.try_get::<i32, _>("attempt")?.cast_unsigned());
        let session = row.try_get("session")?;
        let grant = What::Grant { run: run.clone(), att, session, at: instant(row.try_get("started_at")?) };
        recorder.record("database", grant);
        if let Some(outcome) = row.try_get::<Option<String>, _>("outcome")? {
            let status: Outcome = word(&outcome)?;
            let at = instant(row.try_get("ended_at")?);
            recorder.record("database", What::Report { run, att, status, at, ph: Phase::Ok });
        }
    }
    for row in sqlx::query(MISSED).fetch_all(&mut *snapshot).await? {
        let missed = What::Missed {
            job: row.try_get("job")?,
            from: instant(row.try_get("from_at")?),
            to: instant(row.try_get("to_at")?),
            count: row.try_get::<i64, _>("instants")?.cast_unsigned(),
            at: instant(row.try_get("recorded_at")?),
        };
        recorder.record("database", missed);
    }
    let rows = sqlx::query(RUNS).fetch_all(&mut *snapshot).await?;
    for row in &rows {
        let optional = |name: &str| -> anyhow::Result<Option<DbTime>> {
            Ok(row.try_get::<Option<DateTime<Utc>>, _>(name)?.map(instant))
        };
        let run = RunRow {
            run: row.try_get("run")?,
            job: row.try_get("job")?,
            origin: word::<Origin>(row.try_get("origin")?)?,
            due_at: instant(row.try_get("due_at")?),
            shard: row.try_get::<i32, _>("shard_index")?.cast_unsigned(),
            state: word::<State>(row.try_get("state")?)?,
            reason: row.try_get("reason")?,
            ver: row.try_get::<Option<i32>, _>("job_version")?.map(i32::cast_unsigned),
            created_at: instant(row.try_get("created_at")?),
            started_at: optional("first_started_at")?,
            ended_at: optional("ended_at")?,
            attempts: row.try_get::<i32, _>("attempts")?.cast_unsigned(),
            tries_used: row.try_get::<i32, _>("tries_used")?.cast_unsigned(),
            permanent: false,
        };
        recorder.record("database", What::Run(run));
    }
    recorder.record("database", What::Final { runs: rows.len() });
    Ok(())
}

fn instant(at: DateTime<Utc>) -> DbTime {
    DbTime(at.timestamp_micros())
}

/// A word of the database as the checker's own.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    serde_json::from_value(serde_json::Value::from(text))
        .with_context(|| format!("`{text}` is new to the checker"))
}
