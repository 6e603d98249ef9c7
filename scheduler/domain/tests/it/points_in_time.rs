//! Schedules of a single point in time.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::schedule::{
    AtSpec, DstFold, DstGap, Schedule, ScheduleError, ScheduleSpec, When,
};

use crate::at;

fn spec(text: &str, zone: &str) -> ScheduleSpec {
    let at: AtSpec = text.parse().unwrap();
    ScheduleSpec {
        when: When::At(at),
        zone: zone.to_owned(),
        ..ScheduleSpec::at(DateTime::<Utc>::UNIX_EPOCH)
    }
}

fn instants(spec: &ScheduleSpec) -> Vec<DateTime<Utc>> {
    let schedule = Schedule::compile(spec).unwrap();
    schedule.occurrences(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC).map(Result::unwrap).collect()
}

#[track_caller]
fn check(text: &str, zone: &str, expect: &[&str]) {
    assert_eq!(instants(&spec(text, zone)), expect.iter().map(|text| at(text)).collect::<Vec<_>>());
}

#[test]
fn an_instant_is_the_same_in_every_zone() {
    check("2026-12-01T09:00:00Z", "America/New_York", &["2026-12-01T09:00:00Z"]);
    check("2026-12-01T09:00:00.25+02:00", "", &["2026-12-01T07:00:00.25Z"]);
}

#[test]
fn a_local_time_is_read_in_its_zone() {
    check("2026-12-01T09:00:00", "", &["2026-12-01T09:00:00Z"]);
    check("2026-12-01T09:00", "Europe/Berlin", &["2026-12-01T08:00:00Z"]);
    check("2026-07-01 09:00:00", "Europe/Berlin", &["2026-07-01T07:00:00Z"]);
    check("2026-07-01 09:00", "Pacific/Kiritimati", &["2026-06-30T19:00:00Z"]);
}

#[test]
fn a_local_time_that_does_not_exist_follows_the_policy() {
    check("2026-03-08T02:30:00", "America/New_York", &["2026-03-08T07:00:00Z"]);
    check("2011-12-30T15:00:00", "Pacific/Apia", &["2011-12-30T10:00:00Z"]);
    let mut skipped = spec("2026-03-08T02:30:00", "America/New_York");
    skipped.dst_gap = DstGap::Skip;
    assert_eq!(
        Schedule::compile(&skipped).unwrap_err().to_string(),
        "2026-03-08 02:30:00 does not exist in America/New_York, and dst_gap is skip: it would never run"
    );
}

#[test]
fn a_local_time_that_exists_twice_follows_the_policy() {
    let mut twice = spec("2026-11-01T01:30:00.5", "America/New_York");
    let (first, second) = (at("2026-11-01T05:30:00.5Z"), at("2026-11-01T06:30:00.5Z"));
    assert_eq!(instants(&twice), [first]);
    twice.dst_fold = DstFold::Last;
    assert_eq!(instants(&twice), [second]);
    twice.dst_fold = DstFold::Both;
    assert_eq!(instants(&twice), [first, second]);
}

#[test]
fn what_is_no_point_in_time_is_refused() {
    for text in ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00", "09:00", "2026-12-01", "1e9"]
    {
        assert_eq!(text.parse::<AtSpec>(), Err(ScheduleError::BadInstant { text: text.to_owned() }));
    }
    for text in [
        "2026-12-01T09:00:00.0000001Z",
        "2026-12-01T09:00:00.0000001",
        "1969-12-31T00:00:00Z",
        "1850-01-01T00:00:00",
    ] {
        let error = Schedule::compile(&spec(text, "")).unwrap_err();
        assert!(matches!(error, ScheduleError::InstantOutOfRange { .. }), "{text}: {error}");
        assert_eq!(error.field(), "at");
    }
}

#[test]
fn a_point_in_time_is_written_as_it_was_read() {
    for text in
        ["2026-12-01T09:00:00Z", "2026-12-01T09:00:00.250Z", "2026-12-01T09:00:00", "2026-12-01T09:00:00.250"]
    {
        assert_eq!(text.parse::<AtSpec>().unwrap().to_string(), text);
    }
}
