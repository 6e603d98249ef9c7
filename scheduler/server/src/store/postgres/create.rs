//! Creating runs that no schedule made, many in one statement.

mod requests;
mod resolve;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::redelivery_after;
use punctual_scheduler_domain::id::{ReplicaId, RunId};
use sqlx::PgExecutor;

use self::requests::Holders;
use self::resolve::{Ready, Resolved, resolve};
use super::{PostgresStore, count, interval, millis};
use crate::store::{CreatedRun, Dispatch, NewRun, StoreError};

type Answers = Vec<Option<Result<CreatedRun, StoreError>>>;

/// When each run was written down, and whether it was queued.
type Made = HashMap<RunId, (DateTime<Utc>, bool)>;

pub(super) async fn create_runs(
    store: &PostgresStore,
    publisher: ReplicaId,
    runs: Vec<NewRun>,
) -> Result<Vec<Result<CreatedRun, StoreError>>, StoreError> {
    let mut answers: Answers = runs.iter().map(|_| None).collect();
    let ready = resolve(store, runs, &mut answers).await?;
    if ready.iter().any(|ready| ready.run.request.is_some()) {
        create_once(store, publisher, &ready, &mut answers).await?;
    } else if !ready.is_empty() {
        // One statement that commits itself: a single round trip.
        let ready: Vec<_> = ready.iter().collect();
        let made = insert(store, &store.pool, publisher, &ready).await?;
        answer(&ready, &made, &mut answers);
    }
    // Every run was refused, known, made, or found without its job.
    Ok(answers.into_iter().flatten().collect())
}

/// Creates those whose idempotency key nobody holds, in one transaction with the keys.
async fn create_once(
    store: &PostgresStore,
    publisher: ReplicaId,
    ready: &[Ready],
    answers: &mut Answers,
) -> Result<(), StoreError> {
    let mut open: Vec<_> = ready.iter().collect();
    while !open.is_empty() {
        let mut tx = store.pool.begin().await?;
        let holders = Holders::claim(&mut tx, &open).await?;
        let mut new = Vec::new();
        for ready in &open {
            match holders.holder(&ready.run).transpose() {
                Some(held) => {
                    let existing = |id| CreatedRun { id, created_at: None, dispatch: None };
                    answers[ready.position] = Some(held.map(existing));
                }
                None => new.push(*ready),
            }
        }
        let made = insert(store, &mut *tx, publisher, &new).await?;
        answer(&new, &made, answers);
        if made.len() == new.len() {
            tx.commit().await?;
            break;
        }
        // Jobs were deleted since they were looked up. Their triggers must not keep their keys.
        tx.rollback().await?;
        let gone = |ready: &Ready| {
            new.iter().any(|new| new.position == ready.position) && !made.contains_key(&ready.run.id)
        };
        open.retain(|ready| !gone(ready));
    }
    Ok(())
}

/// Answers what was written down. A trigger that was not has lost its job since the job was looked up.
fn answer(runs: &[&Ready], made: &Made, answers: &mut Answers) {
    for Ready { position, run, .. } in runs {
        answers[*position] = match (made.get(&run.id), &run.job) {
            (Some((now, queued)), _) => {
                let dispatch = if *queued { dispatch_of(run, *now) } else { None };
                Some(Ok(CreatedRun { id: run.id, created_at: Some(*now), dispatch }))
            }
            (None, Some((.., name))) => {
                let (namespace, name) = (run.namespace.clone(), name.clone());
                Some(Err(StoreError::NoSuchJob { namespace, name }))
            }
            // The statement leaves out no run but those of a job.
            (None, None) => None,
        };
    }
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
    store: &PostgresStore,
    executor: impl PgExecutor<'_>,
    publisher: ReplicaId,
    ready: &[&Ready],
) -> Result<Made, StoreError> {
    if ready.is_empty() {
        return Ok(Made::new());
    }
    let made = sqlx::query_file!(
        "src/store/postgres/insert_runs.sql",
        &column(ready, |run| run.id.0),
        &column(ready, |run| run.job_id().map(|job| job.0)) as &[Option<uuid::Uuid>],
        &column(ready, |run| run.job.as_ref().map(|(_, version, _)| *version)) as &[Option<i32>],
        &column(ready, |run| run.origin().to_owned()),
        &column(ready, |run| run.overlap.as_str().to_owned()),
        &column(ready, |run| i16::from(run.shard().get())),
        &ready.iter().map(|ready| ready.lane.0).collect::<Vec<_>>(),
        &column(ready, |run| run.run_at) as &[Option<DateTime<Utc>>],
        &column(ready, |run| run.timeouts.schedule_to_start.map(millis)) as &[Option<i64>],
        &column(ready, |run| run.timeouts.schedule_to_close.map(millis)) as &[Option<i64>],
        &column(ready, |run| millis(run.timeouts.start_to_close)),
        &column(ready, |run| millis(run.timeouts.cancel_grace)),
        &column(ready, |run| run.node.map(|node| node.0)) as &[Option<i32>],
        &column(ready, Resolved::own_definition) as &[Option<serde_json::Value>],
        store.now(),
        publisher.0,
        interval(redelivery_after(1)),
        &column(ready, |run| count(run.max_running)),
        &column(ready, |run| run.key_path()) as &[Option<String>],
        &column(ready, |run| run.key.as_ref().map(|key| count(key.limit))) as &[Option<i32>]
    )
    .fetch_all(executor)
    .await
    .map_err(StoreError::from)
    .inspect_err(|error| store.lanes.heed(error))?;
    Ok(made.into_iter().map(|row| (RunId(row.id), (row.created_at, row.queued))).collect())
}

fn column<T>(ready: &[&Ready], value: impl Fn(&Resolved) -> T) -> Vec<T> {
    ready.iter().map(|ready| value(&ready.run)).collect()
}
