use std::collections::HashSet;

use proptest::prelude::*;

use super::cases::transition_cases;
use super::*;

#[test]
fn every_pair_of_the_table_is_answered_as_written() {
    for case in transition_cases() {
        assert_eq!(case.from.on(case.event), case.to, "{}", case.name);
    }
}

#[test]
fn the_table_has_every_state_with_every_event() {
    let cases = transition_cases();
    let pairs: HashSet<_> =
        cases.iter().map(|case| (case.from.state, std::mem::discriminant(&case.event))).collect();
    assert_eq!(pairs.len(), RunState::ALL.len() * 13);
    let names: HashSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "each case once");
}

/// Applies a transition as the store does.
fn apply(run: &mut RunFacts, event: RunEvent) {
    match run.on(event) {
        Transition::To(state) => {
            run.state = state;
            match event {
                RunEvent::Admitted | RunEvent::Redispatched => run.dispatch_seq += 1,
                RunEvent::AttemptStarted { attempt, .. } => run.attempt = Some(attempt),
                _ => {}
            }
        }
        Transition::CancelPending => run.cancel_requested = true,
        Transition::Stale => {}
    }
}

fn an_event() -> impl Strategy<Value = RunEvent> {
    let attempt = (1..4_u32).prop_map(|number| AttemptNumber::new(number).unwrap());
    let dispatch_seq = 0..4_u32;
    let outcome = prop::sample::select(AttemptOutcome::ALL.to_vec());
    prop_oneof![
        4 => Just(RunEvent::Admitted),
        1 => Just(RunEvent::Skipped),
        1 => Just(RunEvent::Blocked),
        1 => Just(RunEvent::Unblocked),
        1 => Just(RunEvent::Redispatched),
        1 => dispatch_seq.clone().prop_map(|dispatch_seq| RunEvent::DispatchLost { dispatch_seq }),
        8 => (attempt.clone(), dispatch_seq)
            .prop_map(|(attempt, dispatch_seq)| RunEvent::AttemptStarted { attempt, dispatch_seq }),
        4 => (attempt.clone(), outcome, any::<bool>())
            .prop_map(|(attempt, outcome, retry)| RunEvent::AttemptEnded { attempt, outcome, retry }),
        1 => Just(RunEvent::CancelRequested),
        1 => Just(RunEvent::Killed),
        1 => attempt.prop_map(|attempt| RunEvent::CancelGraceOver { attempt }),
        1 => Just(RunEvent::StartDeadlinePassed),
        1 => Just(RunEvent::CloseDeadlinePassed),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_final_is_final_and_numbers_only_rise(
        events in prop::collection::vec(an_event(), 0..60)
    ) {
        let mut run = RunFacts::NEW;
        let mut granted = HashSet::new();
        for event in events {
            let before = run;
            apply(&mut run, event);
            if before.state.is_final() {
                prop_assert_eq!(run, before);
            }
            prop_assert!(run.dispatch_seq >= before.dispatch_seq);
            if run.attempt != before.attempt {
                prop_assert_eq!(run.state, RunState::Running);
                prop_assert!(granted.insert(run.attempt), "a number is granted once");
                prop_assert!(run.attempt > before.attempt);
            }
            // With a cancel requested nothing but success and cancelled come next.
            if before.cancel_requested && run.state != before.state {
                prop_assert!(matches!(run.state, RunState::Succeeded | RunState::Cancelled));
            }
        }
    }
}
