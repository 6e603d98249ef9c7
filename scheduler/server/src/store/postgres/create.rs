//! Creating runs that no schedule made, many in one transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::redelivery_after;
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap, Task};
use punctual_scheduler_domain::name::{JobName, Namespace, TaskQueue};
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::timeouts::Timeouts;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::definitions::OwnDefinition;
use super::jobs::transaction_time;
use super::{PostgresStore, interval, millis, rows};
use crate::store::{CreatedRun, Dispatch, NewRun, NodeId, OneOffRun, RequestId, StoreError};

type Tx = Transaction<'static, Postgres>;
type Answers = Vec<Option<Result<CreatedRun, StoreError>>>;

/// A run with all that its row takes.
struct Resolved {
    id: RunId,
    namespace: Namespace,
    job: Option<(JobId, i32, JobName)>,
    task_queue: TaskQueue,
    task: Task,
    overlap: Overlap,
    retry: RetryPolicy,
    timeouts: Timeouts,
    run_at: Option<DateTime<Utc>>,
    /// Whether its definition is its own and not its job's.
    own: bool,
    node: Option<NodeId>,
    request: Option<RequestId>,
}

pub(super) async fn create_runs(
    store: &PostgresStore,
    publisher: ReplicaId,
    runs: Vec<NewRun>,
) -> Result<Vec<Result<CreatedRun, StoreError>>, StoreError> {
    let mut answers: Answers = runs.iter().map(|_| None).collect();
    let resolved = resolve(store, runs, &mut answers).await?;
    let mut lanes = Vec::new();
    let mut ready = Vec::new();
    let mut connection = store.pool.acquire().await?;
    for (position, run) in resolved {
        match store.lanes.id(&mut connection, &run.namespace, &run.task_queue, &run.task.kind()).await {
            Ok(lane) => {
                lanes.push(lane.0);
                ready.push((position, run));
            }
            Err(error @ StoreError::UnknownNamespace(_)) => answers[position] = Some(Err(error)),
            Err(error) => return Err(error),
        }
    }
    drop(connection);
    let mut tx = store.pool.begin().await?;
    let now = transaction_time(&mut tx, store).await?;
    let earlier = claim_requests(&mut tx, &ready).await?;
    let mut new = Vec::new();
    for ((position, run), lane) in ready.into_iter().zip(lanes) {
        let claimed = run
            .request
            .as_ref()
            .and_then(|request| earlier.get(&(run.namespace.to_string(), request.0.clone())));
        match claimed {
            Some(known) if *known != run.id => {
                answers[position] = Some(Ok(CreatedRun { id: *known, existed: true, dispatch: None }));
            }
            _ => {
                answers[position] =
                    Some(Ok(CreatedRun { id: run.id, existed: false, dispatch: dispatch_of(&run, now) }));
                new.push((run, lane));
            }
        }
    }
    insert(&mut tx, publisher, &new, now).await?;
    tx.commit().await?;
    // Every run was either refused above, known, or new.
    Ok(answers.into_iter().flatten().collect())
}

/// Looks the jobs of triggers up; a job that does not exist is answered at once.
async fn resolve(
    store: &PostgresStore,
    runs: Vec<NewRun>,
    answers: &mut Answers,
) -> Result<Vec<(usize, Resolved)>, StoreError> {
    let targets = trigger_targets(store, &runs).await?;
    let mut resolved = Vec::new();
    for (position, run) in runs.into_iter().enumerate() {
        match run {
            NewRun::Trigger { id, namespace, job, payload, request } => {
                match targets.get(&(namespace.to_string(), job.to_string())) {
                    Some((job_id, version, spec)) => {
                        resolved.push((
                            position,
                            triggered(id, namespace, (*job_id, *version, job), spec, payload, request),
                        ));
                    }
                    None => answers[position] = Some(Err(StoreError::NoSuchJob { namespace, name: job })),
                }
            }
            NewRun::OneOff(run) => resolved.push((position, one_off(*run))),
        }
    }
    Ok(resolved)
}

fn one_off(run: OneOffRun) -> Resolved {
    let OneOffRun { id, namespace, task_queue, task, run_at, retry, timeouts, request, node } = run;
    Resolved {
        id,
        namespace,
        job: None,
        task_queue,
        task,
        overlap: Overlap::Allow,
        retry,
        timeouts,
        // Only what is due now is queued at once.
        node: node.filter(|_| run_at.is_none()),
        run_at,
        own: true,
        request,
    }
}

fn triggered(
    id: RunId,
    namespace: Namespace,
    job: (JobId, i32, JobName),
    spec: &JobSpec,
    payload: Option<String>,
    request: Option<RequestId>,
) -> Resolved {
    let task = match (&spec.task, &payload) {
        (Task::Handler { kind, .. }, Some(payload)) => {
            Task::Handler { kind: kind.clone(), payload: payload.clone() }
        }
        (task, _) => task.clone(),
    };
    Resolved {
        id,
        namespace,
        job: Some(job),
        task_queue: spec.task_queue.clone(),
        task,
        overlap: spec.overlap,
        retry: spec.retry.clone(),
        timeouts: spec.timeouts.clone(),
        run_at: None,
        own: payload.is_some(),
        node: None,
        request,
    }
}

type Targets = HashMap<(String, String), (JobId, i32, JobSpec)>;

async fn trigger_targets(store: &PostgresStore, runs: &[NewRun]) -> Result<Targets, StoreError> {
    let (namespaces, names): (Vec<_>, Vec<_>) = runs
        .iter()
        .filter_map(|run| match run {
            NewRun::Trigger { namespace, job, .. } => Some((namespace.to_string(), job.to_string())),
            NewRun::OneOff(_) => None,
        })
        .unzip();
    if names.is_empty() {
        return Ok(Targets::new());
    }
    sqlx::query_file!("src/store/postgres/trigger_targets.sql", &namespaces, &names)
        .fetch_all(&store.pool)
        .await?
        .into_iter()
        .map(|row| {
            let spec = rows::definition(&format!("job {}", row.name), row.spec)?;
            Ok(((row.namespace, row.name), (JobId(row.id), row.version, spec)))
        })
        .collect()
}

/// Writes the idempotency keys down and answers which run holds each.
async fn claim_requests(
    tx: &mut Tx,
    runs: &[(usize, Resolved)],
) -> Result<HashMap<(String, String), RunId>, StoreError> {
    let mut keys: Vec<_> = runs
        .iter()
        .filter_map(|(_, run)| Some((run.namespace.to_string(), run.request.as_ref()?.0.clone(), run.id.0)))
        .collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    // In one order everywhere, so that two callers with the same keys wait for each other instead of deadlocking.
    keys.sort();
    let namespaces: Vec<_> = keys.iter().map(|key| key.0.clone()).collect();
    let requests: Vec<_> = keys.iter().map(|key| key.1.clone()).collect();
    let ids: Vec<_> = keys.iter().map(|key| key.2).collect();
    sqlx::query_file!("src/store/postgres/claim_requests.sql", &namespaces, &requests, &ids)
        .execute(&mut **tx)
        .await?;
    let known = sqlx::query_file!("src/store/postgres/known_requests.sql", &namespaces, &requests)
        .fetch_all(&mut **tx)
        .await?;
    Ok(known.into_iter().map(|row| ((row.namespace, row.request_id), RunId(row.run_id))).collect())
}

fn dispatch_of(run: &Resolved, now: DateTime<Utc>) -> Option<Dispatch> {
    Some(Dispatch {
        run: run.id,
        dispatch_seq: 1,
        node: run.node?,
        namespace: run.namespace.clone(),
        task_queue: run.task_queue.clone(),
        job: String::new(),
        kind: run.task.kind(),
        run_at: now,
    })
}

async fn insert(
    tx: &mut Tx,
    publisher: ReplicaId,
    runs: &[(Resolved, i32)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    let column =
        |value: fn(&Resolved) -> Option<Uuid>| runs.iter().map(|(run, _)| value(run)).collect::<Vec<_>>();
    let due: Vec<_> = runs.iter().map(|(run, _)| run.run_at.unwrap_or(now)).collect();
    let shard = |run: &Resolved| {
        run.job.as_ref().map_or_else(|| Shard::of_run(run.id), |(job, ..)| Shard::of_job(*job))
    };
    sqlx::query_file!(
        "src/store/postgres/insert_runs.sql",
        &runs.iter().map(|(run, _)| run.id.0).collect::<Vec<_>>(),
        &column(|run| run.job.as_ref().map(|(job, ..)| job.0)) as &[Option<Uuid>],
        &runs.iter().map(|(run, _)| run.job.as_ref().map(|(_, version, _)| *version)).collect::<Vec<_>>()
            as &[Option<i32>],
        &runs.iter().map(|(run, _)| origin_name(run).to_owned()).collect::<Vec<_>>(),
        &runs.iter().map(|(run, _)| run.overlap.as_str().to_owned()).collect::<Vec<_>>(),
        &runs.iter().map(|(run, _)| i16::from(shard(run).get())).collect::<Vec<_>>(),
        &runs.iter().map(|(_, lane)| *lane).collect::<Vec<_>>(),
        &due,
        &runs.iter().zip(&due).map(|((run, _), due)| run.timeouts.start_deadline(*due)).collect::<Vec<_>>()
            as &[Option<DateTime<Utc>>],
        &runs.iter().zip(&due).map(|((run, _), due)| run.timeouts.close_deadline(*due)).collect::<Vec<_>>()
            as &[Option<DateTime<Utc>>],
        &runs.iter().map(|(run, _)| millis(run.timeouts.start_to_close)).collect::<Vec<_>>(),
        &runs.iter().map(|(run, _)| millis(run.timeouts.cancel_grace)).collect::<Vec<_>>(),
        &runs.iter().map(|(run, _)| run.node.map(|node| node.0)).collect::<Vec<_>>() as &[Option<i32>],
        &runs.iter().map(|(run, _)| own_definition(run)).collect::<Vec<_>>()
            as &[Option<serde_json::Value>],
        now,
        publisher.0,
        interval(redelivery_after(1))
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn own_definition(run: &Resolved) -> Option<serde_json::Value> {
    let own =
        OwnDefinition { task: run.task.clone(), retry: run.retry.clone(), timeouts: run.timeouts.clone() };
    // Plain structs of strings and numbers always serialise.
    run.own.then(|| serde_json::to_value(own).unwrap_or_default())
}

fn origin_name(run: &Resolved) -> &'static str {
    if run.job.is_some() { "trigger" } else { "one_off" }
}
