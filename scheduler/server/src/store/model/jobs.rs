//! Jobs and their changes.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobState};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::schedule::{ScheduleError, ScheduleSet, ScheduleSpec};

use super::state::{Lane, State};
use super::{after, backfill, cancel, plan as planning};
use crate::store::{JobChange, NewJob, RequestId, Revision, StoreError};

pub(super) fn list(state: &State, namespace: &Namespace, after: Option<&JobName>, limit: u32) -> Vec<Job> {
    let mut jobs: Vec<_> = state
        .jobs
        .values()
        .filter(|job| job.namespace == *namespace && job.state != JobState::Deleted)
        .filter(|job| after.is_none_or(|after| job.name > *after))
        .cloned()
        .collect();
    jobs.sort_by(|one, other| one.name.cmp(&other.name));
    jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    jobs
}

pub(super) fn create(
    state: &mut State,
    new: NewJob,
    request: Option<&RequestId>,
) -> Result<JobId, StoreError> {
    state.require(&new.namespace)?;
    if let Some(earlier) = earlier(state, request, "create", new.id)? {
        return Ok(earlier);
    }
    if state.job_named(&new.namespace, &new.name).is_some() {
        return Err(StoreError::JobExists { namespace: new.namespace, name: new.name });
    }
    after::check(state, &new.namespace, &new.name, &new.spec)?;
    state.lane(Lane {
        namespace: new.namespace.clone(),
        task_queue: new.spec.task_queue.clone(),
        kind: new.spec.task.kind(),
    });
    let now = state.now;
    let mut job = Job {
        id: new.id,
        namespace: new.namespace,
        name: new.name,
        version: 1,
        revision: 1,
        spec: new.spec.clone(),
        state: JobState::Active,
        state_reason: String::new(),
        created_at: now,
        updated_at: now,
        next_due_at: None,
    };
    plan_anew(&mut job, state);
    job.state_reason = String::new();
    state.define(job.id, 1, new.spec);
    claim(state, request, "create", new.id);
    state.jobs.insert(new.id, job);
    Ok(new.id)
}

pub(super) fn change(
    state: &mut State,
    namespace: &Namespace,
    name: &JobName,
    change: JobChange,
    revision: Option<Revision>,
    request: Option<&RequestId>,
) -> Result<Job, StoreError> {
    if let JobChange::Update { spec, .. } = &change {
        state.require(namespace)?;
        let lane = Lane {
            namespace: namespace.clone(),
            task_queue: spec.task_queue.clone(),
            kind: spec.task.kind(),
        };
        state.lane(lane);
    }
    let job = find(state, namespace, name, request)
        .ok_or_else(|| StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() })?;
    let method = method(&change);
    if earlier(state, request, method, job.id)?.is_some() {
        return Ok(job);
    }
    if let Some(expected) = revision
        && expected != job.revision
    {
        return Err(StoreError::StaleRevision { name: name.clone(), expected, found: job.revision });
    }
    if is_no_change(&job, &change) {
        claim(state, request, method, job.id);
        return Ok(job);
    }
    if let JobChange::Update { spec, .. } = &change {
        after::check(state, namespace, name, spec)?;
    }
    claim(state, request, method, job.id);
    // What is due by now is due under the old version.
    if job.state == JobState::Active {
        planning::plan_job_until_now(state, &job);
    }
    unplan(state, job.id);
    let changed = apply(state, job.id, change);
    Ok(changed)
}

/// The job of that name; to a repeat of the request that deleted it, the deleted one.
fn find(state: &State, namespace: &Namespace, name: &JobName, request: Option<&RequestId>) -> Option<Job> {
    let live = state.job_named(namespace, name);
    let asked = || {
        let (_, job) = state.job_requests.get(&request?.0)?;
        state.jobs.get(job).filter(|job| job.namespace == *namespace && job.name == *name)
    };
    live.or_else(asked).cloned()
}

/// What was only planned ahead is unplanned.
fn unplan(state: &mut State, job: JobId) {
    let now = state.now;
    let ahead: Vec<_> = state
        .live
        .of_job(job)
        .filter(|run| run.origin == RunOrigin::Schedule && run.state == RunState::Scheduled)
        .filter(|run| run.dispatch_seq == 0 && run.due_at > now)
        .map(|run| (run.id, run.due_at))
        .collect();
    for (run, due_at) in ahead {
        state.live.remove(run);
        state.ledger.remove(&(job, due_at));
    }
}

fn apply(state: &mut State, id: JobId, change: JobChange) -> Job {
    let mut job = state.jobs[&id].clone();
    match change {
        JobChange::Update { spec, author: _ } => {
            job.version += 1;
            job.spec = *spec;
            state.define(id, job.version, job.spec.clone());
            if job.state != JobState::Paused {
                plan_anew(&mut job, state);
            }
        }
        JobChange::Pause { reason } => {
            job.state = JobState::Paused;
            job.state_reason = reason;
            job.next_due_at = None;
        }
        JobChange::Resume => plan_anew(&mut job, state),
        JobChange::Delete => {
            job.state = JobState::Deleted;
            job.state_reason = String::new();
            job.next_due_at = None;
            backfill::cancel_of_job(state, id, cancel::DELETED);
            cancel::cancel_unstarted(state, id, cancel::DELETED);
        }
    }
    job.revision += 1;
    job.updated_at = state.now;
    state.jobs.insert(id, job.clone());
    job
}

/// The first instant from now on, and whether there will never be one.
fn start_of(
    schedule: &[ScheduleSpec],
    now: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, bool), ScheduleError> {
    let set = ScheduleSet::compile(schedule)?;
    let next = plan::first_after(&set, now)?;
    Ok((next, set.is_over(next)))
}

/// Sets the cursor to the first instant from now on of the definition in force.
fn plan_anew(job: &mut Job, state: &State) {
    match start_of(&job.spec.schedule, state.now) {
        Ok((next, is_over)) => {
            job.next_due_at = next;
            job.state = if is_over { JobState::Exhausted } else { JobState::Active };
            job.state_reason = String::new();
        }
        Err(error) => {
            job.next_due_at = None;
            job.state = JobState::Errored;
            job.state_reason = error.to_string();
        }
    }
}

fn is_no_change(job: &Job, change: &JobChange) -> bool {
    match change {
        JobChange::Update { spec, .. } => **spec == job.spec,
        JobChange::Pause { .. } => job.state == JobState::Paused,
        JobChange::Resume => job.state != JobState::Paused && job.state != JobState::Errored,
        JobChange::Delete => job.state == JobState::Deleted,
    }
}

fn method(change: &JobChange) -> &'static str {
    match change {
        JobChange::Update { .. } => "update",
        JobChange::Pause { .. } => "pause",
        JobChange::Resume => "resume",
        JobChange::Delete => "delete",
    }
}

/// The job of an earlier call with this request id.
fn earlier(
    state: &State,
    request: Option<&RequestId>,
    method: &str,
    job: JobId,
) -> Result<Option<JobId>, StoreError> {
    let Some((request, (used_for, used_on))) =
        request.and_then(|request| Some((request, state.job_requests.get(&request.0)?)))
    else {
        return Ok(None);
    };
    if *used_for != method || (method != "create" && *used_on != job) {
        return Err(StoreError::RequestReused(request.0.clone()));
    }
    Ok(Some(*used_on))
}

fn claim(state: &mut State, request: Option<&RequestId>, method: &'static str, job: JobId) {
    if let Some(request) = request {
        state.job_requests.insert(request.0.clone(), (method, job));
    }
}
