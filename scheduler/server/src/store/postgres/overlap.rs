//! What stands in the way of due runs, held until they are judged.

use std::collections::{BTreeMap, HashMap, HashSet};

use punctual_scheduler_domain::admission::{Age, Candidate, JobStanding};
use punctual_scheduler_domain::id::{JobId, RunId};
use sqlx::{Postgres, Transaction};

use super::PostgresStore;
use super::live::{LiveRow, LiveRun};
use crate::store::StoreError;

/// Runs that others may have to give way to, or wait for, under lock.
#[derive(Default)]
pub(super) struct Obstacles {
    pub(super) standings: HashMap<JobId, JobStanding>,
    pub(super) runs: HashMap<RunId, LiveRun>,
}

/// Locks what stands in the way of these. What is in the hands of another transaction may be ending, at an instant before
/// they were due, and is left out; the others do not end before this transaction does.
pub(super) async fn lock_obstacles(
    store: &PostgresStore,
    tx: &mut Transaction<'static, Postgres>,
    candidates: &[Candidate],
) -> Result<Obstacles, StoreError> {
    let jobs: HashSet<_> =
        candidates.iter().filter(|run| run.needs_standing()).filter_map(|run| run.job).collect();
    if jobs.is_empty() {
        return Ok(Obstacles::default());
    }
    let jobs: Vec<_> = jobs.into_iter().map(|job| job.0).collect();
    let rows = sqlx::query_file!("src/store/postgres/lock_obstacles.sql", &jobs, store.now())
        .fetch_all(&mut **tx)
        .await?;
    let mut obstacles = Obstacles::default();
    let mut lines: HashMap<JobId, BTreeMap<Age, RunId>> = HashMap::new();
    for row in rows {
        let Some(job) = row.job_id.map(JobId) else { continue };
        let id = RunId(row.id);
        let age = (row.due_at, row.run_at, id);
        let run = LiveRow {
            id: row.id,
            state: row.state,
            attempt: row.attempt,
            tries_used: row.tries_used,
            dispatch_seq: row.dispatch_seq,
            job_id: row.job_id,
            job_version: row.job_version,
            session: row.session,
            worker: row.worker,
            start_deadline: row.start_deadline,
            close_deadline: row.close_deadline,
            start_to_close_ms: row.start_to_close_ms,
            cancel_grace_ms: row.cancel_grace_ms,
            cancel_requested_at: row.cancel_requested_at,
            cancel_reason: row.cancel_reason,
            now: row.now,
        };
        let run = run.into_run()?;
        if run.dispatch_seq > 0 {
            lines.entry(job).or_default().insert(age, id);
        } else {
            obstacles.standings.entry(job).or_default().replaceable.push((age, id));
        }
        obstacles.runs.insert(id, run);
    }
    for (job, line) in lines {
        obstacles.standings.entry(job).or_default().unfinished = line.into_values().collect();
    }
    Ok(obstacles)
}
