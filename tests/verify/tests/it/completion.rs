//! P2: every run ends, and its end is true.

use punctual_verify::history::{Call, Outcome, Phase, RunRow, State, What};
use punctual_verify::verdict::Clause;

use crate::story::{Story, at, every_second, row, ticking_without};

/// `tick` with second 3 told apart.
fn with_third(state: State, tell: impl FnOnce(&mut Story, RunRow)) -> Story {
    let mut story = ticking_without(5, &[3]);
    tell(&mut story, RunRow { state, ended_at: state.is_final().then(|| at(3.5)), ..row("tick", 3.0) });
    story
}

#[test]
fn a_run_that_never_ends_is_noticed() {
    for state in [State::Scheduled, State::Blocked, State::Queued, State::Running] {
        with_third(state, |story, row| {
            story.row(row);
        })
        .breaks(Clause::P2a);
    }
}

#[test]
fn a_success_that_nobody_saw_is_noticed() {
    with_third(State::Succeeded, |story, row| {
        story.granted("tick@3", 1, 3.1).reported("tick@3", 1, Outcome::Succeeded, 3.5);
        story.row(RunRow { started_at: Some(at(3.1)), attempts: 1, ..row });
    })
    .breaks(Clause::P2b);
}

#[test]
fn a_success_stored_before_its_code_ended_is_noticed() {
    with_third(State::Succeeded, |story, row| {
        story.granted("tick@3", 1, 3.1).code("tick@3", 1, 3.2, 3.8).reported(
            "tick@3",
            1,
            Outcome::Succeeded,
            3.5,
        );
        story.row(RunRow { started_at: Some(at(3.1)), attempts: 1, ..row });
    })
    .breaks(Clause::P2b);
}

#[test]
fn the_end_of_another_attempt_does_not_prove_a_success() {
    with_third(State::Succeeded, |story, row| {
        story.granted("tick@3", 1, 3.1).code("tick@3", 1, 3.11, 3.2).reported(
            "tick@3",
            1,
            Outcome::Failed,
            3.21,
        );
        story.granted("tick@3", 2, 3.3).reported("tick@3", 2, Outcome::Succeeded, 3.5);
        story.row(RunRow { started_at: Some(at(3.1)), attempts: 2, tries_used: 1, ..row });
    })
    .breaks(Clause::P2b);
}

#[test]
fn a_failure_uses_up_its_tries() {
    let failing = |tries: u32, permanent: bool| {
        with_third(State::Failed, |story, row| {
            for try_ in 1..=tries {
                let from = 3.0 + f64::from(try_) / 10.0;
                story.granted("tick@3", try_, from).code("tick@3", try_, from + 0.01, from + 0.02);
                story.reported("tick@3", try_, Outcome::Failed, from + 0.03);
            }
            story.row(RunRow {
                started_at: Some(at(3.1)),
                attempts: tries,
                tries_used: tries,
                permanent,
                ..row
            });
        })
    };
    failing(2, false).holds();
    failing(1, true).holds();
    failing(1, false).breaks(Clause::P2c);
}

#[test]
fn an_accepted_success_that_became_a_failure_is_noticed() {
    with_third(State::Failed, |story, row| {
        story.granted("tick@3", 1, 3.1).code("tick@3", 1, 3.11, 3.2).reported(
            "tick@3",
            1,
            Outcome::Succeeded,
            3.21,
        );
        story.row(RunRow { started_at: Some(at(3.1)), attempts: 1, tries_used: 2, ..row });
    })
    .breaks(Clause::P2d);
}

#[test]
fn an_unasked_cancel_is_noticed() {
    let cancelled = || {
        with_third(State::Cancelled, |story, row| {
            story.row(row);
        })
    };
    cancelled().breaks(Clause::P2e);
    let run = Some("tick@3".to_owned());
    let mut asked = cancelled();
    asked.call(
        2.5,
        What::RunCancel,
        Call { run, ..Call::default() },
        Call { ph: Phase::Info, ..Call::default() },
    );
    asked.holds();
    let mut deleted = cancelled();
    deleted.delete(6.5, "tick");
    deleted.holds();
}

#[test]
fn an_expiry_without_a_time_out_is_noticed() {
    with_third(State::Expired, |story, row| {
        story.row(row);
    })
    .breaks(Clause::P2e);
    let mut story = Story::new();
    story.put(0.5, "tick", punctual_verify::spec::JobSpec { may_expire: true, ..every_second() });
    story
        .row(RunRow { state: State::Expired, ended_at: Some(at(3.0)), ..row("tick", 1.0) })
        .pause(1.5, "tick");
    story.holds();
}
