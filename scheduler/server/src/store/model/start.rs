//! Granting attempts.

use std::collections::HashMap;
use std::time::Duration;

use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};

use super::live::{LiveRun, first, span};
use super::state::State;
use crate::store::worker::Handed;
use crate::store::{GoneReason, Grant, REAP_MARGIN, Start, StartAnswer};

pub(super) fn start_attempts(state: &mut State, session: SessionId, starts: &[Start]) -> Vec<StartAnswer> {
    let mut granted: HashMap<RunId, StartAnswer> = HashMap::new();
    let mut handed = Handed::default();
    for start in starts {
        if start_attempt(state, session, *start) {
            let grant = state.live.get(start.run).map(|run| (run.id, grant(state, run, &mut handed)));
            granted.extend(grant);
        }
    }
    let answers = starts.iter().map(|start| {
        let granted = granted.get(&start.run).cloned();
        granted.unwrap_or_else(|| explain(state, session, *start, &mut handed))
    });
    answers.collect()
}

/// Grants what is queued under exactly this dispatch and due, to a session that is alive.
fn start_attempt(state: &mut State, session: SessionId, start: Start) -> bool {
    let now = state.now;
    let Some(worker) = state.live_session(session).map(|session| session.name.clone()) else { return false };
    let Some(run) = state.live.get(start.run).filter(|run| run.run_at <= now) else { return false };
    let attempt = AttemptNumber::after(run.attempt);
    let event = RunEvent::AttemptStarted { attempt, dispatch_seq: start.dispatch_seq };
    if run.facts().on(event) != Transition::To(RunState::Running) {
        return false;
    }
    state.live.change(start.run, |run| {
        run.state = RunState::Running;
        run.attempt = Some(attempt);
        run.session = Some(session);
        run.worker = worker;
        run.started_at = Some(now);
        run.dispatch = None;
        let latest = run.start_to_close + run.cancel_grace + REAP_MARGIN;
        run.reap_at = first([Some(now + span(latest)), run.close_deadline]);
    });
    true
}

/// Why it was not granted now; the grant again where this session holds it.
fn explain(state: &State, session: SessionId, start: Start, handed: &mut Handed) -> StartAnswer {
    if state.live_session(session).is_none() {
        return StartAnswer::Gone(GoneReason::SessionLost);
    }
    let Some(run) = state.live.get(start.run) else { return StartAnswer::Gone(GoneReason::UnknownRun) };
    match run.state {
        RunState::Running if run.session == Some(session) => grant(state, run, handed),
        RunState::Running => StartAnswer::Gone(GoneReason::Held),
        RunState::Queued if run.dispatch_seq != start.dispatch_seq => {
            StartAnswer::Gone(GoneReason::Superseded)
        }
        RunState::Queued => StartAnswer::NotDue((run.run_at - state.now).to_std().unwrap_or_default()),
        _ => StartAnswer::Gone(GoneReason::NotQueued),
    }
}

/// The grant, with what is left of its time, unless its payload is too much beside what is handed out already.
fn grant(state: &State, run: &LiveRun, handed: &mut Handed) -> StartAnswer {
    let lane = state.lane_of(run.lane);
    let of_job = || run.version.map(|version| state.definitions[&version].spec.task.payload());
    let payload = run.payload.clone().or_else(of_job).unwrap_or_default();
    if !handed.takes(payload.len()) {
        return StartAnswer::NotDue(Grant::ASK_AGAIN);
    }
    let so_far = run.started_at.map_or(0, |at| (state.now - at).num_milliseconds());
    let so_far = Duration::from_millis(u64::try_from(so_far).unwrap_or(0));
    StartAnswer::Granted(Box::new(Grant {
        run: run.id,
        attempt: run.attempt.unwrap_or(AttemptNumber::FIRST),
        namespace: lane.namespace.clone(),
        job: state.job_name(run.job()),
        kind: lane.kind.clone(),
        payload,
        due_at: run.due_at,
        start_to_close: run.start_to_close.saturating_sub(so_far),
        cancel_grace: run.cancel_grace,
        tries_used: run.tries_used,
    }))
}
