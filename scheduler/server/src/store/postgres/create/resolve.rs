//! What a new run is, with the job of a trigger looked up and its lane numbered.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::concurrency::{KeyClaim, KeyPath};
use punctual_scheduler_domain::id::{JobId, RunId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap, Task};
use punctual_scheduler_domain::name::{JobName, Namespace, TaskQueue};
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::timeouts::Timeouts;

use super::super::definitions::OwnDefinition;
use super::super::lanes::LaneKey;
use super::super::{PostgresStore, rows};
use super::Answers;
use crate::store::{LaneId, NewRun, NodeId, OneOffRun, RequestId, StoreError, TriggerOptions};

/// A run with all that its row takes.
pub(super) struct Resolved {
    pub(super) id: RunId,
    pub(super) namespace: Namespace,
    pub(super) job: Option<(JobId, i32, JobName)>,
    pub(super) task_queue: TaskQueue,
    pub(super) task: Task,
    pub(super) overlap: Overlap,
    pub(super) max_running: u32,
    pub(super) priority: Priority,
    /// The place it needs.
    pub(super) key: Option<KeyClaim>,
    pub(super) retry: RetryPolicy,
    pub(super) timeouts: Timeouts,
    pub(super) run_at: Option<DateTime<Utc>>,
    /// Whether its definition is its own and not its job's.
    pub(super) own: bool,
    pub(super) node: Option<NodeId>,
    pub(super) request: Option<RequestId>,
}

impl Resolved {
    pub(super) fn job_id(&self) -> Option<JobId> {
        self.job.as_ref().map(|(job, ..)| *job)
    }

    /// As its row keeps it.
    pub(super) fn key_path(&self) -> Option<String> {
        let key = self.key.as_ref()?.key.clone();
        Some(KeyPath { namespace: self.namespace.clone(), key }.to_string())
    }

    pub(super) fn shard(&self) -> Shard {
        self.job_id().map_or_else(|| Shard::of_run(self.id), Shard::of_job)
    }

    pub(super) fn origin(&self) -> &'static str {
        if self.job.is_some() { "trigger" } else { "one_off" }
    }

    /// As `run_spec` keeps it, where it is not the job's.
    pub(super) fn own_definition(&self) -> Option<serde_json::Value> {
        let own = || OwnDefinition {
            task: self.task.clone(),
            retry: self.retry.clone(),
            timeouts: self.timeouts.clone(),
        };
        // Plain structs of strings and numbers always serialise.
        self.own.then(|| serde_json::to_value(own()).unwrap_or_default())
    }
}

/// A run that can be written down, and where its answer goes.
pub(super) struct Ready {
    pub(super) position: usize,
    pub(super) lane: LaneId,
    pub(super) run: Resolved,
}

/// Looks up the jobs of triggers, and lanes that are not known yet. What cannot be created is answered at once.
pub(super) async fn resolve(
    store: &PostgresStore,
    runs: Vec<NewRun>,
    answers: &mut Answers,
) -> Result<Vec<Ready>, StoreError> {
    let targets = trigger_targets(store, &runs).await?;
    let mut ready = Vec::with_capacity(runs.len());
    for (position, run) in runs.into_iter().enumerate() {
        let run = match run {
            NewRun::OneOff(run) => one_off(*run),
            NewRun::Trigger { id, namespace, job, payload, options, request } => {
                match targets.get(&(namespace.to_string(), job.to_string())) {
                    Some((job_id, version, spec)) => {
                        let run = triggered(id, namespace, (*job_id, *version, job), spec, payload, request);
                        with_options(run, options)
                    }
                    None => {
                        answers[position] = Some(Err(StoreError::NoSuchJob { namespace, name: job }));
                        continue;
                    }
                }
            }
        };
        let lane = LaneKey {
            namespace: run.namespace.clone(),
            task_queue: run.task_queue.clone(),
            kind: run.task.kind(),
            priority: run.priority,
        };
        match store.lanes.find_or_make(&store.pool, lane).await {
            Ok(lane) => ready.push(Ready { position, lane, run }),
            Err(error @ StoreError::UnknownNamespace(_)) => answers[position] = Some(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(ready)
}

fn one_off(run: OneOffRun) -> Resolved {
    let OneOffRun {
        id,
        namespace,
        task_queue,
        task,
        run_at,
        priority,
        concurrency,
        retry,
        timeouts,
        request,
        node,
    } = run;
    let key = concurrency.map(|concurrency| concurrency.claim(&task.payload(), &Default::default()));
    Resolved {
        id,
        namespace,
        job: None,
        task_queue,
        task,
        overlap: Overlap::Allow,
        max_running: 1,
        priority,
        retry,
        timeouts,
        // Only what is due now, and needs no place, is queued at once.
        node: node.filter(|_| run_at.is_none() && key.is_none()),
        key,
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
    let key = spec.key_claim(&task.payload());
    Resolved {
        id,
        namespace,
        job: Some(job),
        task_queue: spec.task_queue.clone(),
        task,
        overlap: spec.overlap,
        max_running: spec.max_running,
        priority: spec.priority,
        key,
        retry: spec.retry.clone(),
        timeouts: spec.timeouts.clone(),
        run_at: None,
        own: payload.is_some(),
        node: None,
        request,
    }
}

/// What the caller wants otherwise than the job has it.
fn with_options(run: Resolved, options: TriggerOptions) -> Resolved {
    Resolved {
        overlap: options.overlap.unwrap_or(run.overlap),
        priority: options.priority.unwrap_or(run.priority),
        ..run
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
