//! P3: at most one live attempt of a run.

use punctual_verify::history::{Outcome, Phase, RunRow, State, What};
use punctual_verify::verdict::Clause;

use crate::story::{Story, at, row, ticking_without};

/// Second 3 of `tick` succeeds with `attempts`, as `tell` tells.
fn third(attempts: u32, tell: impl FnOnce(&mut Story)) -> Story {
    let mut story = ticking_without(5, &[3]);
    tell(&mut story);
    story.row(RunRow {
        started_at: Some(at(3.1)),
        ended_at: Some(at(30.0)),
        attempts,
        state: State::Succeeded,
        ..row("tick", 3.0)
    });
    story
}

const RUN: &str = "tick@3";

/// Attempt 2 from second 20, seen, reported at 30.
fn second_attempt_succeeds(story: &mut Story) {
    story.granted(RUN, 2, 20.0).code(RUN, 2, 20.1, 29.0).reported(RUN, 2, Outcome::Succeeded, 30.0);
}

#[test]
fn a_lost_attempt_and_its_successor_hold() {
    third(2, |story| {
        story.granted(RUN, 1, 3.1).event(3.2, What::EffectStart { run: RUN.to_owned(), att: 1 });
        story.reported(RUN, 1, Outcome::Lost, 15.0);
        second_attempt_succeeds(story);
    })
    .holds();
}

#[test]
fn a_refused_late_report_holds_and_an_accepted_one_is_noticed() {
    let late = |ph| {
        third(2, |story| {
            story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Lost, 15.0);
            second_attempt_succeeds(story);
            let (run, status) = (RUN.to_owned(), Outcome::Failed);
            story.event(25.0, What::Report { run, att: 1, status, at: at(25.0), ph });
        })
    };
    late(Phase::Fail).holds();
    late(Phase::Info).holds();
    late(Phase::Ok).breaks(Clause::P3d);
}

#[test]
fn a_skipped_number_is_noticed() {
    third(2, |story| {
        story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Lost, 15.0);
        story.granted(RUN, 3, 20.0).code(RUN, 3, 20.1, 29.0).reported(RUN, 3, Outcome::Succeeded, 30.0);
    })
    .breaks(Clause::P3a);
}

#[test]
fn a_number_granted_twice_is_noticed() {
    let verdict = third(2, |story| {
        story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Released, 3.2);
        story.granted(RUN, 1, 20.0).code(RUN, 1, 20.1, 29.0).reported(RUN, 1, Outcome::Succeeded, 30.0);
    })
    .judge();
    assert!(verdict.breaks(Clause::P3a));
}

#[test]
fn a_row_that_counts_other_attempts_than_were_granted_is_noticed() {
    third(3, |story| {
        story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Lost, 15.0);
        second_attempt_succeeds(story);
    })
    .breaks(Clause::P3a);
}

#[test]
fn a_grant_while_another_attempt_lives_is_noticed() {
    let verdict = third(2, |story| {
        story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Lost, 21.0);
        second_attempt_succeeds(story);
    })
    .judge();
    assert!(verdict.breaks(Clause::P3b));
}

#[test]
fn a_grant_after_an_attempt_that_never_ended_is_noticed() {
    third(2, |story| {
        story.granted(RUN, 1, 3.1);
        second_attempt_succeeds(story);
    })
    .breaks(Clause::P3b);
}

#[test]
fn a_lease_taken_away_too_early_is_noticed() {
    let beaten = |ttl_ms| {
        third(2, |story| {
            story.granted(RUN, 1, 3.1);
            let renew = |ph| What::Renew { ph, op: 900, session: "session 1".to_owned(), ttl_ms };
            story.event(14.0, renew(Phase::Inv)).event(14.1, renew(Phase::Ok));
            story.reported(RUN, 1, Outcome::Lost, 15.0);
            second_attempt_succeeds(story);
        })
    };
    beaten(5_000).holds();
    beaten(10_000).breaks(Clause::P3b);
}

#[test]
fn an_unanswered_heartbeat_extends_nothing() {
    third(2, |story| {
        story.granted(RUN, 1, 3.1);
        let renew = What::Renew { ph: Phase::Inv, op: 900, session: "session 1".to_owned(), ttl_ms: 10_000 };
        story.event(14.0, renew).reported(RUN, 1, Outcome::Lost, 15.0);
        second_attempt_succeeds(story);
    })
    .holds();
}

#[test]
fn an_attempt_that_ends_twice_is_noticed() {
    third(2, |story| {
        story.granted(RUN, 1, 3.1).reported(RUN, 1, Outcome::Lost, 15.0).reported(
            RUN,
            1,
            Outcome::Failed,
            16.0,
        );
        second_attempt_succeeds(story);
    })
    .breaks(Clause::P3d);
}

#[test]
fn a_report_of_an_attempt_that_was_never_granted_is_noticed() {
    third(1, |story| {
        story.granted(RUN, 1, 3.1).code(RUN, 1, 3.2, 29.0).reported(RUN, 1, Outcome::Succeeded, 30.0);
        story.reported(RUN, 2, Outcome::Failed, 29.5);
    })
    .breaks(Clause::P3d);
}

#[test]
fn code_that_runs_twice_under_one_number_is_noticed() {
    third(1, |story| {
        story.granted(RUN, 1, 3.1).code(RUN, 1, 3.2, 3.3).code(RUN, 1, 28.0, 29.0);
        story.reported(RUN, 1, Outcome::Succeeded, 30.0);
    })
    .breaks(Clause::P3e);
}

#[test]
fn code_that_runs_without_a_grant_is_noticed() {
    third(1, |story| {
        story.granted(RUN, 1, 3.1).code(RUN, 1, 3.2, 3.3).code(RUN, 2, 28.0, 29.0);
        story.reported(RUN, 1, Outcome::Succeeded, 30.0);
    })
    .breaks(Clause::P3e);
}

#[test]
fn code_of_two_attempts_at_once_needs_the_earlier_to_be_given_up() {
    let side_by_side = |status| {
        third(2, |story| {
            story.granted(RUN, 1, 3.1).code(RUN, 1, 3.2, 22.1).reported(RUN, 1, status, 15.0);
            second_attempt_succeeds(story);
        })
    };
    let verdict = side_by_side(Outcome::Lost).holds();
    assert_eq!(verdict.counts.overlapped.as_millis(), 2_000);
    side_by_side(Outcome::Failed).breaks(Clause::P3e);
}
