//! The end of attempts, and of runs.

use std::time::Duration;

use punctual_scheduler_domain::attempt::{AttemptEnd, AttemptOutcome, AttemptReport, EndInput, attempt_end};
use punctual_scheduler_domain::id::{AttemptNumber, RunId};
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::{RunEvent, RunOrigin, RunState, Transition};

use super::live::{LiveRun, span};
use super::state::{EndedRun, State};
use super::{after, backfill, delays, read, unblock};
use crate::store::{Attempt, FinishAnswer, Release, Report};

/// How a run comes to its end.
#[derive(Debug)]
pub(super) struct Conclusion {
    /// What ends it.
    pub(super) event: RunEvent,
    pub(super) reason: String,
    /// How its attempt ended, where one was running.
    pub(super) outcome: Option<AttemptOutcome>,
    pub(super) report: AttemptReport,
}

/// Moves a run to the history, to the state that the event leads to; false when it leads to none.
pub(super) fn conclude(state: &mut State, id: RunId, end: Conclusion) -> bool {
    let Some(live) = state.live.get(id) else { return false };
    let Transition::To(to) = live.facts().on(end.event) else { return false };
    let Some(mut live) = state.live.remove(id) else { return false };
    if let Some(outcome) = end.outcome {
        record(state, &live, outcome, &end.report);
        // What the reaper ends by a deadline of the whole run is no try of the handler's.
        if matches!(end.event, RunEvent::AttemptEnded { .. }) {
            live.tries_used += u32::from(outcome.uses_try());
        }
    }
    if !end.report.error.is_empty() {
        live.error = end.report.error;
    }
    live.block = None;
    if let Some(job) = live.job().filter(|_| live.origin == RunOrigin::Schedule)
        && state.jobs.get(&job).is_some_and(|job| delays::follows_end(&job.spec))
    {
        state.run_ends.push((job, state.now));
    }
    let run = read::ended(state, &live, to, end.reason, end.report.result);
    backfill::ended(state, &live, to);
    after::start_downstream(state, &live, to);
    state.ended.insert(id, EndedRun { job: live.job(), run });
    unblock::after_end(state, live.job(), live.key.as_ref().map(|key| &key.path));
    true
}

/// Schedules a run again whose attempt or dispatch came to nothing.
fn reschedule(state: &mut State, id: RunId, delay: Duration) {
    let now = state.now;
    state.live.change(id, |run| {
        if run.state == RunState::Running {
            run.redeliveries = 0;
        }
        run.state = RunState::Scheduled;
        // Without a delay it keeps its place in the order of what is due.
        if !delay.is_zero() {
            run.run_at = run.run_at.max(now + span(delay));
        }
        run.dispatch = None;
        run.session = None;
        run.reap_at = run.deadline();
    });
}

/// Takes a run back from its queue; false when it is not there under its present dispatch.
pub(super) fn requeue(state: &mut State, id: RunId) -> bool {
    let Some(run) = state.live.get(id) else { return false };
    let lost = RunEvent::DispatchLost { dispatch_seq: run.dispatch_seq };
    let moves = run.facts().on(lost) == Transition::To(RunState::Scheduled);
    if moves {
        reschedule(state, id, Duration::ZERO);
    }
    moves
}

/// Ends a run's current attempt, whoever says so, and decides what becomes of the run. False when the attempt is not
/// the current one.
pub(super) fn end_attempt(
    state: &mut State,
    id: RunId,
    attempt: AttemptNumber,
    outcome: AttemptOutcome,
    report: AttemptReport,
) -> bool {
    let Some(run) = state.live.get(id) else { return false };
    if run.state != RunState::Running || run.attempt != Some(attempt) {
        return false;
    }
    let policy = policy(state, run);
    let decided = attempt_end(EndInput {
        outcome,
        report: &report,
        policy: &policy,
        tries_used: run.tries_used,
        cancel_requested: run.cancel_requested_at.is_some(),
        random: rand::random(),
    });
    let retry = matches!(decided, AttemptEnd::Again { .. });
    let event = RunEvent::AttemptEnded { attempt, outcome, retry };
    match decided {
        AttemptEnd::Final { state: to, reason } => {
            debug_assert_eq!(run.facts().on(event), Transition::To(to), "two rules for one end");
            let reason = match reason {
                Some(reason) => reason.to_string(),
                None if to == RunState::Cancelled => run.cancel_reason.clone(),
                None => String::new(),
            };
            conclude(state, id, Conclusion { event, reason, outcome: Some(outcome), report })
        }
        AttemptEnd::Again { delay, counts_try } => {
            debug_assert_eq!(
                run.facts().on(event),
                Transition::To(RunState::Scheduled),
                "two rules for one end"
            );
            let before = run.clone();
            record(state, &before, outcome, &report);
            state.live.change(id, |run| {
                run.tries_used += u32::from(counts_try);
                if !report.error.is_empty() {
                    run.error = report.error;
                }
            });
            reschedule(state, id, delay);
            true
        }
    }
}

fn policy(state: &State, run: &LiveRun) -> RetryPolicy {
    match (run.version, &run.retry) {
        (Some(version), _) => state.definitions[&version].spec.retry.clone(),
        (None, Some(own)) => own.clone(),
        (None, None) => RetryPolicy::default(),
    }
}

/// Writes the end of a running attempt down.
fn record(state: &mut State, run: &LiveRun, outcome: AttemptOutcome, report: &AttemptReport) {
    let Some(running) = read::running_attempt(run) else { return };
    let ended = Attempt {
        outcome: Some(outcome),
        ended_at: Some(state.now),
        error: report.error.clone(),
        error_kind: report.error_kind.clone(),
        output_tail: report.output_tail.clone(),
        ..running
    };
    state.attempts.entry(run.id).or_default().push(ended);
}

pub(super) fn finish_attempt(state: &mut State, report: &Report) -> FinishAnswer {
    let is_holder = state.live.get(report.run).is_some_and(|run| run.session == Some(report.session));
    if is_holder && end_attempt(state, report.run, report.attempt, report.outcome, report.report.clone()) {
        return FinishAnswer::Stored;
    }
    // A repeat of one that is on record gets the same answer.
    let recorded = state.attempts.get(&report.run).into_iter().flatten().any(|attempt| {
        attempt.number == report.attempt
            && attempt.session == report.session
            && attempt.outcome == Some(report.outcome)
    });
    let known = state.live.get(report.run).is_some() || state.ended.contains_key(&report.run);
    match (recorded, known) {
        (true, _) => FinishAnswer::Stored,
        (false, true) => FinishAnswer::StaleAttempt,
        (false, false) => FinishAnswer::UnknownRun,
    }
}

pub(super) fn release_attempt(state: &mut State, release: &Release) -> FinishAnswer {
    let report = Report {
        session: release.session,
        run: release.run,
        attempt: release.attempt,
        outcome: AttemptOutcome::Released,
        report: AttemptReport { retry_after: Some(release.delay), ..AttemptReport::default() },
    };
    finish_attempt(state, &report)
}
