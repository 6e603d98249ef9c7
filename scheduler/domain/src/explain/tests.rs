use super::*;
use crate::audit::{JobEvent, JobEventKind};
use crate::misfire::MissedReason;
use crate::schedule::ScheduleSpec;

fn time(text: &str) -> DateTime<Utc> {
    format!("2026-05-{text}Z").parse().unwrap()
}

/// At nine each day; made on the 1st, paused from the 3rd to the 5th, deleted on the 20th.
fn a_life() -> Vec<JobEvent> {
    let event = |at: &str, kind, note: &str| JobEvent {
        at: time(at),
        since: None,
        kind,
        actor: "ann".to_owned(),
        version: 1,
        note: note.to_owned(),
    };
    vec![
        event("01T12:00:00", JobEventKind::Created, ""),
        event("03T12:00:00", JobEventKind::Paused, "holidays"),
        event("05T12:00:00", JobEventKind::Resumed, ""),
        event("20T12:00:00", JobEventKind::Deleted, ""),
    ]
}

struct Case {
    at: &'static str,
    runs: usize,
    missed: bool,
}

/// On the 18th at noon, when the job was not deleted yet.
#[track_caller]
fn check(case: Case, expect: Verdict) {
    let set = ScheduleSet::compile(&[ScheduleSpec::cron("0 9 * * *", "UTC")]).unwrap();
    let events = a_life();
    let at = time(case.at);
    let explanation = explain(&InstantFacts {
        at,
        now: time("18T12:00:00"),
        timeline: Timeline::new(&events),
        schedule: Ok(&set),
        next_due_at: Some(time("19T09:00:00")),
        runs: case.runs,
        missed: case.missed.then_some(MissedRange {
            from: at,
            to: at,
            count: 1,
            reason: MissedReason::Misfire,
        }),
    });
    assert_eq!(explanation.verdict, expect, "at {}", case.at);
}

fn at(at: &'static str) -> Case {
    Case { at, runs: 0, missed: false }
}

#[test]
fn what_is_on_record_is_the_answer() {
    check(Case { runs: 1, ..at("10T09:00:00") }, Verdict::Run);
    check(Case { missed: true, ..at("10T09:00:00") }, Verdict::Missed);
    check(Case { runs: 1, missed: true, ..at("10T09:00:00") }, Verdict::Run);
    check(Case { missed: true, ..at("10T08:00:00") }, Verdict::NoRule);
}

#[test]
fn without_a_record_the_jobs_life_and_then_its_rules_are_the_reason() {
    check(at("01T09:00:00"), Verdict::BeforeCreation);
    check(at("04T09:00:00"), Verdict::Paused);
    check(at("04T10:00:00"), Verdict::NoRule);
    check(at("17T10:00:00"), Verdict::NoRule);
    check(at("19T09:00:00"), Verdict::NotYetPlanned);
    check(at("19T09:00:01"), Verdict::NoRule);
    check(at("21T09:00:00"), Verdict::Deleted);
    check(at("06T09:00:00"), Verdict::NoLongerKept);
    check(at("17T09:00:00"), Verdict::Absent);
}

#[test]
fn a_schedule_that_cannot_be_evaluated_is_the_reason() {
    let events = a_life();
    let facts = InstantFacts {
        at: time("17T09:00:00"),
        now: time("18T12:00:00"),
        timeline: Timeline::new(&events),
        schedule: Err("no such zone"),
        next_due_at: None,
        runs: 0,
        missed: None,
    };
    assert_eq!(explain(&facts).verdict, Verdict::Errored);
}

#[test]
fn the_nearest_instants_and_what_was_in_force_come_with_it() {
    let set = ScheduleSet::compile(&[ScheduleSpec::cron("0 9 * * *", "UTC")]).unwrap();
    let events = a_life();
    let explanation = explain(&InstantFacts {
        at: time("04T10:00:00"),
        now: time("18T12:00:00"),
        timeline: Timeline::new(&events),
        schedule: Ok(&set),
        next_due_at: None,
        runs: 0,
        missed: None,
    });
    assert_eq!(explanation.before, Some(time("04T09:00:00")));
    assert_eq!(explanation.after, Some(time("05T09:00:00")));
    let standing = explanation.standing.unwrap();
    assert_eq!((standing.state, standing.state_by.note.as_str()), (JobState::Paused, "holidays"));
}
