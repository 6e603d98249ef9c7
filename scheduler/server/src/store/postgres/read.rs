//! Reading runs, live and ended, as one list.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use uuid::Version;

use super::{PostgresStore, namespaces, rows};
use crate::store::{Attempt, Run, RunChanges, RunFilter, RunSelection, StoreError};

/// How many live runs a watcher is shown at once.
const MOST_WATCHED: u32 = 1000;
/// A run that ended may be committed a moment after its `ended_at`: watchers look back this far.
const COMMIT_DELAY: TimeDelta = TimeDelta::seconds(2);
/// Far more than a scheduler's clock and the database's, or two databases' after a failover, are ever apart.
const CLOCKS_APART: TimeDelta = TimeDelta::days(1);

pub(super) async fn get_run(
    store: &PostgresStore,
    run: RunId,
) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
    let only = Query { run: Some(run), limit: 1, ..Query::default() };
    if let Some((found, current)) = live_runs(store, &only).await?.pop() {
        let mut attempts = ended_attempts(store, &found).await?;
        // As it was when the run was read: what ended or began since is left out.
        let ended = found.attempts - u32::from(current.is_some());
        attempts.retain(|attempt| attempt.number.get() <= ended);
        attempts.extend(current);
        return Ok(Some((found, attempts)));
    }
    let Some(found) = ended_runs(store, &only, None).await?.pop() else { return Ok(None) };
    let attempts = ended_attempts(store, &found).await?;
    Ok(Some((found, attempts)))
}

/// No run ended before its id was made, except by the clocks: the id has the time of the scheduler that made it, the
/// end that of the database. `None` for an id that no scheduler made.
fn earliest_end(run: RunId) -> Option<DateTime<Utc>> {
    if run.0.get_version() != Some(Version::SortRand) {
        return None;
    }
    let (seconds, nanos) = run.0.get_timestamp()?.to_unix();
    let made = DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)?;
    made.checked_sub_signed(CLOCKS_APART)
}

pub(super) async fn list_runs(
    store: &PostgresStore,
    selection: &RunSelection,
) -> Result<Vec<Run>, StoreError> {
    let query = Query {
        run: selection.filter.run,
        namespace: Some(selection.filter.namespace.to_string()),
        job: selection.filter.job.as_ref().map(ToString::to_string),
        states: selection.states.iter().map(|state| state.as_str().to_owned()).collect(),
        before: selection.before,
        limit: selection.limit,
    };
    // Live ones first: a run that ends in between is then seen twice rather than not at all.
    let mut runs: Vec<_> = live_runs(store, &query).await?.into_iter().map(|(run, _)| run).collect();
    runs.extend(ended_runs(store, &query, None).await?);
    if runs.is_empty() {
        namespaces::require(store, &selection.filter.namespace).await?;
    }
    runs.sort_by(|a, b| b.id.cmp(&a.id).then(b.state.is_final().cmp(&a.state.is_final())));
    runs.dedup_by_key(|run| run.id);
    runs.truncate(usize::try_from(selection.limit).unwrap_or(usize::MAX));
    Ok(runs)
}

pub(super) async fn changed_runs(
    store: &PostgresStore,
    filter: &RunFilter,
    since: Option<DateTime<Utc>>,
) -> Result<RunChanges, StoreError> {
    let now = store.time(&store.pool).await?;
    let query = Query {
        run: filter.run,
        namespace: Some(filter.namespace.to_string()),
        job: filter.job.as_ref().map(ToString::to_string),
        limit: MOST_WATCHED,
        ..Query::default()
    };
    let mut runs: Vec<_> = live_runs(store, &query).await?.into_iter().map(|(run, _)| run).collect();
    let first = since.is_none();
    // Somebody who watches one run wants its end, however long ago; else only what ends from now on.
    let since = since.or_else(|| filter.run.is_none().then_some(now));
    runs.extend(ended_runs(store, &query, since).await?);
    if first && runs.is_empty() {
        namespaces::require(store, &filter.namespace).await?;
    }
    runs.sort_by(|a, b| a.id.cmp(&b.id).then(b.state.is_final().cmp(&a.state.is_final())));
    runs.dedup_by_key(|run| run.id);
    Ok(RunChanges { runs, next_since: now - COMMIT_DELAY })
}

/// Parameters of the two statements; `None` and empty mean any.
#[derive(Default)]
struct Query {
    run: Option<RunId>,
    namespace: Option<String>,
    job: Option<String>,
    states: Vec<String>,
    before: Option<RunId>,
    limit: u32,
}

async fn live_runs(store: &PostgresStore, query: &Query) -> Result<Vec<(Run, Option<Attempt>)>, StoreError> {
    sqlx::query_file!(
        "src/store/postgres/live_runs.sql",
        query.run.map(|run| run.0),
        query.namespace,
        query.job,
        &query.states,
        query.before.map(|run| run.0),
        i64::from(query.limit)
    )
    .fetch_all(&store.pool)
    .await?
    .into_iter()
    .map(|row| {
        let attempts = rows::count(row.attempt);
        let current = row.session.zip(row.started_at).map(|(session, started_at)| Attempt {
            number: AttemptNumber::new(attempts).unwrap_or(AttemptNumber::FIRST),
            outcome: None,
            worker: row.worker,
            session: SessionId(session),
            started_at,
            ended_at: None,
            error: String::new(),
            error_kind: String::new(),
            output_tail: String::new(),
        });
        let run = Run {
            id: RunId(row.id),
            namespace: rows::parsed("namespace", &row.namespace)?,
            job: row.job,
            job_version: rows::count(row.job_version),
            origin: rows::parsed("run origin", &row.origin)?,
            state: rows::parsed("run state", &row.state)?,
            reason: row.reason,
            due_at: row.due_at,
            run_at: row.run_at,
            task_queue: rows::parsed("task queue", &row.task_queue)?,
            kind: rows::parsed("kind", &row.kind)?,
            priority: rows::priority(row.priority),
            concurrency_key: row.concurrency_key,
            attempts,
            tries_used: rows::count(row.tries_used),
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: None,
            error: row.error,
            result: String::new(),
            progress: row.progress,
            progress_note: row.progress_note,
            cancel_requested: row.cancel_requested_at.is_some(),
            links: rows::links(row.backfill, row.upstream_run, row.retry_of),
        };
        Ok((run, current))
    })
    .collect()
}

async fn ended_runs(
    store: &PostgresStore,
    query: &Query,
    since: Option<DateTime<Utc>>,
) -> Result<Vec<Run>, StoreError> {
    // History is kept by the day: what is older than the run is not even looked at.
    let since = since.max(query.run.and_then(earliest_end));
    sqlx::query_file!(
        "src/store/postgres/ended_runs.sql",
        query.run.map(|run| run.0),
        query.namespace,
        query.job,
        &query.states,
        query.before.map(|run| run.0),
        i64::from(query.limit),
        since
    )
    .fetch_all(&store.pool)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Run {
            id: RunId(row.id),
            namespace: rows::parsed("namespace", &row.namespace)?,
            job: row.job,
            job_version: rows::count(row.job_version),
            origin: rows::parsed("run origin", &row.origin)?,
            state: rows::parsed("run state", &row.state)?,
            cancel_requested: row.state == "cancelled",
            reason: row.reason,
            due_at: row.due_at,
            run_at: row.due_at,
            task_queue: rows::parsed("task queue", &row.task_queue)?,
            kind: rows::parsed("kind", &row.kind)?,
            priority: rows::priority(row.priority),
            concurrency_key: row.concurrency_key,
            attempts: rows::count(row.attempts),
            tries_used: rows::count(row.tries_used),
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: Some(row.ended_at),
            error: row.error,
            result: row.result,
            progress: 0.0,
            progress_note: String::new(),
            links: rows::links(row.backfill, row.upstream_run, row.retry_of),
        })
    })
    .collect()
}

async fn ended_attempts(store: &PostgresStore, run: &Run) -> Result<Vec<Attempt>, StoreError> {
    let (from, until) = (run.created_at - CLOCKS_APART, run.ended_at.map(|ended| ended + CLOCKS_APART));
    sqlx::query_file!("src/store/postgres/attempts_of_run.sql", run.id.0, from, until)
        .fetch_all(&store.pool)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Attempt {
                number: AttemptNumber::new(rows::count(row.attempt)).unwrap_or(AttemptNumber::FIRST),
                outcome: Some(rows::parsed("attempt outcome", &row.outcome)?),
                worker: row.worker,
                session: SessionId(row.session),
                started_at: row.started_at,
                ended_at: Some(row.ended_at),
                error: row.error,
                error_kind: row.error_kind,
                output_tail: row.output_tail,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_id_says_from_when_on_its_run_may_have_ended() {
        let at = |id: &str| earliest_end(RunId(id.parse::<Uuid>().unwrap())).map(|at| at.to_rfc3339());
        let a_day_before = at("0190163d-8694-739b-aea5-966c26f8ad91");
        assert_eq!(a_day_before.as_deref(), Some("2024-06-13T10:14:09.300+00:00"));
        assert_eq!(at("f9168c5e-ceb2-4faa-b6bf-329bf39fa1e4"), None, "of random ones nothing is known");
        assert_eq!(
            at("ffffffff-ffff-7fff-bfff-ffffffffffff").as_deref(),
            Some("+10889-08-01T05:31:50.655+00:00")
        );
    }
}
