//! Jobs that run after others.

use punctual_scheduler_domain::after::{self, AfterGraph};
use punctual_scheduler_domain::id::{JobId, RunId, Shard};
use punctual_scheduler_domain::job::{Job, JobSpec, JobState};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use uuid::Uuid;

use super::live::{HeldKey, LiveRun, first};
use super::state::{Lane, State};
use crate::store::{RunLinks, StoreError};

/// Refuses a definition that names unknown jobs or makes a circle.
pub(super) fn check(
    state: &State,
    namespace: &Namespace,
    name: &JobName,
    spec: &JobSpec,
) -> Result<(), StoreError> {
    let mut graph = AfterGraph::default();
    let others =
        state.jobs.values().filter(|job| job.namespace == *namespace && job.state != JobState::Deleted);
    for job in others {
        for upstream in job.spec.upstreams() {
            graph.add(job.name.clone(), upstream.job.clone());
        }
    }
    let wrong = after::check(name, spec, graph, |job| state.job_named(namespace, job).is_some());
    if wrong.is_empty() { Ok(()) } else { Err(StoreError::InvalidDefinition(wrong)) }
}

/// Starts the jobs that run after the one whose run has just ended.
pub(super) fn start_downstream(state: &mut State, ended: &LiveRun, to: RunState) {
    let Some(upstream) = ended.job().and_then(|job| state.jobs.get(&job)) else { return };
    // A job made anew under the name has taken its place.
    let same = |job: &Job| job.namespace == upstream.namespace && job.name == upstream.name;
    if state.jobs.values().rev().find(|job| same(job)).map(|job| job.id) != ended.job() {
        return;
    }
    let starts = |job: &&Job| {
        job.namespace == upstream.namespace
            && job.state == JobState::Active
            && job.spec.upstreams().any(|of| *of.job == upstream.name && of.starts(to, state.now))
    };
    let downstream: Vec<_> = state.jobs.values().filter(starts).map(|job| job.id).collect();
    for job in downstream {
        start(state, job, ended.id);
    }
}

fn start(state: &mut State, id: JobId, upstream_run: RunId) {
    let now = state.now;
    let job = &state.jobs[&id];
    let (spec, version) = (job.spec.clone(), job.version);
    let namespace = job.namespace.clone();
    let lane = state.lane(Lane::of_job(&namespace, &spec));
    let key = spec.key_claim(&spec.task.payload()).map(|claim| HeldKey::of(&namespace, claim));
    let deadlines = (spec.timeouts.start_deadline(now), spec.timeouts.close_deadline(now));
    let run = LiveRun {
        id: RunId(Uuid::now_v7()),
        state: RunState::Scheduled,
        lane,
        max_running: spec.max_running,
        key,
        block: None,
        shard: Shard::of_job(id),
        version: Some((id, version)),
        origin: RunOrigin::After,
        overlap: spec.overlap,
        due_at: now,
        run_at: now,
        created_at: now,
        start_deadline: deadlines.0,
        close_deadline: deadlines.1,
        start_to_close: spec.timeouts.start_to_close,
        cancel_grace: spec.timeouts.cancel_grace,
        payload: None,
        retry: None,
        attempt: None,
        tries_used: 0,
        dispatch_seq: 0,
        redeliveries: 0,
        dispatch: None,
        session: None,
        worker: String::new(),
        started_at: None,
        cancel_requested_at: None,
        cancel_reason: String::new(),
        error: String::new(),
        reap_at: first([deadlines.0, deadlines.1]),
        links: RunLinks { upstream_run: Some(upstream_run), ..RunLinks::default() },
    };
    state.live.insert(run);
}
