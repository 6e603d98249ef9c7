//! Reading runs, live and ended, as one list.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::id::{AttemptNumber, JobId, RunId};
use punctual_scheduler_domain::run::RunState;

use super::live::LiveRun;
use super::state::{EndedRun, State};
use crate::store::{Attempt, Run, RunChanges, RunFilter, RunSelection};

/// How many live runs a watcher is shown at once.
const MOST_WATCHED: usize = 1000;
/// How far watchers look back.
const COMMIT_DELAY: TimeDelta = TimeDelta::seconds(2);

pub(super) fn get_run(state: &State, id: RunId) -> Option<(Run, Vec<Attempt>)> {
    let mut attempts = state.attempts.get(&id).cloned().unwrap_or_default();
    if let Some(run) = state.live.get(id) {
        attempts.extend(running_attempt(run));
        return Some((live(state, run), attempts));
    }
    state.ended.get(&id).map(|ended| (ended.run.clone(), attempts))
}

pub(super) fn list_runs(state: &State, selection: &RunSelection) -> Vec<Run> {
    let RunSelection { filter, states, before, limit } = selection;
    let wanted = |run: RunState| states.is_empty() || states.contains(&run);
    let older = |run: RunId| before.is_none_or(|before| run < before);
    let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
    let mut runs: Vec<_> = matching_live(state, filter)
        .rev()
        .filter(|run| older(run.id) && wanted(run.state))
        .take(limit)
        .collect();
    let ended = matching_ended(state, filter).rev().filter(|run| older(run.id) && wanted(run.state));
    runs.extend(ended.take(limit));
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(limit);
    runs
}

pub(super) fn changed_runs(state: &State, filter: &RunFilter, since: Option<DateTime<Utc>>) -> RunChanges {
    let mut runs: Vec<_> = matching_live(state, filter).rev().take(MOST_WATCHED).collect();
    // Somebody who watches one run wants its end, however long ago; else only what ends from now on.
    let since = since.or_else(|| filter.run.is_none().then_some(state.now));
    let ended = matching_ended(state, filter)
        .rev()
        .filter(|run| since.is_none_or(|since| run.ended_at.is_some_and(|ended| ended >= since)));
    runs.extend(ended.take(MOST_WATCHED));
    runs.sort_by_key(|run| run.id);
    RunChanges { runs, next_since: state.now - COMMIT_DELAY }
}

fn matching_live<'a>(state: &'a State, filter: &'a RunFilter) -> impl DoubleEndedIterator<Item = Run> + 'a {
    let found = state.live.all().filter(|run| matches(state, filter, run.id, run.job()));
    found.map(|run| live(state, run)).filter(|run| run.namespace == filter.namespace)
}

fn matching_ended<'a>(state: &'a State, filter: &'a RunFilter) -> impl DoubleEndedIterator<Item = Run> + 'a {
    state
        .ended
        .iter()
        .filter(|(id, ended)| matches(state, filter, **id, ended.job))
        .map(|(_, EndedRun { run, .. })| run.clone())
        .filter(|run| run.namespace == filter.namespace)
}

/// By run and job; deleted jobs of that name included.
fn matches(state: &State, filter: &RunFilter, id: RunId, job: Option<JobId>) -> bool {
    let of_job = filter.job.as_ref().is_none_or(|name| {
        let job = job.and_then(|job| state.jobs.get(&job));
        job.is_some_and(|job| job.name == *name && job.namespace == filter.namespace)
    });
    of_job && filter.run.is_none_or(|run| run == id)
}

/// The attempt that is running.
pub(super) fn running_attempt(run: &LiveRun) -> Option<Attempt> {
    let (session, started_at) = run.session.zip(run.started_at)?;
    Some(Attempt {
        number: run.attempt.unwrap_or(AttemptNumber::FIRST),
        outcome: None,
        worker: run.worker.clone(),
        session,
        started_at,
        ended_at: None,
        error: String::new(),
        error_kind: String::new(),
        output_tail: String::new(),
    })
}

fn live(state: &State, run: &LiveRun) -> Run {
    let lane = state.lane_of(run.lane);
    let attempts = run.attempt.map_or(0, AttemptNumber::get);
    let held = run.session.and_then(|session| state.sessions.get(&session)).and_then(|session| {
        session.held.iter().find(|held| held.run_id == run.id && held.attempt == attempts)
    });
    Run {
        id: run.id,
        namespace: lane.namespace.clone(),
        job: state.job_name(run.job()),
        job_version: run.version.map_or(0, |(_, version)| version),
        origin: run.origin,
        state: run.state,
        reason: run.block.map_or_else(|| run.cancel_reason.clone(), |reason| reason.as_str().to_owned()),
        due_at: run.due_at,
        run_at: run.run_at,
        task_queue: lane.task_queue.clone(),
        kind: lane.kind.clone(),
        priority: lane.priority,
        concurrency_key: run.key.as_ref().map(|key| key.path.key.clone()).unwrap_or_default(),
        attempts,
        tries_used: run.tries_used,
        created_at: run.created_at,
        started_at: run.started_at,
        ended_at: None,
        error: run.error.clone(),
        result: String::new(),
        progress: held.and_then(|held| held.progress).unwrap_or(0.0),
        progress_note: held.map(|held| held.progress_note.clone()).unwrap_or_default(),
        cancel_requested: run.cancel_requested_at.is_some(),
        links: run.links,
    }
}

/// The run as it is seen from its end on.
pub(super) fn ended(state: &State, run: &LiveRun, to: RunState, reason: String, result: String) -> Run {
    Run {
        state: to,
        reason,
        run_at: run.due_at,
        ended_at: Some(state.now),
        result,
        progress: 0.0,
        progress_note: String::new(),
        cancel_requested: to == RunState::Cancelled,
        ..live(state, run)
    }
}
