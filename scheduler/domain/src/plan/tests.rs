use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, CalendarSpec};
use crate::misfire::MissedReason;
use crate::name::CalendarName;
use crate::schedule::{ScheduleSpec, When};

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

/// Planning with every default.
fn input<'a>(schedule: &'a ScheduleSet, calendars: &'a Calendars, cursor: DateTime<Utc>) -> PlanInput<'a> {
    PlanInput {
        schedule,
        calendars,
        delayed: None,
        cursor,
        now: cursor,
        horizon: cursor,
        misfire: Misfire::Latest,
        catchup: CatchUp::default(),
        limit: 1_000,
    }
}

struct Case {
    every: u64,
    cursor: &'static str,
    now: &'static str,
    horizon: &'static str,
    limit: usize,
}

const MISFIRE: MissedReason = MissedReason::Misfire;
const WINDOW: MissedReason = MissedReason::CatchupWindow;

type Missed = (&'static str, &'static str, u64, MissedReason);

#[track_caller]
fn check(case: &Case, due: &[&str], missed: &[Missed], next: &str) {
    check_policy(case, Misfire::Latest, CatchUp::default(), due, missed, next);
}

#[track_caller]
fn check_policy(
    case: &Case,
    misfire: Misfire,
    catchup: CatchUp,
    due: &[&str],
    missed: &[Missed],
    next: &str,
) {
    let (schedule, calendars) = (every(case.every), Calendars::default());
    let plan = plan(PlanInput {
        now: on_the_day(case.now),
        horizon: on_the_day(case.horizon),
        misfire,
        catchup,
        limit: case.limit,
        ..input(&schedule, &calendars, on_the_day(case.cursor))
    })
    .unwrap();
    assert_eq!(plan.due, due.iter().map(|time| on_the_day(time)).collect::<Vec<_>>(), "due");
    let missed = missed.iter().map(|(from, to, count, reason)| MissedRange {
        from: on_the_day(from),
        to: on_the_day(to),
        count: *count,
        reason: *reason,
    });
    assert_eq!(plan.missed, missed.collect::<Vec<_>>(), "missed");
    assert_eq!(plan.next, Some(on_the_day(next)), "next");
}

#[test]
fn instants_up_to_the_horizon_are_planned_ahead() {
    let case = Case { every: 5, cursor: "10:00:00", now: "10:00:00", horizon: "10:00:10", limit: 100 };
    check(&case, &["10:00:00", "10:00:05", "10:00:10"], &[], "10:00:15");
}

#[test]
fn an_instant_up_to_a_minute_late_just_runs_late() {
    let case = Case { every: 30, cursor: "09:59:00", now: "10:00:00", horizon: "10:00:00", limit: 100 };
    check(&case, &["09:59:00", "09:59:30", "10:00:00"], &[], "10:00:30");
}

#[test]
fn of_the_missed_instants_the_latest_runs_and_the_others_are_counted() {
    let case = Case { every: 60, cursor: "09:50:00", now: "10:00:01", horizon: "10:00:11", limit: 100 };
    let missed = ("09:50:00", "09:58:00", 9, MISFIRE);
    check(&case, &["09:59:00", "10:00:00"], &[missed], "10:01:00");
}

#[test]
fn a_missed_instant_beyond_the_catchup_window_is_only_counted() {
    let case = Case { every: 7_200, cursor: "06:00:00", now: "09:00:01", horizon: "09:00:11", limit: 100 };
    check(&case, &[], &[("06:00:00", "08:00:00", 2, WINDOW)], "10:00:00");
    let within = Case { now: "09:00:00", ..case };
    check(&within, &["08:00:00"], &[("06:00:00", "06:00:00", 1, WINDOW)], "10:00:00");
}

#[test]
fn the_limit_leaves_the_rest_to_the_next_call() {
    let case = Case { every: 1, cursor: "10:00:00", now: "10:00:00", horizon: "10:00:10", limit: 3 };
    check(&case, &["10:00:00", "10:00:01", "10:00:02"], &[], "10:00:03");
    let none = Case { limit: 0, ..case };
    check(&none, &["10:00:00"], &[], "10:00:01");
    // The one made up for counts too.
    let late = Case { every: 50, cursor: "09:56:40", now: "10:00:01", horizon: "10:01:00", limit: 1 };
    check(&late, &["09:58:20"], &[("09:56:40", "09:57:30", 2, MISFIRE)], "09:59:10");
}

fn catch_up(window_s: u64, limit: u32) -> CatchUp {
    CatchUp { window: Duration::from_secs(window_s), limit, ..CatchUp::default() }
}

#[test]
fn skip_only_counts() {
    let case = Case { every: 60, cursor: "07:50:00", now: "10:00:01", horizon: "10:00:11", limit: 100 };
    let missed = ("07:50:00", "09:59:00", 130, MISFIRE);
    check_policy(&case, Misfire::Skip, CatchUp::default(), &["10:00:00"], &[missed], "10:01:00");
}

#[test]
fn all_makes_up_for_the_latest_within_window_and_limit() {
    let case = Case { every: 600, cursor: "08:00:00", now: "10:00:01", horizon: "10:00:11", limit: 100 };
    let within = ["09:10:00", "09:20:00", "09:30:00", "09:40:00", "09:50:00", "10:00:00"];
    let before = ("08:00:00", "09:00:00", 7, WINDOW);
    check_policy(&case, Misfire::All, catch_up(3_600, 100), &within, &[before], "10:10:00");
    let surplus = ("09:10:00", "09:30:00", 3, MissedReason::CatchupLimit);
    check_policy(&case, Misfire::All, catch_up(3_600, 2), &within[3..], &[before, surplus], "10:10:00");
    // What finds no room in this call is not decided on.
    let narrow = Case { limit: 2, ..case };
    check_policy(&narrow, Misfire::All, catch_up(3_600, 100), &within[..2], &[before], "09:30:00");
}

#[test]
fn how_late_is_missed_can_be_said() {
    let case = Case { every: 60, cursor: "09:50:00", now: "10:00:00", horizon: "10:00:00", limit: 100 };
    let patient = CatchUp { after: Duration::from_secs(300), ..CatchUp::default() };
    let missed = ("09:50:00", "09:53:00", 4, MISFIRE);
    let due = ["09:54:00", "09:55:00", "09:56:00", "09:57:00", "09:58:00", "09:59:00", "10:00:00"];
    check_policy(&case, Misfire::Latest, patient, &due, &[missed], "10:01:00");
}

#[test]
fn the_instant_of_a_fixed_delay_runs_however_late() {
    let schedule = ScheduleSet::compile(&[ScheduleSpec::delay(Duration::from_secs(300))]).unwrap();
    let calendars = Calendars::default();
    let instant = on_the_day("10:00:00");
    assert_eq!(schedule.delayed_from(on_the_day("09:55:00")), Some(instant));
    let early = input(&schedule, &calendars, instant);
    let early = PlanInput {
        delayed: Some(instant),
        now: on_the_day("09:59:00"),
        horizon: on_the_day("09:59:10"),
        ..early
    };
    let nothing = plan(early).unwrap();
    assert_eq!(nothing, Plan { next: Some(instant), delayed: Some(instant), ..Plan::default() });
    for misfire in Misfire::ALL {
        let late = PlanInput { now: on_the_day("19:00:00"), misfire: *misfire, ..early };
        assert_eq!(plan(late).unwrap(), Plan { due: vec![instant], ..Plan::default() });
    }
}

/// Midnight to six on 1 January 2026.
fn small_hours() -> Calendars {
    let event =
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T000000Z\nDURATION:PT6H\nEND:VEVENT\nEND:VCALENDAR";
    let spec = CalendarSpec::from_ical(event).unwrap();
    let mut calendars = Calendars::default();
    let name = CalendarName::new("small-hours").unwrap();
    calendars.insert(name, Arc::new(Calendar::compile(&spec).unwrap()));
    calendars
}

fn excluding(seconds: u64) -> ScheduleSet {
    let exclude = vec![CalendarName::new("small-hours").unwrap()];
    let spec = ScheduleSpec { exclude, ..ScheduleSpec::every(Duration::from_secs(seconds)) };
    ScheduleSet::compile(&[spec]).unwrap()
}

#[test]
fn what_a_calendar_excludes_is_counted() {
    let (schedule, calendars) = (excluding(3_600), small_hours());
    let late = PlanInput {
        now: on_the_day("08:00:30"),
        horizon: on_the_day("08:00:40"),
        catchup: catch_up(7 * 86_400, 100),
        misfire: Misfire::All,
        ..input(&schedule, &calendars, at("2025-12-31T22:00:00Z"))
    };
    let planned = plan(late).unwrap();
    let due = ["2025-12-31T22:00:00Z", "2025-12-31T23:00:00Z"].map(at).into_iter();
    assert_eq!(
        planned.due,
        due.chain(["06:00:00", "07:00:00", "08:00:00"].map(on_the_day)).collect::<Vec<_>>()
    );
    let (from, to) = (on_the_day("00:00:00"), on_the_day("05:00:00"));
    assert_eq!(planned.missed, [MissedRange { from, to, count: 6, reason: MissedReason::Calendar }]);
    let unknown = Calendars::default();
    let error = plan(PlanInput { calendars: &unknown, ..late }).unwrap_err();
    assert!(matches!(error, ScheduleError::NoSuchCalendar { .. }), "{error}");
}

#[test]
fn an_instant_that_another_schedule_gives_too_is_not_excluded() {
    let exclude = vec![CalendarName::new("small-hours").unwrap()];
    let hourly = ScheduleSpec { exclude, ..ScheduleSpec::every(Duration::from_secs(3_600)) };
    let other = ScheduleSpec::every(Duration::from_secs(7_200));
    let (schedule, calendars) = (ScheduleSet::compile(&[hourly, other]).unwrap(), small_hours());
    let case =
        PlanInput { horizon: on_the_day("04:30:00"), ..input(&schedule, &calendars, on_the_day("00:00:00")) };
    let planned = plan(case).unwrap();
    assert_eq!(planned.due, ["00:00:00", "02:00:00", "04:00:00"].map(on_the_day));
    // No due instant lies within a range.
    assert_eq!(planned.missed.iter().map(|range| range.count).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_chunk_of_missed_instants_with_a_later_one_behind_it_is_only_counted() {
    let (schedule, calendars) = (every(1), Calendars::default());
    let now = at("2026-01-03T00:00:00Z");
    let window = catch_up(7 * 86_400, 1);
    let mut input = PlanInput {
        now,
        horizon: now,
        catchup: window,
        ..input(&schedule, &calendars, at("2026-01-01T00:00:00Z"))
    };
    let first = plan(input).unwrap();
    assert!(first.due.is_empty());
    assert_eq!(first.missed[0].count, MOST_INSTANTS as u64);
    input.cursor = first.next.unwrap();
    let second = plan(input).unwrap();
    // 172,741 instants are missed by 00:00:00 less 60 s; the latest of them runs, and 61 are just late.
    assert_eq!(second.missed[0].count, 172_740 - MOST_INSTANTS as u64 - 1);
    assert_eq!(second.due.first(), Some(&at("2026-01-02T23:58:59Z")));
    assert_eq!(second.due.len(), 1 + 61);
}

#[test]
fn planning_moves_on_though_a_calendar_excludes_more_than_one_call_looks_at() {
    // One instant, then two hundred thousand excluded ones by other schedules' phases.
    let phases = (0..10).map(|phase| ScheduleSpec {
        when: When::Every { every: Duration::from_secs(1), phase: Duration::from_millis(100 * phase) },
        exclude: vec![CalendarName::new("small-hours").unwrap()],
        ..ScheduleSpec::every(Duration::from_secs(1))
    });
    let (schedule, calendars) = (ScheduleSet::compile(&phases.collect::<Vec<_>>()).unwrap(), small_hours());
    let mut input = PlanInput {
        now: on_the_day("06:00:00"),
        horizon: on_the_day("06:00:00"),
        catchup: catch_up(7 * 86_400, 1),
        ..input(&schedule, &calendars, at("2025-12-31T23:59:59.9Z"))
    };
    let (mut due, mut missed) = (0, 0);
    for _ in 0..10 {
        let planned = plan(input).unwrap();
        due += planned.due.len() as u64;
        missed += planned.missed.iter().map(|range| range.count).sum::<u64>();
        let next = planned.next.unwrap();
        assert!(next > input.cursor, "a step ahead");
        input.cursor = next;
        if next > input.now {
            break;
        }
    }
    assert!(input.cursor > input.now, "all planned");
    assert_eq!(due + missed, 6 * 36_000 + 2);
}

#[test]
fn a_schedule_that_has_ended_has_no_next_instant() {
    let schedule = ScheduleSet::compile(&[ScheduleSpec::at(on_the_day("10:00:00"))]).unwrap();
    let calendars = Calendars::default();
    let input = PlanInput {
        now: on_the_day("09:59:55"),
        horizon: on_the_day("10:00:05"),
        ..input(&schedule, &calendars, on_the_day("10:00:00"))
    };
    let planned = plan(input).unwrap();
    assert_eq!(planned, Plan { due: vec![on_the_day("10:00:00")], ..Plan::default() });
    let instant = on_the_day("10:00:00");
    let begun = |since| {
        let Beginning { next, state, .. } = begin(&Ok(schedule.clone()), since, instant, false);
        (next, state)
    };
    assert_eq!(begun(Since::After(instant)), (None, JobState::Exhausted));
    assert_eq!(begun(Since::From(instant)), (Some(instant), JobState::Active));
}

#[test]
fn a_fixed_delay_begins_now_unless_a_run_is_unfinished() {
    let delay = Ok(ScheduleSet::compile(&[ScheduleSpec::delay(Duration::from_secs(300))]).unwrap());
    let now = on_the_day("10:00:00");
    let begun = begin(&delay, Since::After(now), now, false);
    let instant = Some(on_the_day("10:05:00"));
    assert_eq!((begun.next, begun.delayed, begun.state), (instant, instant, JobState::Active));
    let begun = begin(&delay, Since::After(now), now, true);
    assert_eq!((begun.next, begun.delayed, begun.state), (None, None, JobState::Active));
}

proptest! {
    /// Nothing is lost and nothing comes twice, under any policy, over any series of calls.
    #[test]
    fn due_and_missed_together_are_all_instants(
        every_s in 1..400_u64,
        excludes in any::<bool>(),
        misfire in prop::sample::select(Misfire::ALL),
        (after, window, most) in (1..600_u64, 1..10_000_u64, 1..30_u32),
        steps in prop::collection::vec((0..5_000_i64, 0..30_i64, 0..50_usize), 1..20),
    ) {
        let (schedule, calendars) = (if excludes { excluding(every_s) } else { every(every_s) }, small_hours());
        let start = on_the_day("04:00:00");
        let catchup = CatchUp { after: Duration::from_secs(after), ..catch_up(window.max(after), most) };
        let (mut now, mut cursor) = (start, start);
        let (mut due, mut counted, mut planned) = (Vec::new(), 0, start);
        for (pause, ahead, limit) in steps {
            now += TimeDelta::seconds(pause);
            let horizon = now + TimeDelta::seconds(ahead);
            let plan = plan(PlanInput {
                now, horizon, misfire, catchup, limit, ..input(&schedule, &calendars, cursor)
            }).unwrap();
            prop_assert!(plan.due.len() <= limit.max(1));
            for missed in &plan.missed {
                prop_assert!(cursor <= missed.from && missed.from <= missed.to && missed.count > 0);
                prop_assert!(Some(missed.to) < plan.next);
                let is_late = missed.to < now - TimeDelta::from_std(catchup.after).unwrap();
                prop_assert!(is_late || missed.reason == MissedReason::Calendar);
                prop_assert!(plan.due.iter().all(|due| *due < missed.from || missed.to < *due));
                counted += missed.count;
            }
            let late = |due: &&DateTime<Utc>| **due < now - TimeDelta::from_std(catchup.after).unwrap();
            prop_assert!(plan.due.iter().filter(late).count() <= catchup.most(misfire));
            let oldest = now - TimeDelta::from_std(catchup.window).unwrap();
            prop_assert!(plan.due.iter().all(|due| *due >= oldest));
            due.extend(plan.due);
            cursor = plan.next.unwrap();
            planned = cursor;
        }
        let all = schedule.occurrences(start, planned).count() as u64;
        prop_assert_eq!(due.len() as u64 + counted, all);
        prop_assert!(due.windows(2).all(|pair| pair[0] < pair[1]), "in order and each once");
        let excluded = excludes.then_some(on_the_day("06:00:00"));
        prop_assert!(due.iter().all(|due| excluded.is_none_or(|until| *due >= until)));
    }
}
