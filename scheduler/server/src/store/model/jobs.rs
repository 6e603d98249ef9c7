//! Jobs and their changes.

use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobState, Pause};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan::{Since, begin};
use punctual_scheduler_domain::run::{RunOrigin, RunState};

use super::state::{Lane, State};
use super::{after, audit, backfill, calendars, cancel, delays, plan as planning};
use crate::store::job::Entry;
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
    calendars::require(state, &new.namespace, &new.spec)?;
    after::check(state, &new.namespace, &new.name, &new.spec)?;
    state.lane(Lane::of_job(&new.namespace, &new.spec));
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
        pause: None,
        created_at: now,
        updated_at: now,
        next_due_at: None,
    };
    state.define(job.id, 1, new.spec, &new.author, now);
    plan_anew(&mut job, state, Since::After(now));
    job.state_reason = String::new();
    claim(state, request, "create", new.id);
    let made = Entry { kind: JobEventKind::Created, by: new.author, note: String::new(), since: None };
    audit::record(state, &job, made);
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
    by: &str,
) -> Result<Job, StoreError> {
    if let JobChange::Update { spec, .. } = &change {
        state.require(namespace)?;
        state.lane(Lane::of_job(namespace, spec));
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
    let nothing = is_no_change(&job, &change);
    if let (JobChange::Update { spec, .. }, false) = (&change, nothing) {
        calendars::require(state, namespace, spec)?;
        after::check(state, namespace, name, spec)?;
    }
    let entry = change.entry(by, job.pause.as_ref());
    claim(state, request, method, job.id);
    if nothing {
        return Ok(job);
    }
    // What is due by now is due under the old version.
    if job.state == JobState::Active {
        planning::plan_job_until_now(state, &job);
    }
    unplan(state, job.id);
    Ok(apply(state, job.id, change, entry))
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

fn apply(state: &mut State, id: JobId, change: JobChange, entry: Entry) -> Job {
    let mut job = state.jobs[&id].clone();
    match change {
        JobChange::Update { spec, back_to: _ } => {
            job.version += 1;
            job.spec = *spec;
            state.define(id, job.version, job.spec.clone(), &entry.by, job.created_at);
            if job.state == JobState::Paused {
                state.delayed.remove(&id);
            } else {
                let since = Since::After(state.now);
                plan_anew(&mut job, state, since);
            }
        }
        JobChange::Pause { reason, by, until } => {
            let at = job.pause.map_or(state.now, |pause| pause.at);
            job.state = JobState::Paused;
            job.state_reason = reason;
            job.pause = Some(Pause { at, by, until });
            job.next_due_at = None;
            state.delayed.remove(&id);
        }
        JobChange::Resume { catch_up } => {
            let since = job.pause.as_ref().filter(|_| catch_up).map_or(state.now, |pause| pause.at);
            return resume(state, id, Since::After(since), entry);
        }
        JobChange::Delete => {
            job.state = JobState::Deleted;
            job.state_reason = String::new();
            job.pause = None;
            job.next_due_at = None;
            state.delayed.remove(&id);
            backfill::cancel_of_job(state, id, cancel::DELETED);
            cancel::cancel_unstarted(state, id, cancel::DELETED);
        }
    }
    write(state, job, entry)
}

/// Goes on planning a job from `since` on.
pub(super) fn resume(state: &mut State, id: JobId, since: Since, entry: Entry) -> Job {
    let mut job = state.jobs[&id].clone();
    job.pause = None;
    plan_anew(&mut job, state, since);
    write(state, job, entry)
}

fn write(state: &mut State, mut job: Job, entry: Entry) -> Job {
    job.revision += 1;
    job.updated_at = state.now;
    audit::record(state, &job, entry);
    state.jobs.insert(job.id, job.clone());
    job
}

/// Sets the cursor to where the definition in force begins.
fn plan_anew(job: &mut Job, state: &mut State, since: Since) {
    let definition = &state.definitions[&(job.id, job.version)];
    let has_unfinished = delays::has_unfinished(state, job.id);
    let begun = begin(&definition.schedule, since, state.now, has_unfinished);
    (job.next_due_at, job.state, job.state_reason) = (begun.next, begun.state, begun.reason);
    state.delayed.remove(&job.id);
    state.delayed.extend(begun.delayed.map(|delayed| (job.id, delayed)));
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

fn method(change: &JobChange) -> &'static str {
    match change {
        JobChange::Update { .. } => "update",
        JobChange::Pause { .. } => "pause",
        JobChange::Resume { .. } => "resume",
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
