//! Cancelling: at once what has not started, through its worker what has.

use punctual_scheduler_domain::attempt::AttemptReport;
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};

use super::finish::{Conclusion, conclude};
use super::live::{first, span};
use super::read;
use super::state::State;
use crate::store::{CANCEL_MARGIN, Run, StoreError};

/// Why the runs of a deleted job are cancelled.
pub(super) const DELETED: &str = "job deleted";

pub(super) fn cancel_run(state: &mut State, id: RunId, reason: &str) -> Result<Option<Run>, StoreError> {
    let Some(live) = state.live.get(id) else {
        return match state.ended.get(&id) {
            Some(found) => Err(StoreError::RunIsFinal { run: id, state: found.run.state }),
            None => Ok(None),
        };
    };
    match live.facts().on(RunEvent::CancelRequested) {
        Transition::To(_) => {
            cancel(state, id, reason);
        }
        Transition::CancelPending => request(state, id, reason),
        Transition::Stale => {}
    }
    Ok(read::get_run(state, id).map(|(run, _)| run))
}

/// Asks for the end of a run that has started.
pub(super) fn request(state: &mut State, id: RunId, reason: &str) {
    let now = state.now;
    state.live.change(id, |run| {
        if run.cancel_requested_at.is_none() {
            run.cancel_requested_at = Some(now);
            run.cancel_reason = reason.to_owned();
        }
        run.reap_at = first([run.reap_at, Some(now + span(run.cancel_grace + CANCEL_MARGIN))]);
    });
}

/// Cancels every run of a job that has not started.
pub(super) fn cancel_unstarted(state: &mut State, job: JobId, reason: &str) {
    let waiting: Vec<_> =
        state.live.of_job(job).filter(|run| run.state != RunState::Running).map(|run| run.id).collect();
    for run in waiting {
        cancel(state, run, reason);
    }
}

pub(super) fn cancel(state: &mut State, id: RunId, reason: &str) {
    let end = Conclusion {
        event: RunEvent::CancelRequested,
        reason: reason.to_owned(),
        outcome: None,
        report: AttemptReport::default(),
    };
    conclude(state, id, end);
}
