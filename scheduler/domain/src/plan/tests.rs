use proptest::prelude::*;

use super::*;
use crate::schedule::ScheduleSpec;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// On 1 January 2026.
fn on_the_day(time: &str) -> DateTime<Utc> {
    at(&format!("2026-01-01T{time}Z"))
}

fn every(seconds: u64) -> ScheduleSet {
    ScheduleSet::compile(&[ScheduleSpec::every(Duration::from_secs(seconds))]).unwrap()
}

struct Case {
    every: u64,
    cursor: &'static str,
    now: &'static str,
    horizon: &'static str,
    limit: usize,
}

#[track_caller]
fn check(case: &Case, due: &[&str], missed: Option<(&str, &str, u64)>, next: &str) {
    let schedule = every(case.every);
    let plan = plan(PlanInput {
        schedule: &schedule,
        cursor: on_the_day(case.cursor),
        now: on_the_day(case.now),
        horizon: on_the_day(case.horizon),
        misfire: Misfire::Latest,
        limit: case.limit,
    })
    .unwrap();
    assert_eq!(plan.due, due.iter().map(|time| on_the_day(time)).collect::<Vec<_>>(), "due");
    let range =
        missed.map(|(from, to, count)| MissedRange { from: on_the_day(from), to: on_the_day(to), count });
    assert_eq!(plan.missed, range, "missed");
    assert_eq!(plan.next, Some(on_the_day(next)), "next");
}

#[test]
fn instants_up_to_the_horizon_are_planned_ahead() {
    let case = Case { every: 5, cursor: "10:00:00", now: "10:00:00", horizon: "10:00:10", limit: 100 };
    check(&case, &["10:00:00", "10:00:05", "10:00:10"], None, "10:00:15");
}

#[test]
fn an_instant_up_to_a_minute_late_just_runs_late() {
    let case = Case { every: 30, cursor: "09:59:00", now: "10:00:00", horizon: "10:00:00", limit: 100 };
    check(&case, &["09:59:00", "09:59:30", "10:00:00"], None, "10:00:30");
}

#[test]
fn of_the_missed_instants_the_latest_runs_and_the_others_are_counted() {
    let case = Case { every: 60, cursor: "09:50:00", now: "10:00:01", horizon: "10:00:11", limit: 100 };
    let missed = Some(("09:50:00", "09:58:00", 9));
    check(&case, &["09:59:00", "10:00:00"], missed, "10:01:00");
}

#[test]
fn a_missed_instant_beyond_the_catchup_window_is_only_counted() {
    let case = Case { every: 7_200, cursor: "06:00:00", now: "09:00:01", horizon: "09:00:11", limit: 100 };
    check(&case, &[], Some(("06:00:00", "08:00:00", 2)), "10:00:00");
    let within = Case { now: "09:00:00", ..case };
    check(&within, &["08:00:00"], Some(("06:00:00", "06:00:00", 1)), "10:00:00");
}

#[test]
fn the_limit_leaves_the_rest_to_the_next_call() {
    let case = Case { every: 1, cursor: "10:00:00", now: "10:00:00", horizon: "10:00:10", limit: 3 };
    check(&case, &["10:00:00", "10:00:01", "10:00:02"], None, "10:00:03");
    let none = Case { limit: 0, ..case };
    check(&none, &["10:00:00"], None, "10:00:01");
    // The one made up for counts too.
    let late = Case { every: 50, cursor: "09:56:40", now: "10:00:01", horizon: "10:01:00", limit: 1 };
    check(&late, &["09:58:20"], Some(("09:56:40", "09:57:30", 2)), "09:59:10");
}

#[test]
fn a_chunk_of_missed_instants_with_a_later_one_behind_it_is_only_counted() {
    let schedule = every(1);
    let now = at("2026-01-03T00:00:00Z");
    let mut input = PlanInput {
        schedule: &schedule,
        cursor: at("2026-01-01T00:00:00Z"),
        now,
        horizon: now,
        misfire: Misfire::Latest,
        limit: 1_000,
    };
    let first = plan(input).unwrap();
    assert!(first.due.is_empty());
    assert_eq!(first.missed.unwrap().count, MOST_INSTANTS as u64);
    input.cursor = first.next.unwrap();
    let second = plan(input).unwrap();
    // 172,741 instants are missed by 00:00:00 less 60 s; the latest of them runs, and 61 are just late.
    assert_eq!(second.missed.unwrap().count, 172_740 - MOST_INSTANTS as u64 - 1);
    assert_eq!(second.due.first(), Some(&at("2026-01-02T23:58:59Z")));
    assert_eq!(second.due.len(), 1 + 61);
}

#[test]
fn a_schedule_that_has_ended_has_no_next_instant() {
    let schedule = ScheduleSet::compile(&[ScheduleSpec::at(on_the_day("10:00:00"))]).unwrap();
    let input = PlanInput {
        schedule: &schedule,
        cursor: on_the_day("10:00:00"),
        now: on_the_day("09:59:55"),
        horizon: on_the_day("10:00:05"),
        misfire: Misfire::Latest,
        limit: 10,
    };
    let planned = plan(input).unwrap();
    assert_eq!(planned, Plan { due: vec![on_the_day("10:00:00")], missed: None, next: None });
    assert_eq!(first_after(&schedule, on_the_day("10:00:00")), Ok(None));
    let before = on_the_day("09:59:59");
    assert_eq!(first_after(&schedule, before), Ok(Some(on_the_day("10:00:00"))));
}

proptest! {
    /// Nothing is lost and nothing comes twice, over any series of calls.
    #[test]
    fn due_and_missed_together_are_all_instants(
        every_s in 1..400_u64,
        steps in prop::collection::vec((0..5_000_i64, 0..30_i64, 0..50_usize), 1..20),
    ) {
        let schedule = every(every_s);
        let start = on_the_day("00:00:00");
        let (mut now, mut cursor) = (start, start);
        let (mut due, mut counted, mut planned) = (Vec::new(), 0, start);
        for (pause, ahead, limit) in steps {
            now += TimeDelta::seconds(pause);
            let horizon = now + TimeDelta::seconds(ahead);
            let plan = plan(PlanInput {
                schedule: &schedule, cursor, now, horizon, misfire: Misfire::Latest, limit,
            }).unwrap();
            prop_assert!(plan.due.len() <= limit.max(1));
            if let Some(missed) = plan.missed {
                prop_assert!(cursor <= missed.from && missed.from <= missed.to);
                prop_assert!(missed.to < now - TimeDelta::seconds(60));
                prop_assert!(plan.due.iter().all(|due| *due > missed.to));
                counted += missed.count;
            }
            let late = plan.due.iter().filter(|due| **due < now - TimeDelta::seconds(60)).count();
            prop_assert!(late <= 1, "at most one is made up for in a call");
            due.extend(plan.due);
            cursor = plan.next.unwrap();
            planned = cursor;
        }
        let all = schedule.occurrences(start, planned).count() as u64;
        prop_assert_eq!(due.len() as u64 + counted, all);
        prop_assert!(due.windows(2).all(|pair| pair[0] < pair[1]), "in order and each once");
    }
}
