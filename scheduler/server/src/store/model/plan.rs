//! Planning: due instants become runs and the cursor moves.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{Job, JobState};
use punctual_scheduler_domain::plan::{Plan, PlanInput, plan};
use punctual_scheduler_domain::run::RunOrigin;

use super::audit;
use super::live::span;
use super::run_of_job::RunOfJob;
use super::state::{Definition, State};
use super::{calendars, delays};
use crate::store::{PlanOutcome, RunLinks};

/// Instants of one job in one call, as in the real store.
const MOST_DUE: usize = 500;
/// How often a change of a job goes on planning to reach the present.
const MOST_CHUNKS: usize = 64;

pub(super) fn plan_due_jobs(state: &mut State, look_ahead: Duration, limit: u32) -> PlanOutcome {
    delays::end_pauses_that_are_over(state);
    delays::take_run_ends(state);
    let claimed_until = state.now + span(look_ahead / 2);
    let horizon = state.now + span(look_ahead);
    let mut claimed: Vec<_> = state
        .jobs
        .values()
        .filter_map(|job| Some((job.next_due_at.filter(|at| *at <= claimed_until)?, job.id)))
        .collect();
    claimed.sort_unstable();
    claimed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut outcome = PlanOutcome::default();
    let mut due = 0;
    for (cursor, job) in claimed {
        if due >= PlanOutcome::MOST_RUNS {
            break;
        }
        let planned = plan_job(state, job, cursor, horizon);
        due += usize::try_from(planned.runs).unwrap_or(usize::MAX);
        outcome.jobs += 1;
        outcome.runs += planned.runs;
        outcome.missed += planned.missed;
        outcome.excluded += planned.excluded;
    }
    outcome
}

/// Plans one job up to and including now.
pub(super) fn plan_job_until_now(state: &mut State, job: &Job) {
    let now = state.now;
    for _ in 0..MOST_CHUNKS {
        match state.jobs.get(&job.id).and_then(|job| job.next_due_at) {
            Some(cursor) if cursor <= now => {
                plan_job(state, job.id, cursor, now);
            }
            _ => return,
        }
    }
}

fn plan_job(state: &mut State, id: JobId, cursor: DateTime<Utc>, horizon: DateTime<Utc>) -> PlanOutcome {
    let now = state.now;
    let version = state.jobs[&id].version;
    let definition = Arc::clone(&state.definitions[&(id, version)]);
    let calendars = calendars::all(state, &state.jobs[&id].namespace);
    let (misfire, catchup) = (definition.spec.misfire, definition.spec.catchup);
    let delayed = state.delayed.get(&id).copied();
    let planned = definition.schedule.as_ref().map_err(Clone::clone).and_then(|schedule| {
        let (calendars, limit) = (&calendars, MOST_DUE);
        let planned =
            plan(PlanInput { schedule, calendars, delayed, cursor, now, horizon, misfire, catchup, limit })?;
        let run_at = planned.due.iter().map(|due_at| schedule.run_at(id, *due_at));
        Ok((run_at.collect::<Result<Vec<_>, _>>()?, planned))
    });
    match planned {
        Ok((run_at, Plan { due, missed, next, delayed })) => {
            let runs = due
                .into_iter()
                .zip(run_at)
                .map(|(due_at, run_at)| materialise(state, id, version, &definition, due_at, run_at));
            let runs = u32::try_from(runs.filter(|new| *new).count()).unwrap_or(u32::MAX);
            state.delayed.remove(&id);
            state.delayed.extend(delayed.map(|delayed| (id, delayed)));
            if let Some(job) = state.jobs.get_mut(&id) {
                job.next_due_at = next;
            }
            state.missed.extend(missed.iter().map(|range| (id, *range)));
            if definition.schedule.as_ref().is_ok_and(|schedule| schedule.is_over(next)) {
                stop(state, id, JobState::Exhausted, String::new());
            }
            let mut outcome = PlanOutcome { jobs: 1, runs, ..PlanOutcome::default() };
            missed.iter().for_each(|range| outcome.record(range));
            outcome
        }
        Err(error) => {
            state.delayed.remove(&id);
            if let Some(job) = state.jobs.get_mut(&id) {
                job.next_due_at = None;
            }
            stop(state, id, JobState::Errored, error.to_string());
            PlanOutcome { jobs: 1, ..PlanOutcome::default() }
        }
    }
}

pub(super) fn stop(state: &mut State, id: JobId, to: JobState, reason: String) {
    let now = state.now;
    let Some(job) = state.jobs.get_mut(&id).filter(|job| job.state == JobState::Active) else { return };
    job.state = to;
    job.state_reason = reason;
    job.revision += 1;
    job.updated_at = now;
    let job = job.clone();
    audit::record_stop(state, &job);
}

/// Writes the run of one instant down, unless it has been before.
fn materialise(
    state: &mut State,
    job: JobId,
    version: u32,
    definition: &Definition,
    due_at: DateTime<Utc>,
    run_at: DateTime<Utc>,
) -> bool {
    if !state.ledger.insert((job, due_at)) {
        return false;
    }
    let spec = &definition.spec;
    state.write_down(RunOfJob {
        job,
        version,
        spec,
        origin: RunOrigin::Schedule,
        overlap: spec.overlap,
        due_at,
        run_at,
        timed_from: due_at,
        links: RunLinks::default(),
    });
    true
}
