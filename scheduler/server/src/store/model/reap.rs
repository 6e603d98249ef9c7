//! Taking back what fell silent.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{RunId, Shard};
use punctual_scheduler_domain::run::{RunEvent, RunState};

use super::finish::{Conclusion, conclude, end_attempt, requeue};
use super::live::LiveRun;
use super::state::State;
use crate::store::{NodeId, Reaped};

pub(super) fn sessions(state: &mut State, limit: u32) -> Reaped {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let now = state.now;
    let silent: Vec<_> = state
        .sessions
        .iter()
        .filter(|(_, session)| session.expires_at <= now)
        .map(|(id, _)| *id)
        .take(most)
        .collect();
    for session in &silent {
        state.end_session(*session);
    }
    let mut orphans: Vec<_> = state
        .live
        .in_state(RunState::Running)
        .filter(|run| run.session.is_some_and(|session| !state.sessions.contains_key(&session)))
        .filter_map(|run| Some((run.id, run.attempt?, run.worker.clone())))
        .collect();
    orphans.sort_unstable();
    orphans.truncate(most);
    let mut reaped = Reaped { sessions: u32::try_from(silent.len()).unwrap_or(u32::MAX), runs: 0 };
    for (run, attempt, worker) in orphans {
        let report =
            AttemptReport { error: format!("worker {worker} fell silent"), ..AttemptReport::default() };
        reaped.runs += u32::from(end_attempt(state, run, attempt, AttemptOutcome::Lost, report));
    }
    reaped
}

pub(super) fn runs(state: &mut State, limit: u32) -> Reaped {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let overdue: Vec<RunId> = state.live.overdue(state.now).take(most).map(|run| run.id).collect();
    let moved = overdue.into_iter().filter(|run| reap(state, *run)).count();
    Reaped { sessions: 0, runs: u32::try_from(moved).unwrap_or(u32::MAX) }
}

/// Acts on the first of a run's deadlines that has passed.
fn reap(state: &mut State, id: RunId) -> bool {
    let Some(run) = state.live.get(id) else { return false };
    let now = state.now;
    let passed = |deadline: Option<DateTime<Utc>>| deadline.is_some_and(|at| at <= now);
    if let Some(attempt) = run.attempt.filter(|_| run.state == RunState::Running) {
        if passed(run.cancel_deadline()) {
            let (event, reason) = (RunEvent::CancelGraceOver { attempt }, run.cancel_reason.clone());
            return end(state, id, event, &reason, Some(AttemptOutcome::Cancelled));
        }
        if passed(run.close_deadline) {
            let outcome = Some(AttemptOutcome::TimedOut);
            return end(state, id, RunEvent::CloseDeadlinePassed, "schedule_to_close passed", outcome);
        }
        let error =
            format!("still running {} after its start", humantime::format_duration(run.start_to_close));
        let report = AttemptReport { error, ..AttemptReport::default() };
        return end_attempt(state, id, attempt, AttemptOutcome::TimedOut, report);
    }
    if passed(run.close_deadline) {
        return end(state, id, RunEvent::CloseDeadlinePassed, "schedule_to_close passed", None);
    }
    if run.attempt.is_none() && passed(run.start_deadline) {
        return end(state, id, RunEvent::StartDeadlinePassed, "schedule_to_start passed", None);
    }
    state.live.change(id, |run| run.redeliveries += 1);
    requeue(state, id)
}

fn end(state: &mut State, id: RunId, event: RunEvent, reason: &str, outcome: Option<AttemptOutcome>) -> bool {
    let reason = reason.to_owned();
    conclude(state, id, Conclusion { event, reason, outcome, report: AttemptReport::default() })
}

pub(super) fn requeue_lost(
    state: &mut State,
    unreachable: &[NodeId],
    shards: &[Shard],
    limit: u32,
) -> Reaped {
    // What was queued there after it was marked lost, by somebody who could reach it, is not.
    let is_lost = |run: &&LiveRun| {
        run.dispatch.is_some_and(|(node, _, queued_at)| {
            state.lost_at(node).is_some_and(|lost_at| queued_at <= lost_at)
                || (unreachable.contains(&node) && shards.contains(&run.shard))
        })
    };
    let lost: Vec<_> = state
        .live
        .in_state(RunState::Queued)
        .filter(is_lost)
        .map(|run| run.id)
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .collect();
    let moved = lost.into_iter().filter(|run| requeue(state, *run)).count();
    Reaped { sessions: 0, runs: u32::try_from(moved).unwrap_or(u32::MAX) }
}
