//! What was done to jobs, and what is on record of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::JobEvent;
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan::MissedRange;
use uuid::Uuid;

use super::{PostgresStore, rows};
use crate::store::{
    InstantRun, JobRecord, JobVersion, RecordSelection, RecordedEvent, RecordsOf, StoreError,
};

pub(super) async fn versions(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &JobName,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<JobVersion>, StoreError> {
    let job = latest_of_name(store, namespace, name).await?;
    let before = before.map(number);
    sqlx::query_file!("src/store/postgres/job_versions.sql", job, before, i64::from(limit))
        .fetch_all(&store.pool)
        .await?
        .into_iter()
        .map(|row| {
            Ok(JobVersion {
                version: rows::count(row.version),
                spec: rows::definition(&format!("job {name} version {}", row.version), row.spec)?,
                author: row.author,
                created_at: row.created_at,
            })
        })
        .collect()
}

pub(super) async fn events(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &JobName,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let found = sqlx::query_file!(
        "src/store/postgres/job_events.sql",
        namespace.as_ref(),
        name.as_ref(),
        before,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await?;
    if found.is_empty() {
        latest_of_name(store, namespace, name).await?;
    }
    found
        .into_iter()
        .map(|row| {
            let event = event((row.at, row.since), &row.kind, row.actor, row.version, row.note)?;
            Ok(RecordedEvent { id: row.id, job: JobId(row.job_id), event })
        })
        .collect()
}

/// The job of this name, or the last that bore it.
async fn latest_of_name(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &JobName,
) -> Result<Uuid, StoreError> {
    sqlx::query_scalar!(
        "select id from punctual.job where namespace = $1 and name = $2
         order by state <> 'deleted' desc, created_at desc limit 1",
        namespace.as_ref(),
        name.as_ref()
    )
    .fetch_optional(&store.pool)
    .await?
    .ok_or_else(|| StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() })
}

fn event(
    (at, since): (DateTime<Utc>, Option<DateTime<Utc>>),
    kind: &str,
    actor: String,
    version: i32,
    note: String,
) -> Result<JobEvent, StoreError> {
    let kind = rows::parsed("event of a job", kind)?;
    Ok(JobEvent { at, since, kind, actor, version: rows::count(version), note })
}

pub(super) async fn records(
    store: &PostgresStore,
    selection: &RecordSelection,
) -> Result<Vec<JobRecord>, StoreError> {
    let mut records = jobs(store, selection).await?;
    let ids: Vec<_> = records.iter().map(|record| record.id.0).collect();
    if ids.is_empty() {
        return Ok(records);
    }
    let places: HashMap<_, _> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let RecordSelection { from, until, .. } = selection;
    for row in sqlx::query_file!("src/store/postgres/events_of_jobs.sql", &ids).fetch_all(&store.pool).await?
    {
        let event = event((row.at, row.since), &row.kind, row.actor, row.version, row.note)?;
        records[places[&row.job_id]].events.push(event);
    }
    let missed = sqlx::query_file!("src/store/postgres/missed_of_jobs.sql", &ids, from, until);
    for row in missed.fetch_all(&store.pool).await? {
        let count = u64::try_from(row.instants).unwrap_or(0);
        let reason = rows::parsed("reason of a missed range", &row.reason)?;
        let range = MissedRange { from: row.from_at, to: row.to_at, count, reason };
        records[places[&row.job_id]].missed.push(range);
    }
    // Last, so that what was planned between the statements is there rather than missing.
    let ledger = sqlx::query_file!("src/store/postgres/ledger_of_jobs.sql", &ids, from, until);
    for row in ledger.fetch_all(&store.pool).await? {
        records[places[&row.job_id]].ledger.push(row.due_at);
    }
    Ok(records)
}

/// A row of `recorded_jobs.sql` and its sibling.
struct Row {
    id: Uuid,
    namespace: String,
    name: String,
    state: String,
    updated_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    next_due_at: Option<DateTime<Utc>>,
}

async fn jobs(store: &PostgresStore, selection: &RecordSelection) -> Result<Vec<JobRecord>, StoreError> {
    let RecordSelection { of, from, until, limit } = selection;
    let limit = i64::from(*limit);
    let rows = match of {
        RecordsOf::Name(namespace, name) => {
            let (namespace, name) = (namespace.as_ref(), name.as_ref());
            sqlx::query_file_as!(Row, "src/store/postgres/recorded_jobs_by_name.sql", namespace, name, limit)
                .fetch_all(&store.pool)
                .await?
        }
        RecordsOf::AllAfter(after) => {
            let after = after.map(|job| job.0);
            sqlx::query_file_as!(Row, "src/store/postgres/recorded_jobs.sql", after, from, until, limit)
                .fetch_all(&store.pool)
                .await?
        }
    };
    rows.into_iter()
        .map(|row| {
            Ok(JobRecord {
                id: JobId(row.id),
                namespace: rows::parsed("namespace", &row.namespace)?,
                name: rows::parsed("job name", &row.name)?,
                state: rows::parsed("job state", &row.state)?,
                created_at: row.created_at,
                updated_at: row.updated_at,
                next_due_at: row.next_due_at,
                events: Vec::new(),
                ledger: Vec::new(),
                missed: Vec::new(),
            })
        })
        .collect()
}

pub(super) async fn specs(
    store: &PostgresStore,
    versions: &[(JobId, u32)],
) -> Result<HashMap<(JobId, u32), JobSpec>, StoreError> {
    let wanted = versions.iter().map(|(job, version)| (*job, number(*version)));
    let found = store.definitions.get(&store.pool, wanted).await?;
    Ok(found
        .into_iter()
        .map(|((job, version), definition)| ((job, rows::count(version)), definition.spec.clone()))
        .collect())
}

pub(super) async fn runs_of_instant(
    store: &PostgresStore,
    job: JobId,
    due_at: DateTime<Utc>,
) -> Result<Vec<InstantRun>, StoreError> {
    let found = sqlx::query_file!("src/store/postgres/runs_of_instant.sql", job.0, due_at)
        .fetch_all(&store.pool)
        .await?;
    if !found.is_empty() {
        let known = found.into_iter().map(|row| InstantRun { run: RunId(row.run_id), node: row.node });
        return Ok(known.collect());
    }
    let ended = sqlx::query_file_scalar!("src/store/postgres/ended_runs_of_instant.sql", job.0, due_at)
        .fetch_all(&store.pool)
        .await?;
    Ok(ended.into_iter().map(|run| InstantRun { run: RunId(run), node: None }).collect())
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
