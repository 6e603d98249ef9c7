//! Fixed delays, and pauses that end by themselves.

use std::collections::BTreeMap;

use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::plan::Since;
use punctual_scheduler_domain::run::RunOrigin;
use punctual_scheduler_domain::schedule::When;

use super::state::State;
use super::{jobs, plan};
use crate::store::job::Entry;

/// Whether its next instant follows the end of its last run.
pub(super) fn follows_end(spec: &JobSpec) -> bool {
    spec.schedule.iter().any(|schedule| matches!(schedule.when, When::Delay(_)))
}

/// Whether a run of the job's schedule is not final: its end is still to come.
pub(super) fn has_unfinished(state: &State, job: JobId) -> bool {
    state.live.of_job(job).any(|run| run.origin == RunOrigin::Schedule)
}

/// Puts the next instants of the jobs whose last runs have ended.
pub(super) fn take_run_ends(state: &mut State) {
    let ends: BTreeMap<_, _> = std::mem::take(&mut state.run_ends).into_iter().collect();
    for (id, ended_at) in ends {
        let Some(job) = state.jobs.get(&id).filter(|job| job.state == JobState::Active) else { continue };
        let Some(definition) = state.definitions.get(&(id, job.version)).cloned() else { continue };
        let Ok(schedule) = &definition.schedule else { continue };
        if !schedule.is_delay() || has_unfinished(state, id) {
            continue;
        }
        let instant = schedule.delayed_from(ended_at).max(state.delayed.get(&id).copied());
        match instant {
            Some(instant) => {
                let Some(job) = state.jobs.get_mut(&id) else { continue };
                job.next_due_at = Some(job.next_due_at.map_or(instant, |next| next.min(instant)));
                state.delayed.insert(id, instant);
            }
            None => plan::stop(state, id, JobState::Exhausted, String::new()),
        }
    }
}

/// Resumes the jobs whose pause is over, as of its end.
pub(super) fn end_pauses_that_are_over(state: &mut State) {
    let now = state.now;
    let over: Vec<_> = state
        .jobs
        .values()
        .filter(|job| job.state == JobState::Paused)
        .filter_map(|job| Some((job.id, job.pause.as_ref()?.until.filter(|until| *until <= now)?)))
        .collect();
    for (job, until) in over {
        jobs::resume(state, job, Since::From(until), Entry::pause_is_over(until));
    }
}
