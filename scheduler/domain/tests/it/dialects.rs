//! The same times written in other ways give the same instants, over every clock change of many zones.

use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use chrono_tz::TZ_VARIANTS;
use punctual_scheduler_domain::schedule::{Dialect, DomDow, DstFold, DstGap, Schedule, ScheduleSpec};

use crate::{at, schedule};

fn compiled(spec: &ScheduleSpec) -> Schedule {
    Schedule::compile(spec).unwrap_or_else(|error| panic!("{error}"))
}

fn in_dialect(cron: &str, dialect: Dialect, zone: &str) -> ScheduleSpec {
    ScheduleSpec { dialect, ..ScheduleSpec::cron(cron, zone) }
}

/// The same time of every day, in each grammar that has it.
fn daily(hour: u32, minute: u32, zone: &str) -> [ScheduleSpec; 5] {
    [
        ScheduleSpec::cron(format!("{minute} {hour} * * *"), zone),
        in_dialect(&format!("0 {minute} {hour} * * *"), Dialect::SecondsFirst, zone),
        in_dialect(&format!("{minute} {hour} * * * *"), Dialect::YearLast, zone),
        in_dialect(&format!("0 {minute} {hour} * * ?"), Dialect::Quartz, zone),
        ScheduleSpec::rrule(format!("DTSTART:19700101T{hour:02}{minute:02}00 RRULE:FREQ=DAILY"), zone),
    ]
}

fn instants(schedule: &Schedule, from: DateTime<Utc>, days: i64) -> Vec<DateTime<Utc>> {
    let all: Vec<_> = schedule.occurrences(from, from + TimeDelta::days(days)).map(Result::unwrap).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "it only goes ahead");
    all
}

#[test]
fn a_daily_time_is_the_same_in_every_grammar_over_every_clock_change() {
    let mut folds_and_gaps = 0;
    for zone in TZ_VARIANTS.iter().step_by(7) {
        for (gap, fold) in
            [(DstGap::Shift, DstFold::First), (DstGap::Skip, DstFold::Last), (DstGap::Shift, DstFold::Both)]
        {
            let specs = daily(2, 30, zone.name());
            let with = |spec: &ScheduleSpec| {
                compiled(&ScheduleSpec { dst_gap: gap, dst_fold: fold, ..spec.clone() })
            };
            let expect = instants(&with(&specs[0]), at("2025-01-01T00:00:00Z"), 730);
            folds_and_gaps +=
                expect.windows(2).filter(|pair| pair[1] - pair[0] != TimeDelta::days(1)).count();
            for spec in &specs[1..] {
                assert_eq!(instants(&with(spec), at("2025-01-01T00:00:00Z"), 730), expect, "{spec:?}");
            }
        }
    }
    assert!(folds_and_gaps > 50, "only {folds_and_gaps} clock changes were met");
}

#[test]
fn a_fixed_time_to_the_second_runs_once_a_day() {
    for zone in
        ["America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]
    {
        for time in ["0 0 0", "15 45 1", "30 15 2", "59 59 23"] {
            let fixed = compiled(&in_dialect(&format!("{time} * * *"), Dialect::SecondsFirst, zone));
            let days: Vec<_> = instants(&fixed, at("2026-01-01T12:00:00Z"), 365)
                .iter()
                .map(|instant| fixed.local(*instant).date_naive())
                .collect();
            assert!(days.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::days(1)), "{zone} {time}");
        }
    }
}

#[test]
fn seconds_and_sub_daily_recurrences_follow_elapsed_time() {
    let border = at("2026-11-01T05:30:00Z");
    let seconds = compiled(&in_dialect("*/10 * * * * *", Dialect::SecondsFirst, "America/New_York"));
    let all: Vec<_> = seconds.occurrences(border, border + TimeDelta::hours(2)).map(Result::unwrap).collect();
    assert_eq!(all.len(), 720);
    // Both passes of the hour that comes twice.
    let quarters =
        ScheduleSpec::rrule("DTSTART:20200101T000000 FREQ=MINUTELY;INTERVAL=15", "America/New_York");
    let quarters = compiled(&quarters);
    let all: Vec<_> =
        quarters.occurrences(border, border + TimeDelta::hours(2)).map(Result::unwrap).collect();
    assert_eq!(all.len(), 8);
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(15)), "{all:?}");
}

#[test]
fn both_day_fields_must_match_when_it_is_said() {
    let friday_13th = ScheduleSpec { dom_dow: DomDow::And, ..ScheduleSpec::cron("0 0 13 * FRI", "") };
    let all = instants(&compiled(&friday_13th), at("2026-01-01T00:00:00Z"), 365);
    let expect = ["2026-02-13", "2026-03-13", "2026-11-13"];
    assert_eq!(all.iter().map(|at| at.date_naive().to_string()).collect::<Vec<_>>(), expect);
    let either = instants(&schedule("0 0 13 * FRI", ""), at("2026-01-01T00:00:00Z"), 365);
    assert!(either.iter().all(|at| at.day() == 13 || at.weekday() == chrono::Weekday::Fri));
    assert!(either.len() > 55);
}

#[test]
fn a_year_field_ends_a_schedule() {
    let twice = compiled(&in_dialect("0 12 25 12 * 2026,2028", Dialect::YearLast, "Europe/Berlin"));
    let all = instants(&twice, at("2000-01-01T00:00:00Z"), 40 * 365);
    assert_eq!(all.iter().map(DateTime::year).collect::<Vec<_>>(), [2026, 2028]);
    assert!(all.iter().all(|instant| instant.hour() == 11));
    assert_eq!(twice.next_after(at("2028-12-25T11:00:00Z")), Ok(None));
}

#[test]
fn a_greatest_number_of_instants_counts_from_the_start_or_from_the_creation() {
    let hourly = |start: Option<&str>| ScheduleSpec {
        max_count: Some(3),
        start: start.map(at),
        ..ScheduleSpec::every(Duration::from_secs(3_600))
    };
    let counted = |start, created: &str| {
        let schedule = compiled(&hourly(start)).counted_from(at(created)).unwrap();
        instants(&schedule, at("2020-01-01T00:00:00Z"), 3_000)
            .iter()
            .map(|instant| instant.format("%dT%H").to_string())
            .collect::<Vec<_>>()
    };
    let of_start = counted(Some("2026-01-05T09:00:00Z"), "2026-01-01T00:00:00Z");
    assert_eq!(of_start, ["05T09", "05T10", "05T11"]);
    let of_start = counted(Some("2026-01-05T09:00:00Z"), "2026-01-05T10:30:00Z");
    assert_eq!(of_start, ["05T09", "05T10", "05T11"], "also those that passed before there was a job");
    let schedule = compiled(&hourly(None)).counted_from(at("2026-01-05T09:00:00Z")).unwrap();
    assert_eq!(schedule.next_after(at("2026-01-05T11:00:00Z")), Ok(Some(at("2026-01-05T12:00:00Z"))));
    assert_eq!(schedule.next_after(at("2026-01-05T12:00:00Z")), Ok(None));
}
