//! Creating runs that no schedule made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::redelivery_after;
use punctual_scheduler_domain::concurrency::KeyClaim;
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, Shard};
use punctual_scheduler_domain::job::{Overlap, Task};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::timeouts::Timeouts;

use super::due::dispatch;
use super::live::{HeldKey, LiveRun, first, span};
use super::state::{Lane, State};
use crate::store::{CreatedRun, NewRun, NodeId, OneOffRun, RequestId, RunLinks, StoreError, TriggerOptions};

pub(super) fn create_runs(
    state: &mut State,
    publisher: ReplicaId,
    runs: Vec<NewRun>,
) -> Vec<Result<CreatedRun, StoreError>> {
    runs.into_iter().map(|run| create(state, publisher, run)).collect()
}

/// What a run is, wherever that is written.
struct Template {
    version: Option<(JobId, u32)>,
    lane: Lane,
    overlap: Overlap,
    max_running: u32,
    key: Option<KeyClaim>,
    timeouts: Timeouts,
    payload: Option<String>,
    retry: Option<RetryPolicy>,
}

fn create(state: &mut State, publisher: ReplicaId, run: NewRun) -> Result<CreatedRun, StoreError> {
    match run {
        NewRun::Trigger { id, namespace, job, payload, options, request } => {
            let template = triggered(state, &namespace, job.clone(), payload, options)?;
            let known = claim(state, namespace, request, id, Some(job))?;
            Ok(known.unwrap_or_else(|| insert(state, publisher, id, template, None, None)))
        }
        NewRun::OneOff(run) => {
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
            } = *run;
            let key = concurrency.map(|concurrency| concurrency.claim(&task.payload(), &BTreeMap::new()));
            state.require(&namespace)?;
            let template = Template {
                version: None,
                lane: Lane { namespace: namespace.clone(), task_queue, kind: task.kind(), priority },
                overlap: Overlap::Allow,
                max_running: 1,
                key,
                timeouts,
                payload: Some(task.payload()),
                retry: Some(retry),
            };
            // Only what is due now, and needs no place, is queued at once, where the task queue is not paused.
            let goes = run_at.is_none()
                && template.key.is_none()
                && !state.paused.contains_key(&template.lane.queue());
            let node = node.filter(|_| goes);
            let known = claim(state, namespace, request, id, None)?;
            Ok(known.unwrap_or_else(|| insert(state, publisher, id, template, run_at, node)))
        }
    }
}

fn triggered(
    state: &State,
    namespace: &Namespace,
    name: JobName,
    payload: Option<String>,
    options: TriggerOptions,
) -> Result<Template, StoreError> {
    let Some(job) = state.job_named(namespace, &name) else {
        return Err(StoreError::NoSuchJob { namespace: namespace.clone(), name });
    };
    let spec = &job.spec;
    let lane = Lane::of_job(namespace, spec);
    let payload = payload.map(|payload| match &spec.task {
        Task::Handler { .. } => payload,
        task @ Task::Exec(_) => task.payload(),
    });
    Ok(Template {
        version: Some((job.id, job.version)),
        lane: Lane { priority: options.priority.unwrap_or(lane.priority), ..lane },
        overlap: options.overlap.unwrap_or(spec.overlap),
        max_running: spec.max_running,
        key: match &payload {
            Some(payload) => spec.key_claim(payload),
            None => spec.key_claim(&spec.task.payload()),
        },
        timeouts: spec.timeouts.clone(),
        payload,
        retry: None,
    })
}

/// The run that holds the idempotency key already, if any; else the key is this run's.
fn claim(
    state: &mut State,
    namespace: Namespace,
    request: Option<RequestId>,
    id: RunId,
    job: Option<JobName>,
) -> Result<Option<CreatedRun>, StoreError> {
    let Some(RequestId(request)) = request else { return Ok(None) };
    let held = state.run_requests.entry((namespace, request.clone())).or_insert_with(|| (id, job.clone()));
    match held {
        (holder, _) if *holder == id => Ok(None),
        (holder, of) if *of == job => Ok(Some(CreatedRun { id: *holder, created_at: None, dispatch: None })),
        (holder, of) => Err(StoreError::RequestOfAnotherRun { request, run: *holder, job: of.clone() }),
    }
}

fn insert(
    state: &mut State,
    publisher: ReplicaId,
    id: RunId,
    template: Template,
    run_at: Option<DateTime<Utc>>,
    node: Option<NodeId>,
) -> CreatedRun {
    let now = state.now;
    let Template { version, lane, overlap, max_running, key, timeouts, payload, retry } = template;
    let key = key.map(|claim| HeldKey::of(&lane.namespace, claim));
    let due_at = run_at.unwrap_or(now);
    let (start_deadline, close_deadline) = (timeouts.start_deadline(due_at), timeouts.close_deadline(due_at));
    let redelivery = node.map(|_| now + span(redelivery_after(1)));
    let run = LiveRun {
        id,
        state: if node.is_some() { RunState::Queued } else { RunState::Scheduled },
        lane: state.lane(lane),
        shard: version.map_or_else(|| Shard::of_run(id), |(job, _)| Shard::of_job(job)),
        origin: if version.is_some() { RunOrigin::Trigger } else { RunOrigin::OneOff },
        version,
        overlap,
        max_running,
        key,
        block: None,
        due_at,
        run_at: due_at,
        created_at: now,
        start_deadline,
        close_deadline,
        start_to_close: timeouts.start_to_close,
        cancel_grace: timeouts.cancel_grace,
        payload,
        retry,
        attempt: None,
        tries_used: 0,
        dispatch_seq: u32::from(node.is_some()),
        redeliveries: 0,
        dispatch: node.map(|node| (node, publisher, now)),
        session: None,
        worker: String::new(),
        started_at: None,
        cancel_requested_at: None,
        cancel_reason: String::new(),
        error: String::new(),
        reap_at: first([start_deadline, close_deadline, redelivery]),
        links: RunLinks::default(),
    };
    let dispatch = node.map(|node| dispatch(state, &run, node));
    state.live.insert(run);
    CreatedRun { id, created_at: Some(state.now), dispatch }
}
