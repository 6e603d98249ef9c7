//! P4: a job that skips overlaps has none.

use punctual_verify::history::{Outcome, RunRow, State};
use punctual_verify::verdict::Clause;

use crate::story::{Story, at, row, skipped, skipping};

/// Second 1 runs for `took` seconds; the others up to 4 are told by `tell`.
fn story(took: f64, tell: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.put(0.5, "tick", skipping()).success("tick", 1.0, took);
    tell(&mut story);
    story.pause(4.5, "tick");
    story
}

#[test]
fn instants_skipped_during_a_long_run_hold() {
    story(1.5, |story| {
        story.row(skipped("tick", 2.0, "overlap"));
        story.success("tick", 3.0, 0.1).success("tick", 4.0, 0.1);
    })
    .holds();
}

#[test]
fn two_live_runs_are_noticed() {
    story(1.5, |story| {
        story.success("tick", 2.0, 0.1).success("tick", 3.0, 0.1).success("tick", 4.0, 0.1);
    })
    .breaks(Clause::P4a);
}

#[test]
fn two_live_runs_are_noticed_by_their_code_when_the_rows_hide_it() {
    story(0.1, |story| {
        story.success("tick", 2.0, 0.1).success("tick", 4.0, 0.1);
        // Its row claims an end that its code did not keep.
        story.granted("tick@3", 1, 3.01).code("tick@3", 1, 3.02, 4.05).reported(
            "tick@3",
            1,
            Outcome::Failed,
            3.5,
        );
        story.row(RunRow {
            state: State::Failed,
            started_at: Some(at(3.01)),
            ended_at: Some(at(3.5)),
            attempts: 1,
            tries_used: 1,
            permanent: true,
            ..row("tick", 3.0)
        });
    })
    .breaks(Clause::P4a);
}

#[test]
fn a_skip_without_a_live_run_is_noticed() {
    story(0.1, |story| {
        story.row(skipped("tick", 2.0, "overlap"));
        story.success("tick", 3.0, 0.1).success("tick", 4.0, 0.1);
    })
    .breaks(Clause::P4b);
}

#[test]
fn a_skipped_run_does_not_excuse_the_next_skip() {
    story(0.5, |story| {
        story.row(skipped("tick", 2.0, "overlap")).row(skipped("tick", 3.0, "overlap"));
        story.success("tick", 4.0, 0.1);
    })
    .breaks(Clause::P4b);
}
