//! What was done to jobs, and what is on record of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::{JobEvent, JobEventKind};
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobSpec, JobState};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::plan::MissedRange;
use punctual_scheduler_domain::run::RunOrigin;

use super::nodes;
use super::state::State;
use crate::store::job::Entry;
use crate::store::{
    InstantRun, JobRecord, JobVersion, RecordSelection, RecordedEvent, RecordsOf, StoreError,
};

/// Writes down what was done to a job, and what planning made of it.
pub(super) fn record(state: &mut State, job: &Job, entry: Entry) {
    write(state, job, entry);
    record_stop(state, job);
}

/// Writes down what planning found out.
pub(super) fn record_stop(state: &mut State, job: &Job) {
    if let Some(kind) = JobEventKind::of_planning(job.state) {
        write(state, job, Entry::found(kind, &job.state_reason));
    }
}

fn write(state: &mut State, job: &Job, entry: Entry) {
    let Entry { kind, by: actor, note, since } = entry;
    let event = JobEvent { at: state.now, since, kind, actor, version: job.version, note };
    let id = state.events.last().map_or(1, |last| last.id + 1);
    state.events.push(RecordedEvent { id, job: job.id, event });
}

/// All that bear or bore the name, the latest first.
fn named<'a>(state: &'a State, namespace: &Namespace, name: &JobName) -> Vec<&'a Job> {
    let mut jobs: Vec<_> =
        state.jobs.values().filter(|job| job.namespace == *namespace && job.name == *name).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse((job.created_at, job.id)));
    jobs
}

fn missing(namespace: &Namespace, name: &JobName) -> StoreError {
    StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() }
}

pub(super) fn versions(
    state: &State,
    namespace: &Namespace,
    name: &JobName,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<JobVersion>, StoreError> {
    let mut jobs = named(state, namespace, name);
    jobs.sort_by_key(|job| job.state == JobState::Deleted);
    let job = jobs.first().ok_or_else(|| missing(namespace, name))?.id;
    let of_job = state.definitions.range((job, 0)..=(job, u32::MAX)).rev();
    Ok(of_job
        .filter(|((_, version), _)| before.is_none_or(|before| *version < before))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|((_, version), definition)| JobVersion {
            version: *version,
            spec: definition.spec.clone(),
            author: definition.author.clone(),
            created_at: definition.created_at,
        })
        .collect())
}

pub(super) fn events(
    state: &State,
    namespace: &Namespace,
    name: &JobName,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let jobs: Vec<_> = named(state, namespace, name).iter().map(|job| job.id).collect();
    if jobs.is_empty() {
        return Err(missing(namespace, name));
    }
    let found = state.events.iter().rev().filter(|event| jobs.contains(&event.job));
    Ok(found
        .filter(|event| before.is_none_or(|before| event.id < before))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .cloned()
        .collect())
}

pub(super) fn records(state: &State, selection: &RecordSelection) -> Vec<JobRecord> {
    let RecordSelection { of, from, until, limit } = selection;
    let jobs: Vec<_> = match of {
        RecordsOf::Name(namespace, name) => named(state, namespace, name),
        RecordsOf::AllAfter(after) => state
            .jobs
            .values()
            .filter(|job| after.is_none_or(|after| job.id > after) && job.created_at < *until)
            .filter(|job| job.state != JobState::Deleted || job.updated_at > *from)
            .collect(),
    };
    jobs.into_iter()
        .take(usize::try_from(*limit).unwrap_or(usize::MAX))
        .map(|job| JobRecord {
            id: job.id,
            namespace: job.namespace.clone(),
            name: job.name.clone(),
            state: job.state,
            created_at: job.created_at,
            updated_at: job.updated_at,
            next_due_at: job.next_due_at,
            events: events_of(state, job.id),
            ledger: state.ledger.range((job.id, *from)..(job.id, *until)).map(|(_, at)| *at).collect(),
            missed: missed_of(state, job.id, *from, *until),
        })
        .collect()
}

fn missed_of(state: &State, job: JobId, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<MissedRange> {
    let of_job = state.missed.iter().filter(|(of, _)| *of == job).map(|(_, range)| *range);
    let mut found: Vec<_> = of_job.filter(|range| range.from < until && range.to >= from).collect();
    found.sort_by_key(|range| range.from);
    found
}

fn events_of(state: &State, job: JobId) -> Vec<JobEvent> {
    state.events.iter().filter(|event| event.job == job).map(|event| event.event.clone()).collect()
}

pub(super) fn specs(state: &State, versions: &[(JobId, u32)]) -> HashMap<(JobId, u32), JobSpec> {
    versions
        .iter()
        .filter_map(|version| Some((*version, state.definitions.get(version)?.spec.clone())))
        .collect()
}

pub(super) fn runs_of_instant(state: &State, job: JobId, due_at: DateTime<Utc>) -> Vec<InstantRun> {
    let live =
        state.live.of_job(job).filter(|run| run.origin == RunOrigin::Schedule && run.due_at == due_at).map(
            |run| {
                let node = run.dispatch.and_then(|(node, ..)| nodes::address(state, node));
                InstantRun { run: run.id, node }
            },
        );
    let ended = state
        .ended
        .iter()
        .filter(|(_, ended)| ended.job == Some(job))
        .filter(|(_, ended)| ended.run.origin == RunOrigin::Schedule && ended.run.due_at == due_at)
        .map(|(id, _)| InstantRun { run: *id, node: None });
    let mut found: Vec<_> = live.chain(ended).collect();
    found.sort_unstable_by_key(|found| found.run);
    found
}
