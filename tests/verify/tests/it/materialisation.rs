//! P1: every due instant becomes exactly one run.

use std::time::Duration;

use punctual_verify::history::{Phase, RunRow, What};
use punctual_verify::spec::{JobSpec, ScheduleSpec};
use punctual_verify::verdict::Clause;
use punctual_verify::{Options, check};

use crate::story::{Story, at, every_second, row, skipped, ticking, ticking_without};

#[test]
fn a_run_for_every_instant_holds() {
    let verdict = ticking(5).holds();
    assert_eq!((verdict.counts.due, verdict.counts.attempts, verdict.counts.effects), (5, 5, 5));
}

#[test]
fn an_instant_without_a_run_is_noticed() {
    ticking_without(5, &[3]).breaks(Clause::P1a);
}

#[test]
fn two_runs_of_one_instant_are_noticed() {
    let mut story = ticking_without(5, &[3]);
    story.success("tick", 3.0, 0.1);
    let second = RunRow { run: "other".to_owned(), attempts: 1, ..row("tick", 3.0) };
    story.granted("other", 1, 3.2).code("other", 1, 3.3, 3.4);
    story.reported("other", 1, punctual_verify::history::Outcome::Succeeded, 3.5);
    story.row(RunRow { started_at: Some(at(3.2)), ended_at: Some(at(3.5)), ..second });
    story.breaks(Clause::P1c);
}

#[test]
fn a_run_of_no_instant_is_noticed() {
    let mut story = ticking(5);
    story.success("tick", 2.5, 0.1);
    story.breaks(Clause::P1b);
}

#[test]
fn a_run_of_a_job_that_nobody_defined_is_noticed() {
    let mut story = ticking(5);
    story.success("tock", 2.0, 0.1);
    story.breaks(Clause::P1b);
}

#[test]
fn a_run_that_starts_early_is_noticed() {
    let mut story = ticking_without(5, &[3]);
    story.granted("tick@3", 1, 2.99).code("tick@3", 1, 3.0, 3.1);
    story.reported("tick@3", 1, punctual_verify::history::Outcome::Succeeded, 3.2);
    story.row(RunRow {
        started_at: Some(at(2.99)),
        ended_at: Some(at(3.2)),
        attempts: 1,
        ..row("tick", 3.0)
    });
    story.breaks(Clause::P1d);
}

#[test]
fn code_that_runs_early_is_noticed_whatever_the_rows_say() {
    let mut story = ticking_without(5, &[3]);
    story.granted("tick@3", 1, 3.01).code("tick@3", 1, 2.9, 3.1);
    story.reported("tick@3", 1, punctual_verify::history::Outcome::Succeeded, 3.2);
    story.row(RunRow {
        started_at: Some(at(3.01)),
        ended_at: Some(at(3.2)),
        attempts: 1,
        ..row("tick", 3.0)
    });
    story.breaks(Clause::P1d);
}

fn late_by_four_seconds() -> Story {
    let mut story = ticking_without(5, &[3]);
    story.granted("tick@3", 1, 7.0).code("tick@3", 1, 7.1, 7.2);
    story.reported("tick@3", 1, punctual_verify::history::Outcome::Succeeded, 7.3);
    story.row(RunRow { started_at: Some(at(7.0)), ended_at: Some(at(7.3)), attempts: 1, ..row("tick", 3.0) });
    story
}

#[test]
fn lateness_is_judged_only_when_asked_for() {
    let story = late_by_four_seconds();
    story.holds();
    let options = Options { lateness: Some(Duration::from_secs(1)), ..Options::default() };
    let verdict = check(&story.told(100.0), &options).expect("the history can be judged");
    assert!(verdict.breaks(Clause::P1d));
    let options = Options { lateness: Some(Duration::from_secs(5)), ..Options::default() };
    assert!(check(&story.told(100.0), &options).expect("the history can be judged").is_clean());
}

#[test]
fn lateness_within_a_fault_is_explained() {
    let mut story = late_by_four_seconds();
    let nemesis = |on| What::Nemesis { fault: "kill".to_owned(), target: "scheduler-1".to_owned(), on };
    story.event(2.0, nemesis(true)).event(4.0, nemesis(false));
    let recovery = Duration::from_secs(5);
    let options = Options { lateness: Some(Duration::from_secs(1)), recovery, ..Options::default() };
    assert!(check(&story.told(100.0), &options).expect("the history can be judged").is_clean());
    let options = Options { recovery: Duration::ZERO, ..options };
    assert!(check(&story.told(100.0), &options).expect("the history can be judged").breaks(Clause::P1d));
}

#[test]
fn an_instant_during_a_definition_call_is_free_to_be_run_or_not() {
    let mut story = Story::new();
    story.put(0.995, "tick", every_second()).success("tick", 2.0, 0.1).pause(2.995, "tick");
    story.holds();
    story.success("tick", 1.0, 0.1).success("tick", 3.0, 0.1);
    story.holds();
}

#[test]
fn a_definition_of_unknown_outcome_is_taken_neither_for_done_nor_for_failed() {
    let mut story = Story::new();
    story.put_ending(0.5, "tick", every_second(), Phase::Info, None).success("tick", 2.0, 0.1);
    story.holds();
}

#[test]
fn a_refused_definition_has_no_runs() {
    let mut story = Story::new();
    story.put_ending(0.5, "tick", every_second(), Phase::Fail, None).success("tick", 2.0, 0.1);
    story.breaks(Clause::P1b);
}

#[test]
fn a_run_during_a_pause_is_noticed() {
    let mut story = ticking(3);
    story.resume(6.5, "tick").success("tick", 7.0, 0.1).pause(7.5, "tick");
    story.holds();
    story.success("tick", 5.0, 0.1);
    story.breaks(Clause::P1b);
}

#[test]
fn a_run_after_a_deletion_is_noticed() {
    let mut story = ticking(3);
    story.delete(5.5, "tick");
    story.holds();
    story.put(6.5, "tick", every_second()).success("tick", 7.0, 0.1).delete(7.5, "tick");
    story.holds();
    story.success("tick", 8.0, 0.1);
    story.breaks(Clause::P1b);
}

/// Every other second, so that an edit changes which instants there are.
fn every_other_second() -> JobSpec {
    let schedule = vec![ScheduleSpec { every: Some("2s".to_owned()), ..ScheduleSpec::default() }];
    JobSpec { schedule, ..every_second() }
}

#[test]
fn an_instant_that_both_versions_name_is_due_even_during_the_edit() {
    let mut story = ticking_without(3, &[2, 3]);
    story.put(1.995, "tick", every_other_second());
    story.breaks(Clause::P1a);
}

#[test]
fn an_edit_ends_the_instants_of_the_version_before() {
    let mut story = Story::new();
    story.put_ending(0.5, "tick", every_second(), Phase::Ok, Some(1));
    story.put_ending(2.5, "tick", every_other_second(), Phase::Ok, Some(2));
    story.success("tick", 1.0, 0.1).success("tick", 2.0, 0.1).success("tick", 4.0, 0.1).pause(5.5, "tick");
    story.holds();
    story.success("tick", 3.0, 0.1);
    story.breaks(Clause::P1b);
}

#[test]
fn a_run_under_a_replaced_version_is_noticed_though_its_instant_is_due() {
    let mut story = ticking_without(5, &[4]);
    story.put_ending(2.5, "tick", every_second(), Phase::Ok, Some(2));
    story.granted("tick@4", 1, 4.01).code("tick@4", 1, 4.02, 4.03);
    story.reported("tick@4", 1, punctual_verify::history::Outcome::Succeeded, 4.04);
    let ran =
        RunRow { started_at: Some(at(4.01)), ended_at: Some(at(4.04)), attempts: 1, ..row("tick", 4.0) };
    story.row(RunRow { ver: Some(1), ..ran });
    story.breaks(Clause::P1e);
}

#[test]
fn a_run_admitted_just_before_an_edit_or_a_pause_still_runs_and_an_earlier_planned_one_does_not() {
    let edited = |second| {
        let mut story = Story::new();
        story.put_ending(0.5, "tick", every_second(), Phase::Ok, Some(1)).success("tick", 1.0, 0.1);
        story.put_ending(second, "tick", every_other_second(), Phase::Ok, Some(2)).pause(3.5, "tick");
        story.success("tick", 2.0, 0.1).success("tick", 3.0, 0.1);
        story
    };
    edited(2.97).holds();
    edited(2.9).breaks(Clause::P1b);
    let paused = |second| {
        let mut story = ticking_without(3, &[3]);
        story.success("tick", 4.0, 0.1).resume(3.6, "tick").pause(second, "tick").success("tick", 3.0, 0.1);
        story
    };
    paused(3.97).holds();
    paused(3.9).breaks(Clause::P1b);
}

#[test]
fn a_skip_needs_a_reason_that_the_policy_permits() {
    for reason in ["overlap", "misfire", "paused", "moonlight"] {
        let mut story = ticking_without(5, &[3]);
        // The pause comes later than the skip was judged, and overlap is allowed.
        story.row(skipped("tick", 3.0, reason));
        story.breaks(Clause::P1a);
    }
}

#[test]
fn a_skipped_misfire_was_planned_a_minute_late() {
    let mut story = ticking_without(5, &[3]);
    story.row(RunRow { created_at: at(63.5), ..skipped("tick", 3.0, "misfire") });
    story.holds();
}

fn counted(from: f64, to: f64, count: u64, second: f64) -> What {
    What::Missed { job: "tick".to_owned(), from: at(from), to: at(to), count, at: at(second) }
}

#[test]
fn counted_instants_need_no_run() {
    let mut story = ticking_without(5, &[2, 3]);
    story.event(70.0, counted(2.0, 3.0, 2, 70.0));
    let verdict = story.holds();
    assert_eq!(verdict.counts.missed, 2);
}

#[test]
fn a_wrong_count_of_missed_instants_is_noticed() {
    let mut story = ticking_without(5, &[2, 3]);
    story.event(70.0, counted(2.0, 3.0, 1, 70.0));
    story.breaks(Clause::P1a);
    let mut story = ticking_without(5, &[2, 3]);
    story.event(70.0, counted(2.0, 3.0, 3, 70.0));
    story.breaks(Clause::P1b);
}

#[test]
fn giving_up_an_instant_too_soon_is_noticed() {
    let mut story = ticking_without(5, &[2, 3]);
    story.event(10.0, counted(2.0, 3.0, 2, 10.0));
    story.breaks(Clause::P1a);
}

#[test]
fn what_falls_due_just_before_the_end_is_not_asked_for() {
    let mut story = Story::new();
    story.put(0.5, "tick", every_second());
    for due in 1..=6 {
        story.success("tick", f64::from(due), 0.1);
    }
    let judged =
        |quiesce| check(&story.told(quiesce), &Options::default()).expect("the history can be judged");
    assert!(judged(11.5).is_clean());
    assert!(judged(12.5).breaks(Clause::P1a));
}

#[test]
fn a_vague_clock_reading_makes_the_checker_lenient_not_wrong() {
    let mut story = Story::new();
    story.event(0.4, What::Clock { db: at(0.4), took_ns: 700_000_000 });
    // With an error of 0.7 s, second 1 may have come before or after the definition at 0.5.
    story.put(0.5, "tick", every_second()).success("tick", 2.0, 0.1).pause(2.5, "tick");
    story.holds();
}
