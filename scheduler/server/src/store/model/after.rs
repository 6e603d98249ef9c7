//! Jobs that run after others.

use punctual_scheduler_domain::after::{self, AfterGraph};
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::{Job, JobSpec, JobState};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::run::{RunOrigin, RunState};

use super::live::LiveRun;
use super::run_of_job::RunOfJob;
use super::state::State;
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
    let (now, job) = (state.now, &state.jobs[&id]);
    let (spec, version) = (job.spec.clone(), job.version);
    state.write_down(RunOfJob {
        job: id,
        version,
        spec: &spec,
        origin: RunOrigin::After,
        overlap: spec.overlap,
        due_at: now,
        run_at: now,
        timed_from: now,
        links: RunLinks { upstream_run: Some(upstream_run), ..RunLinks::default() },
    });
}
