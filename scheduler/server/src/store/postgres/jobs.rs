//! Jobs and their changes. Every change holds the lock of the job's cursor, which the planner takes too.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobSpec, JobState, Pause};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan::{Beginning, Since, begin};
use punctual_scheduler_domain::retention::RetentionClass;
use punctual_scheduler_domain::schedule::{ScheduleSet, When};
use sqlx::{Postgres, Transaction};

use super::after::Downstream;
use super::lanes::LaneKey;
use super::rows::JobRow;
use super::{PostgresStore, after, backfill, calendars, cancel, delays, namespaces, plan as planning};
use crate::store::job::Entry;
use crate::store::{JobChange, NewJob, RequestId, Revision, StoreError};

type Tx = Transaction<'static, Postgres>;

pub(super) async fn get(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &JobName,
) -> Result<Option<Job>, StoreError> {
    sqlx::query_file_as!(JobRow, "src/store/postgres/job_by_name.sql", namespace.as_ref(), name.as_ref())
        .fetch_optional(&store.pool)
        .await?
        .map(JobRow::into_job)
        .transpose()
}

pub(super) async fn list(
    store: &PostgresStore,
    namespace: &Namespace,
    after: Option<&JobName>,
    limit: u32,
) -> Result<Vec<Job>, StoreError> {
    let after = after.map(AsRef::as_ref);
    let found = sqlx::query_file_as!(
        JobRow,
        "src/store/postgres/list_jobs.sql",
        namespace.as_ref(),
        after,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await?;
    if found.is_empty() {
        namespaces::require(store, namespace).await?;
    }
    found.into_iter().map(JobRow::into_job).collect()
}

pub(super) async fn create(
    store: &PostgresStore,
    job: NewJob,
    request: Option<RequestId>,
) -> Result<JobId, StoreError> {
    // The lane is made first, so that a namespace that does not exist is found out before anything is written.
    store.lanes.find_or_make(&store.pool, lane_key(&job.namespace, &job.spec)).await?;
    let mut tx = store.pool.begin().await?;
    let now = store.time(&mut *tx).await?;
    if let Some(earlier) = claim_request(&mut tx, request.as_ref(), "create", job.id, now).await? {
        return Ok(earlier);
    }
    let schedule = ScheduleSet::compile_for(&job.spec.schedule, now);
    let Beginning { next, delayed, state, .. } = begin(&schedule, Since::After(now), now, false);
    let made =
        Entry { kind: JobEventKind::Created, by: job.author.clone(), note: String::new(), since: None };
    let events = Events::of(made, state, "");
    sqlx::query_file!(
        "src/store/postgres/insert_job.sql",
        job.id.0,
        job.namespace.as_ref(),
        job.name.as_ref(),
        state.as_str(),
        now,
        as_json(&job.spec),
        job.author,
        next,
        &events.kinds,
        &events.actors
    )
    .execute(&mut *tx)
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(inner) if inner.constraint() == Some("job_name_key") => {
            StoreError::JobExists { namespace: job.namespace.clone(), name: job.name.clone() }
        }
        _ => error.into(),
    })?;
    calendars::note_use(&mut tx, job.id, &job.namespace, &job.spec).await?;
    write_extras(&mut tx, job.id, None, &job.spec, delayed).await?;
    let NewJob { id, namespace, name, spec, .. } = &job;
    after::save(store, &mut tx, &Downstream { job: *id, namespace, name, version: 1, spec }).await?;
    after::link(&mut tx, *id, namespace, name).await?;
    tx.commit().await?;
    Ok(job.id)
}

pub(super) async fn change(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &JobName,
    change: JobChange,
    revision: Option<Revision>,
    request: Option<RequestId>,
    by: &str,
) -> Result<Job, StoreError> {
    let missing = || StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() };
    if let JobChange::Update { spec, .. } = &change {
        store.lanes.find_or_make(&store.pool, lane_key(namespace, spec)).await?;
    }
    let mut tx = store.pool.begin().await?;
    let job = lock_job(&mut tx, namespace, name, request.as_ref()).await?.ok_or_else(missing)?;
    // After the locks are held: an instant up to which nothing can be planned behind our back.
    let now = store.time(&mut *tx).await?;
    if claim_request(&mut tx, request.as_ref(), method(&change), job.id, now).await?.is_some() {
        return Ok(job);
    }
    if let Some(expected) = revision
        && expected != job.revision
    {
        return Err(StoreError::StaleRevision { name: name.clone(), expected, found: job.revision });
    }
    if is_no_change(&job, &change) {
        tx.commit().await?;
        return Ok(job);
    }
    // What is due by now is due under the old version.
    if job.state == JobState::Active {
        planning::plan_job_until(store, &mut tx, &job, now).await?;
    }
    sqlx::query_file!("src/store/postgres/remove_planned_runs.sql", job.id.0, now).execute(&mut *tx).await?;
    let updated = matches!(change, JobChange::Update { .. });
    let changed = apply(&mut tx, job, change, by, now).await?;
    if updated {
        after::save(store, &mut tx, &Downstream::of(&changed)).await?;
    }
    let deleted = changed.state == JobState::Deleted;
    if deleted {
        backfill::cancel_of_job(&mut tx, changed.id, cancel::DELETED, now).await?;
        if after::forget(&mut tx, changed.id).await? {
            cancel::leave_clearing(&mut tx, changed.id).await?;
        } else {
            cancel::begin_clearing(store, &mut tx, changed.id).await?;
        }
    }
    tx.commit().await?;
    if deleted && let Err(error) = cancel::clear_deleted_job(store, changed.id).await {
        // The job is deleted all the same, and the reaper goes on with its runs.
        tracing::warn!(error = &error as &dyn std::error::Error, job = %name, "a deleted job's runs are left to the reaper");
    }
    Ok(changed)
}

/// Locks the job's cursor and reads the job behind it. A job deleted meanwhile is answered only to a repeat of the
/// request that deleted it.
async fn lock_job(
    tx: &mut Tx,
    namespace: &Namespace,
    name: &JobName,
    request: Option<&RequestId>,
) -> Result<Option<Job>, StoreError> {
    let live = sqlx::query_scalar!(
        "select id from punctual.job where namespace = $1 and name = $2 and state <> 'deleted'",
        namespace.as_ref(),
        name.as_ref()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let id = match (live, request) {
        (Some(id), _) => id,
        (None, Some(request)) => {
            let Some(id) = sqlx::query_scalar!(
                "select q.job_id from punctual.job_request q join punctual.job j on j.id = q.job_id
                 where q.request_id = $1 and j.namespace = $2 and j.name = $3",
                request.0,
                namespace.as_ref(),
                name.as_ref()
            )
            .fetch_optional(&mut **tx)
            .await?
            else {
                return Ok(None);
            };
            id
        }
        (None, None) => return Ok(None),
    };
    sqlx::query!("select from punctual.job_cursor where job_id = $1 for no key update", id)
        .fetch_one(&mut **tx)
        .await?;
    let job = sqlx::query_file_as!(JobRow, "src/store/postgres/job_by_id.sql", id)
        .fetch_one(&mut **tx)
        .await?
        .into_job()?;
    Ok((live.is_none() || job.state != JobState::Deleted).then_some(job))
}

async fn apply(
    tx: &mut Tx,
    mut job: Job,
    change: JobChange,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Job, StoreError> {
    let entry = change.entry(by, job.pause.as_ref());
    let mut delayed = None;
    match change {
        JobChange::Update { spec, back_to: _ } => {
            job.version += 1;
            job.spec = *spec;
            sqlx::query_file!(
                "src/store/postgres/insert_job_version.sql",
                job.id.0,
                version_number(job.version),
                as_json(&job.spec),
                entry.by,
                now
            )
            .execute(&mut **tx)
            .await?;
            calendars::note_use(tx, job.id, &job.namespace, &job.spec).await?;
            if job.state != JobState::Paused {
                delayed = plan_anew(tx, &mut job, Since::After(now), now).await?;
            }
        }
        JobChange::Pause { reason, by, until } => {
            let at = job.pause.map_or(now, |pause| pause.at);
            job.state = JobState::Paused;
            job.state_reason = reason;
            job.pause = Some(Pause { at, by, until });
            job.next_due_at = None;
        }
        JobChange::Resume { catch_up } => {
            let since = Since::After(job.pause.as_ref().filter(|_| catch_up).map_or(now, |pause| pause.at));
            return resume(tx, job, since, entry, now).await;
        }
        JobChange::Delete => {
            job.state = JobState::Deleted;
            job.state_reason = String::new();
            job.pause = None;
            job.next_due_at = None;
            // Before the row is changed: waits for the triggers that are being written down, whose runs are to be
            // cancelled too, and makes those that come later wait and find no job.
            sqlx::query!("select from punctual.job where id = $1 for update", job.id.0)
                .fetch_one(&mut **tx)
                .await?;
            // It needs no calendar any more.
            sqlx::query!("delete from punctual.calendar_use where job_id = $1", job.id.0)
                .execute(&mut **tx)
                .await?;
        }
    }
    write(tx, job, delayed, entry, now).await
}

/// Goes on planning a job, whose cursor is locked, from `since` on.
pub(super) async fn resume(
    tx: &mut Tx,
    mut job: Job,
    since: Since,
    entry: Entry,
    now: DateTime<Utc>,
) -> Result<Job, StoreError> {
    job.pause = None;
    let delayed = plan_anew(tx, &mut job, since, now).await?;
    write(tx, job, delayed, entry, now).await
}

async fn write(
    tx: &mut Tx,
    mut job: Job,
    delayed: Option<DateTime<Utc>>,
    entry: Entry,
    now: DateTime<Utc>,
) -> Result<Job, StoreError> {
    job.updated_at = now;
    let events = Events::of(entry, job.state, &job.state_reason);
    let revision = sqlx::query_file_scalar!(
        "src/store/postgres/update_job.sql",
        job.id.0,
        version_number(job.version),
        job.state.as_str(),
        job.state_reason,
        now,
        job.next_due_at,
        &events.kinds,
        &events.actors,
        &events.notes,
        &events.since as &[Option<DateTime<Utc>>]
    )
    .fetch_one(&mut **tx)
    .await?;
    job.revision = u64::try_from(revision).unwrap_or(0);
    write_extras(tx, job.id, job.pause.as_ref(), &job.spec, delayed).await?;
    Ok(job)
}

/// Columns of the events that a change is recorded as.
struct Events {
    kinds: Vec<String>,
    actors: Vec<String>,
    notes: Vec<String>,
    since: Vec<Option<DateTime<Utc>>>,
}

impl Events {
    /// What was asked for, and what planning then made of the job.
    fn of(entry: Entry, state: JobState, why: &str) -> Self {
        let found = JobEventKind::of_planning(state).map(|kind| Entry::found(kind, why));
        let mut events = Self { kinds: Vec::new(), actors: Vec::new(), notes: Vec::new(), since: Vec::new() };
        for Entry { kind, by, note, since } in [entry].into_iter().chain(found) {
            events.kinds.push(kind.as_str().to_owned());
            events.actors.push(by);
            events.notes.push(note);
            events.since.push(since);
        }
        events
    }
}

async fn write_extras(
    tx: &mut Tx,
    job: JobId,
    pause: Option<&Pause>,
    spec: &JobSpec,
    delayed: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let follows_end = spec.schedule.iter().any(|schedule| matches!(schedule.when, When::Delay(_)));
    sqlx::query_file!(
        "src/store/postgres/job_extras.sql",
        job.0,
        delayed,
        pause.map(|pause| pause.at),
        pause.map(|pause| pause.by.as_str()).unwrap_or_default(),
        pause.and_then(|pause| pause.until),
        follows_end,
        spec.retention.success.map(RetentionClass::as_str),
        spec.retention.failure.map(RetentionClass::as_str)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sets the cursor to where the definition in force begins. Answers the instant of a fixed delay.
async fn plan_anew(
    tx: &mut Tx,
    job: &mut Job,
    since: Since,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let schedule = ScheduleSet::compile_for(&job.spec.schedule, job.created_at);
    let is_delay = schedule.as_ref().is_ok_and(ScheduleSet::is_delay);
    let has_unfinished = is_delay && delays::has_unfinished(tx, job.id).await?;
    let begun = begin(&schedule, since, now, has_unfinished);
    (job.next_due_at, job.state, job.state_reason) = (begun.next, begun.state, begun.reason);
    Ok(begun.delayed)
}

fn is_no_change(job: &Job, change: &JobChange) -> bool {
    match change {
        JobChange::Update { spec, .. } => **spec == job.spec,
        JobChange::Pause { reason, until, .. } => {
            let is_the_same = |pause: &Pause| pause.until == *until && job.state_reason == *reason;
            job.state == JobState::Paused && job.pause.as_ref().is_some_and(is_the_same)
        }
        JobChange::Resume { .. } => job.state != JobState::Paused && job.state != JobState::Errored,
        JobChange::Delete => job.state == JobState::Deleted,
    }
}

pub(super) fn lane_key(namespace: &Namespace, spec: &JobSpec) -> LaneKey {
    LaneKey {
        namespace: namespace.clone(),
        task_queue: spec.task_queue.clone(),
        kind: spec.task.kind(),
        priority: spec.priority,
    }
}

fn method(change: &JobChange) -> &'static str {
    match change {
        JobChange::Update { .. } => "update",
        JobChange::Pause { .. } => "pause",
        JobChange::Resume { .. } => "resume",
        JobChange::Delete => "delete",
    }
}

/// Writes the request id down, or answers the job of the call that did so before.
async fn claim_request(
    tx: &mut Tx,
    request: Option<&RequestId>,
    method: &str,
    job: JobId,
    now: DateTime<Utc>,
) -> Result<Option<JobId>, StoreError> {
    let Some(request) = request else { return Ok(None) };
    let claimed = sqlx::query!(
        "insert into punctual.job_request (request_id, method, job_id, created_at) values ($1, $2, $3, $4)
         on conflict (request_id) do nothing",
        request.0,
        method,
        job.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let earlier =
        sqlx::query!("select method, job_id from punctual.job_request where request_id = $1", request.0)
            .fetch_one(&mut **tx)
            .await?;
    if earlier.method != method || (method != "create" && earlier.job_id != job.0) {
        return Err(StoreError::RequestReused(request.0.clone()));
    }
    Ok(Some(JobId(earlier.job_id)))
}

fn as_json(spec: &impl serde::Serialize) -> serde_json::Value {
    // Plain structs of strings, numbers and maps with string keys always serialise.
    serde_json::to_value(spec).unwrap_or_default()
}

fn version_number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
