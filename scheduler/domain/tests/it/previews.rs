//! What people are shown before they save a schedule.

use std::time::Duration;

use punctual_scheduler_domain::calendar::Calendars;
use punctual_scheduler_domain::schedule::{DstFold, DstGap, ScheduleError, ScheduleSpec, preview, warnings};

use crate::at;

/// Checks local times and notes, a line each.
#[track_caller]
fn check(specs: &[ScheduleSpec], from: &str, count: usize, expect: &[&str]) {
    let lines: Vec<String> = preview(specs, &Calendars::default(), at(from), None, count)
        .unwrap()
        .into_iter()
        .map(|occurrence| {
            assert_eq!(occurrence.local.to_utc(), occurrence.at);
            let note = occurrence.note.map(|note| format!("  {note}")).unwrap_or_default();
            format!("{}{note}", occurrence.local.to_rfc3339())
        })
        .collect();
    assert_eq!(lines, expect);
}

fn new_york(cron: &str) -> ScheduleSpec {
    ScheduleSpec::cron(cron, "America/New_York")
}

#[test]
fn a_gap_is_explained() {
    check(
        &[new_york("30 2 * * *")],
        "2026-03-07T00:00:00Z",
        3,
        &[
            "2026-03-07T02:30:00-05:00",
            "2026-03-08T03:00:00-04:00  2026-03-08 02:30 does not exist in America/New_York: runs 03:00",
            "2026-03-09T02:30:00-04:00",
        ],
    );
    check(
        &[new_york("*/15 2 * * *")],
        "2026-03-08T00:00:00Z",
        1,
        &[
            "2026-03-08T03:00:00-04:00  2026-03-08 02:00 and 3 more do not exist in America/New_York: runs 03:00",
        ],
    );
    check(
        &[ScheduleSpec::cron("0 9 30 12 *", "Pacific/Apia")],
        "2011-12-01T00:00:00Z",
        1,
        &[
            "2011-12-31T00:00:00+14:00  2011-12-30 09:00 does not exist in Pacific/Apia: runs 2011-12-31 00:00",
        ],
    );
}

#[test]
fn a_fold_is_explained() {
    let twice = "2026-11-01 01:30 happens twice in America/New_York";
    check(
        &[new_york("30 1 * * *")],
        "2026-11-01T00:00:00Z",
        1,
        &[&format!("2026-11-01T01:30:00-04:00  {twice}: runs on the first pass")],
    );
    let mut both = new_york("30 1 * * *");
    both.dst_fold = DstFold::Both;
    let passes = [
        format!("2026-11-01T01:30:00-04:00  {twice}: this is the first pass"),
        format!("2026-11-01T01:30:00-05:00  {twice}: this is the second pass"),
    ];
    let passes = passes.each_ref().map(String::as_str);
    check(&[both], "2026-11-01T00:00:00Z", 2, &passes);
    check(&[new_york("30 1-1 * * *")], "2026-11-01T00:00:00Z", 2, &passes);
}

#[test]
fn several_schedules_are_shown_as_one_each_in_its_own_zone() {
    let specs = [
        ScheduleSpec::cron("0 9 * * *", "Europe/Berlin"),
        ScheduleSpec::every(Duration::from_secs(6 * 3_600)),
    ];
    check(
        &specs,
        "2026-01-01T00:00:00Z",
        4,
        &[
            "2026-01-01T00:00:00+00:00",
            "2026-01-01T06:00:00+00:00",
            "2026-01-01T09:00:00+01:00",
            "2026-01-01T12:00:00+00:00",
        ],
    );
}

#[test]
fn a_preview_ends_where_asked_or_where_the_schedule_does() {
    let hourly = [ScheduleSpec::cron("@hourly", "")];
    let until = Some(at("2026-01-01T03:00:00Z"));
    assert_eq!(
        preview(&hourly, &Calendars::default(), at("2026-01-01T00:00:00Z"), until, 100).unwrap().len(),
        3
    );
    assert_eq!(
        preview(&hourly, &Calendars::default(), at("2026-01-01T00:00:00Z"), until, 2).unwrap().len(),
        2
    );
    assert_eq!(preview(&[], &Calendars::default(), at("2026-01-01T00:00:00Z"), None, 5), Ok(vec![]));
    let once = [ScheduleSpec::at(at("2026-01-01T00:00:00Z"))];
    check(&once, "2026-01-01T00:00:00Z", 5, &["2026-01-01T00:00:00+00:00"]);
    let wrong = preview(
        &[ScheduleSpec::cron("@hourly", "Nowhere")],
        &Calendars::default(),
        at("2026-01-01T00:00:00Z"),
        None,
        5,
    );
    assert!(matches!(wrong, Err(ScheduleError::UnknownZone { .. })));
}

#[test]
fn a_fixed_time_in_the_zones_next_gap_or_fold_is_warned_of() {
    let now = at("2026-01-15T00:00:00Z");
    let gap = "2026-03-08 02:30 does not exist in America/New_York: runs 03:00 (dst_gap)";
    assert_eq!(warnings(&new_york("30 2 * * *"), now), [gap]);
    let fold = "2026-11-01 01:30 happens twice in America/New_York: runs on the first pass (dst_fold)";
    assert_eq!(warnings(&new_york("30 1 * * *"), now), [fold]);
    assert_eq!(warnings(&new_york("30 1,2 * * *"), now), [gap, fold]);
    let mut skip = new_york("30 2 * * *");
    skip.dst_gap = DstGap::Skip;
    assert_eq!(
        warnings(&skip, now),
        ["2026-03-08 02:30 does not exist in America/New_York: does not run (dst_gap)"]
    );
    for untouched in ["30 4 * * *", "*/30 * * * *", "30 2 * * MON"] {
        assert_eq!(warnings(&new_york(untouched), now), Vec::<String>::new(), "{untouched}");
    }
    assert_eq!(warnings(&ScheduleSpec::cron("30 2 * * *", "Asia/Kolkata"), now), Vec::<String>::new());
    assert_eq!(warnings(&ScheduleSpec::cron("not cron", ""), now), Vec::<String>::new());
}
