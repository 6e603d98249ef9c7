//! Which job runs after which, as the end of a run finds it: with all that the new run takes.

use std::collections::HashMap;

use punctual_scheduler_domain::after::{self, AfterGraph};
use punctual_scheduler_domain::concurrency::KeyPath;
use punctual_scheduler_domain::id::{JobId, Shard};
use punctual_scheduler_domain::job::{Job, JobSpec};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::run::RunState;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{PostgresStore, count, jobs, millis, rows};
use crate::store::StoreError;

type Tx = Transaction<'static, Postgres>;

/// A job that may run after others.
pub(super) struct Downstream<'a> {
    pub(super) job: JobId,
    pub(super) namespace: &'a Namespace,
    pub(super) name: &'a JobName,
    pub(super) version: u32,
    pub(super) spec: &'a JobSpec,
}

impl<'a> Downstream<'a> {
    pub(super) fn of(job: &'a Job) -> Self {
        let Job { id, namespace, name, version, spec, .. } = job;
        Self { job: *id, namespace, name, version: *version, spec }
    }
}

/// Replaces what the job runs after. The job is written down already.
///
/// # Errors
/// [`StoreError::InvalidDefinition`] for names of no job, and for a circle.
pub(super) async fn save(store: &PostgresStore, tx: &mut Tx, job: &Downstream<'_>) -> Result<(), StoreError> {
    forget(tx, job.job).await?;
    if job.spec.upstreams().next().is_none() {
        return Ok(());
    }
    // Two that are saved at once could make a circle together that neither sees.
    sqlx::query!("select pg_advisory_xact_lock(7031, 2)").execute(&mut **tx).await?;
    let known = lock_upstreams(tx, job).await?;
    let graph = graph(tx, job.namespace).await?;
    let wrong = after::check(job.name, job.spec, graph, |name| known.contains_key(name.as_str()));
    if !wrong.is_empty() {
        return Err(StoreError::InvalidDefinition(wrong));
    }
    insert(store, tx, job, &known).await
}

/// The jobs named, each kept from being deleted until this one is saved, so that one made anew under its name is
/// linked by [`link`].
async fn lock_upstreams(tx: &mut Tx, job: &Downstream<'_>) -> Result<HashMap<String, Uuid>, StoreError> {
    let names: Vec<_> = job.spec.upstreams().map(|upstream| upstream.job.to_string()).collect();
    let found = sqlx::query!(
        "select id, name from punctual.job where namespace = $1 and name = any($2) and state <> 'deleted'
         order by id for key share",
        job.namespace.as_ref(),
        &names
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(found.into_iter().map(|row| (row.name, row.id)).collect())
}

async fn graph(tx: &mut Tx, namespace: &Namespace) -> Result<AfterGraph, StoreError> {
    let mut graph = AfterGraph::default();
    let edges = sqlx::query!(
        "select j.name, a.upstream_name from punctual.job_after a join punctual.job j on j.id = a.job_id
         where a.namespace = $1",
        namespace.as_ref()
    )
    .fetch_all(&mut **tx)
    .await?;
    for edge in edges {
        graph.add(rows::parsed("job name", &edge.name)?, rows::parsed("job name", &edge.upstream_name)?);
    }
    Ok(graph)
}

async fn insert(
    store: &PostgresStore,
    tx: &mut Tx,
    job: &Downstream<'_>,
    known: &HashMap<String, Uuid>,
) -> Result<(), StoreError> {
    let Downstream { job: id, namespace, version, spec, .. } = job;
    let lane = store.lanes.id(tx, jobs::lane_key(namespace, spec)).await?;
    let key = spec.key_claim(&spec.task.payload());
    let key_path = key.map(|claim| KeyPath { namespace: (*namespace).clone(), key: claim.key }.to_string());
    for upstream in spec.upstreams() {
        let Some(upstream_job) = known.get(upstream.job.as_str()) else { continue };
        let states = RunState::ALL.iter().filter(|state| upstream.on.starts(**state));
        let states: Vec<_> = states.map(|state| state.as_str().to_owned()).collect();
        sqlx::query_file!(
            "src/store/postgres/insert_job_after.sql",
            id.0,
            namespace.as_ref(),
            upstream.job.as_ref(),
            *upstream_job,
            &states,
            upstream.schedule.start,
            upstream.schedule.end,
            i32::try_from(*version).unwrap_or(i32::MAX),
            lane.0,
            i16::from(Shard::of_job(*id).get()),
            spec.overlap.as_str(),
            spec.timeouts.schedule_to_start.map(millis),
            spec.timeouts.schedule_to_close.map(millis),
            millis(spec.timeouts.start_to_close),
            millis(spec.timeouts.cancel_grace),
            count(spec.max_running),
            key_path.clone(),
            spec.concurrency.as_ref().map(|key| count(key.limit))
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Lets those that run after a job of this name run after the new one.
pub(super) async fn link(
    tx: &mut Tx,
    job: JobId,
    namespace: &Namespace,
    name: &JobName,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update punctual.job_after set upstream_job = $1
         where namespace = $2 and upstream_name = $3 and upstream_job <> $1",
        job.0,
        namespace.as_ref(),
        name.as_ref()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets what the job ran after; whether it did.
pub(super) async fn forget(tx: &mut Tx, job: JobId) -> Result<bool, StoreError> {
    let gone =
        sqlx::query!("delete from punctual.job_after where job_id = $1", job.0).execute(&mut **tx).await?;
    Ok(gone.rows_affected() > 0)
}
