//! P1 for runs that were asked for.

use punctual_verify::history::{Call, Origin, Phase, RunRow, State, What};
use punctual_verify::verdict::Clause;

use crate::story::{Story, at, row, ticking};

fn triggered(run: &str, second: f64) -> RunRow {
    RunRow {
        run: run.to_owned(),
        origin: Origin::Trigger,
        state: State::Skipped,
        reason: "overlap".to_owned(),
        ended_at: Some(at(second)),
        ..row("tick", second)
    }
}

fn asked(outcome: Phase, rows: &[&str]) -> Story {
    let mut story = ticking(3);
    story.trigger(2.1, "tick", "t1", "key", outcome);
    for run in rows {
        story.row(triggered(run, 2.1));
    }
    story
}

#[test]
fn a_trigger_makes_the_run_it_promised() {
    asked(Phase::Ok, &["t1"]).holds();
    asked(Phase::Ok, &[]).breaks(Clause::P1a);
}

#[test]
fn a_trigger_of_unknown_outcome_makes_one_run_or_none() {
    asked(Phase::Info, &[]).holds();
    asked(Phase::Info, &["t1"]).holds();
    asked(Phase::Info, &["t1", "t2"]).breaks(Clause::P1b);
}

#[test]
fn a_refused_trigger_makes_none() {
    asked(Phase::Fail, &[]).holds();
    asked(Phase::Fail, &["t1"]).breaks(Clause::P1b);
}

#[test]
fn one_request_repeated_makes_one_run() {
    let mut story = asked(Phase::Ok, &["t1"]);
    story.trigger(2.5, "tick", "t1", "key", Phase::Ok);
    story.holds();
    story.trigger(2.6, "tick", "t2", "key", Phase::Ok).row(triggered("t2", 2.6));
    story.breaks(Clause::P1c);
}

#[test]
fn a_run_exported_twice_is_noticed() {
    asked(Phase::Ok, &["t1", "t1"]).breaks(Clause::P1c);
}

#[test]
fn a_one_off_run_is_judged_like_a_trigger() {
    let one_off = || RunRow { job: String::new(), origin: Origin::OneOff, ..triggered("o1", 2.0) };
    let mut story = ticking(3);
    let made = Call { ph: Phase::Ok, run: Some("o1".to_owned()), ..Call::default() };
    story.call(1.9, What::RunCreate, Call::default(), made);
    story.breaks(Clause::P1a);
    story.row(one_off());
    story.holds();
    let mut unasked = ticking(3);
    unasked.row(one_off());
    unasked.breaks(Clause::P1b);
}
