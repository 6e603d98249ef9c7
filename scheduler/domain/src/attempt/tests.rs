use super::*;
use crate::id::AttemptNumber;
use crate::run::{RunEvent, RunFacts, Transition};

const FAILED: AttemptEnd =
    AttemptEnd::Final { state: RunState::Failed, reason: Some(GiveUp::TriesUsed { tries: 3 }) };
const CANCELLED: AttemptEnd = AttemptEnd::Final { state: RunState::Cancelled, reason: None };
const SUCCEEDED: AttemptEnd = AttemptEnd::Final { state: RunState::Succeeded, reason: None };

fn again(seconds: u64, counts_try: bool) -> AttemptEnd {
    AttemptEnd::Again { delay: Duration::from_secs(seconds), counts_try }
}

#[track_caller]
fn check(outcome: AttemptOutcome, tries_used: u32, cancel_requested: bool, expect: &AttemptEnd) {
    let policy = RetryPolicy { jitter: false, ..RetryPolicy::default() };
    let report = AttemptReport::default();
    let input =
        EndInput { outcome, report: &report, policy: &policy, tries_used, cancel_requested, random: 0.5 };
    assert_eq!(attempt_end(input), *expect);
}

#[test]
fn a_bad_end_uses_a_try_and_the_last_try_is_the_end() {
    for bad in [AttemptOutcome::Failed, AttemptOutcome::TimedOut, AttemptOutcome::Lost] {
        check(bad, 0, false, &again(1, true));
        check(bad, 1, false, &again(2, true));
        check(bad, 2, false, &FAILED);
    }
}

#[test]
fn a_release_uses_no_try_even_when_none_is_left() {
    check(AttemptOutcome::Released, 2, false, &again(0, false));
    check(AttemptOutcome::Cancelled, 2, false, &again(0, false));
}

#[test]
fn after_a_cancel_every_end_but_success_is_cancelled() {
    for &outcome in AttemptOutcome::ALL {
        let expect = if outcome == AttemptOutcome::Succeeded { SUCCEEDED } else { CANCELLED };
        check(outcome, 0, true, &expect);
        check(outcome, 2, true, &expect);
    }
}

#[test]
fn a_release_waits_as_long_as_it_asks_for() {
    let report = AttemptReport { retry_after: Some(Duration::from_secs(90)), ..AttemptReport::default() };
    let policy = RetryPolicy::default();
    let input = EndInput {
        outcome: AttemptOutcome::Released,
        report: &report,
        policy: &policy,
        tries_used: 0,
        cancel_requested: false,
        random: 0.0,
    };
    assert_eq!(attempt_end(input), again(90, false));
}

#[test]
fn it_agrees_with_the_state_machine() {
    let attempt = AttemptNumber::FIRST;
    let policy = RetryPolicy::default();
    let report = AttemptReport::default();
    for &outcome in AttemptOutcome::ALL {
        for (tries_used, cancel_requested) in [(0, false), (0, true), (2, false), (2, true)] {
            let input = EndInput {
                outcome,
                report: &report,
                policy: &policy,
                tries_used,
                cancel_requested,
                random: 0.5,
            };
            let (state, counts_try) = match attempt_end(input) {
                AttemptEnd::Final { state, .. } => (state, None),
                AttemptEnd::Again { counts_try, .. } => (RunState::Scheduled, Some(counts_try)),
            };
            if let Some(counts_try) = counts_try {
                assert_eq!(counts_try, outcome.uses_try(), "{outcome:?}");
            }
            let run = RunFacts {
                state: RunState::Running,
                attempt: Some(attempt),
                dispatch_seq: 1,
                cancel_requested,
            };
            let event = RunEvent::AttemptEnded { attempt, outcome, retry: tries_used < 2 };
            assert_eq!(run.on(event), Transition::To(state), "{outcome:?} after {tries_used} tries");
        }
    }
}
