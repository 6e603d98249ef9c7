//! One random change to a true history is noticed; the history itself never is.

use proptest::prelude::*;
use punctual_verify::history::{Event, History, Outcome, Phase, RunRow, State, What};
use punctual_verify::time::DbTime;
use punctual_verify::{Options, check};

use crate::story::{Story, at, every_second, row, skipped, skipping};

/// A history as a working system makes it: some runs succeed at once, some after a lost or failed attempt, some
/// are skipped behind a long one.
fn true_history(fates: &[u8]) -> History {
    let mut story = Story::new();
    story.put(0.5, "many", every_second()).put(0.6, "one", skipping());
    let mut busy_until = 0.0;
    for (index, fate) in fates.iter().enumerate() {
        let due = (index + 1) as f64;
        match fate % 3 {
            0 => {
                story.success("many", due, 0.1 + f64::from(*fate) / 100.0);
            }
            one_or_two => {
                let run = format!("many@{due}");
                let (status, again) =
                    if one_or_two == 1 { (Outcome::Failed, 1.5) } else { (Outcome::Lost, 11.0) };
                story.granted(&run, 1, due + 0.01).code(&run, 1, due + 0.02, due + 0.03);
                story.reported(&run, 1, status, due + again - 0.1).granted(&run, 2, due + again);
                story.code(&run, 2, due + again + 0.01, due + again + 0.02);
                story.reported(&run, 2, Outcome::Succeeded, due + again + 0.03);
                story.row(RunRow {
                    started_at: Some(at(due + 0.01)),
                    ended_at: Some(at(due + again + 0.03)),
                    attempts: 2,
                    tries_used: 1,
                    ..row("many", due)
                });
            }
        }
        if due < busy_until {
            story.row(skipped("one", due, "overlap"));
        } else {
            let took = f64::from(fate % 4) * 0.8 + 0.1;
            busy_until = due + took;
            story.success("one", due, took);
        }
    }
    let end = fates.len() as f64 + 0.5;
    story.pause(end, "many").pause(end, "one");
    story.told(100.0)
}

/// Changes one line into something that no true history holds. `false`: not a line it applies to.
type Mutation = fn(&mut Vec<Event>, usize) -> bool;

const MUTATIONS: [(&str, Mutation); 10] = [
    ("a row is lost", |events, index| is_row(&events[index]) && remove(events, index)),
    ("a row is doubled", |events, index| is_row(&events[index]) && repeat(events, index)),
    ("a row moves to another instant", |events, index| {
        edit_row(&mut events[index], |row| row.due_at = DbTime(row.due_at.0 + 500_000))
    }),
    ("a row falls back to queued", |events, index| {
        edit_row(&mut events[index], |row| row.state = State::Queued)
    }),
    ("a grant is lost", |events, index| {
        matches!(events[index].what, What::Grant { .. }) && remove(events, index)
    }),
    ("a grant is renumbered", |events, index| match &mut events[index].what {
        What::Grant { att, .. } => {
            *att += 1;
            true
        }
        _ => false,
    }),
    ("a report is lost, of an attempt that had a successor", |events, index| match &events[index].what {
        What::Report { status: Outcome::Lost | Outcome::Failed, .. } => remove(events, index),
        _ => false,
    }),
    ("a report is doubled", |events, index| {
        matches!(events[index].what, What::Report { .. }) && repeat(events, index)
    }),
    ("code runs a second time", |events, index| {
        matches!(events[index].what, What::EffectStart { .. }) && repeat(events, index)
    }),
    ("a success is recorded as a failure", |events, index| {
        edit_row(&mut events[index], |row| {
            if row.state == State::Succeeded {
                row.state = State::Failed;
            } else {
                row.state = State::Running;
            }
        })
    }),
];

fn is_row(event: &Event) -> bool {
    matches!(event.what, What::Run(_))
}

fn edit_row(event: &mut Event, edit: impl FnOnce(&mut RunRow)) -> bool {
    match &mut event.what {
        What::Run(row) => {
            edit(row);
            true
        }
        _ => false,
    }
}

fn remove(events: &mut Vec<Event>, index: usize) -> bool {
    events.remove(index);
    true
}

fn repeat(events: &mut Vec<Event>, index: usize) -> bool {
    let event = events[index].clone();
    events.insert(index, event);
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_true_history_passes_and_one_mutation_is_caught(
        fates in proptest::collection::vec(0_u8..12, 1..12),
        mutation in 0..MUTATIONS.len(),
        start in any::<prop::sample::Index>(),
    ) {
        let history = true_history(&fates);
        let verdict = check(&history, &Options::default()).expect("the history can be judged");
        prop_assert!(verdict.is_clean(), "{}", verdict.report(&history, 5));

        let (name, mutate) = MUTATIONS[mutation];
        let count = history.events.len();
        let mut events = history.events.clone();
        let first = start.index(count);
        let applied = (0..count).any(|step| mutate(&mut events, (first + step) % count));
        if applied {
            let mutant = History { events };
            let verdict = check(&mutant, &Options::default()).expect("the history can be judged");
            prop_assert!(!verdict.is_clean(), "not caught: {}", name);
        }
    }

    #[test]
    fn no_answer_turned_into_an_unknown_outcome_makes_a_true_history_false(
        fates in proptest::collection::vec(0_u8..12, 1..12),
        start in any::<prop::sample::Index>(),
    ) {
        let mut history = true_history(&fates);
        let count = history.events.len();
        let first = start.index(count);
        for step in 0..count {
            if let What::JobPut(call) | What::JobPause(call) = &mut history.events[(first + step) % count].what
                && call.ph == Phase::Ok
            {
                call.ph = Phase::Info;
                break;
            }
        }
        let verdict = check(&history, &Options::default()).expect("the history can be judged");
        // With a pause unknown, later instants may or may not be due; nothing may be demanded or forbidden.
        prop_assert!(verdict.is_clean(), "{}", verdict.report(&history, 5));
    }
}
