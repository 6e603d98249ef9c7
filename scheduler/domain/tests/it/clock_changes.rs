//! What schedules do on the days when clocks change, case by case.

use punctual_scheduler_domain::schedule::{DstFold, DstGap, Schedule, ScheduleSpec};

use crate::at;

/// Checks all local times of `spec` on the civil days from `day` to before `until`.
#[track_caller]
fn check_spec(spec: &ScheduleSpec, day: &str, until: &str, expect: &[&str]) {
    let schedule = Schedule::compile(spec).unwrap();
    let (from, until) = (at(&format!("{day}T00:00:00Z")), at(&format!("{until}T00:00:00Z")));
    // Wide enough for every offset; what belongs to other civil days is left out.
    let wide = chrono::TimeDelta::hours(26);
    let local: Vec<String> = schedule
        .occurrences(from - wide, until + wide)
        .map(|instant| schedule.local(instant.unwrap()))
        .filter(|local| (from.date_naive()..until.date_naive()).contains(&local.date_naive()))
        .map(|local| local.format("%m-%d %H:%M %:z").to_string())
        .collect();
    assert_eq!(local, expect);
}

#[track_caller]
fn check(zone: &str, cron: &str, day: &str, until: &str, expect: &[&str]) {
    check_spec(&ScheduleSpec::cron(cron, zone), day, until, expect);
}

#[test]
fn new_york_skips_an_hour() {
    let (zone, day, until) = ("America/New_York", "2026-03-08", "2026-03-09");
    check(zone, "30 2 * * *", day, until, &["03-08 03:00 -04:00"]);
    check(zone, "0,30 2 * * *", day, until, &["03-08 03:00 -04:00"]);
    check(zone, "*/10 2 * * *", day, until, &["03-08 03:00 -04:00"]);
    check(zone, "0 2,3 * * *", day, until, &["03-08 03:00 -04:00"]);
    check(zone, "30 2,3 * * *", day, until, &["03-08 03:00 -04:00", "03-08 03:30 -04:00"]);
    check(zone, "30 1 * * *", day, until, &["03-08 01:30 -05:00"]);
    check(zone, "30 1-3 * * *", day, until, &["03-08 01:30 -05:00", "03-08 03:30 -04:00"]);
    check(zone, "0 */2 * * SUN", day, "2026-03-08", &[]);
    check(zone, "30 2 * * MON", day, until, &[]);
}

#[test]
fn new_york_repeats_an_hour() {
    let (zone, day, until) = ("America/New_York", "2026-11-01", "2026-11-02");
    check(zone, "30 1 * * *", day, until, &["11-01 01:30 -04:00"]);
    check(zone, "*/30 1 * * *", day, until, &["11-01 01:00 -04:00", "11-01 01:30 -04:00"]);
    check(
        zone,
        "*/30 0-2 * * *",
        day,
        until,
        &[
            "11-01 00:00 -04:00",
            "11-01 00:30 -04:00",
            "11-01 01:00 -04:00",
            "11-01 01:30 -04:00",
            "11-01 01:00 -05:00",
            "11-01 01:30 -05:00",
            "11-01 02:00 -05:00",
            "11-01 02:30 -05:00",
        ],
    );
}

#[test]
fn from_inside_a_fold_the_next_instant_is_ahead() {
    let half_hours = crate::schedule("*/30 * * * *", "America/New_York");
    // 01:10 -05:00, the second pass.
    let next = half_hours.next_after(at("2026-11-01T06:10:00Z")).unwrap().unwrap();
    assert_eq!(next, at("2026-11-01T06:30:00Z"));
}

#[test]
fn the_policy_for_a_gap() {
    let mut spec = ScheduleSpec::cron("30 2 * * *", "America/New_York");
    spec.dst_gap = DstGap::Skip;
    check_spec(&spec, "2026-03-07", "2026-03-10", &["03-07 02:30 -05:00", "03-09 02:30 -04:00"]);
}

#[test]
fn the_policy_for_a_fold() {
    let mut spec = ScheduleSpec::cron("30 1 * * *", "America/New_York");
    spec.dst_fold = DstFold::Last;
    check_spec(&spec, "2026-11-01", "2026-11-02", &["11-01 01:30 -05:00"]);
    spec.dst_fold = DstFold::Both;
    check_spec(&spec, "2026-11-01", "2026-11-02", &["11-01 01:30 -04:00", "11-01 01:30 -05:00"]);
    // A cadence has no policy: it follows elapsed time.
    let mut cadence = ScheduleSpec::cron("30 1-1 * * *", "America/New_York");
    for fold in [DstFold::First, DstFold::Last, DstFold::Both] {
        cadence.dst_fold = fold;
        check_spec(&cadence, "2026-11-01", "2026-11-02", &["11-01 01:30 -04:00", "11-01 01:30 -05:00"]);
    }
}

#[test]
fn london() {
    check("Europe/London", "30 1 * * *", "2026-03-29", "2026-03-30", &["03-29 02:00 +01:00"]);
    check("Europe/London", "30 1 * * *", "2026-10-25", "2026-10-26", &["10-25 01:30 +01:00"]);
}

#[test]
fn lord_howe_changes_by_half_an_hour() {
    let zone = "Australia/Lord_Howe";
    check(zone, "45 1 * * *", "2026-04-05", "2026-04-06", &["04-05 01:45 +11:00"]);
    check(
        zone,
        "*/15 1-2 * * *",
        "2026-10-04",
        "2026-10-05",
        &[
            "10-04 01:00 +10:30",
            "10-04 01:15 +10:30",
            "10-04 01:30 +10:30",
            "10-04 01:45 +10:30",
            "10-04 02:30 +11:00",
            "10-04 02:45 +11:00",
        ],
    );
    check(zone, "15 2 * * *", "2026-10-04", "2026-10-05", &["10-04 02:30 +11:00"]);
}

#[test]
fn santiago_has_no_midnight() {
    check("America/Santiago", "0 0 * * *", "2026-09-06", "2026-09-07", &["09-06 01:00 -03:00"]);
    check("America/Santiago", "@daily", "2026-09-06", "2026-09-07", &["09-06 01:00 -03:00"]);
    // And on 4 April 23:00 to 24:00 comes twice, so that the repeated hour lies before a midnight.
    check("America/Santiago", "30 23 * * *", "2026-04-04", "2026-04-05", &["04-04 23:30 -03:00"]);
    check(
        "America/Santiago",
        "0 0 * * *",
        "2026-04-04",
        "2026-04-06",
        &["04-04 00:00 -03:00", "04-05 00:00 -04:00"],
    );
}

#[test]
fn apia_had_no_30_december_2011() {
    // What was fixed for the day that was not ran at the first instant after it.
    check(
        "Pacific/Apia",
        "0 9 * * *",
        "2011-12-29",
        "2012-01-01",
        &["12-29 09:00 -10:00", "12-31 00:00 +14:00", "12-31 09:00 +14:00"],
    );
    check("Pacific/Apia", "0 9 30 12 *", "2011-12-29", "2012-01-01", &["12-31 00:00 +14:00"]);
    check("Pacific/Apia", "0 9 31 12 *", "2011-12-29", "2012-01-01", &["12-31 09:00 +14:00"]);
    let mut skip = ScheduleSpec::cron("0 9 * * *", "Pacific/Apia");
    skip.dst_gap = DstGap::Skip;
    check_spec(&skip, "2011-12-29", "2012-01-01", &["12-29 09:00 -10:00", "12-31 09:00 +14:00"]);
}

#[test]
fn day_of_month_or_day_of_week() {
    // The 1st, the 15th and every Friday.
    check(
        "",
        "0 0 1,15 * FRI",
        "2026-01-01",
        "2026-01-20",
        &[
            "01-01 00:00 +00:00",
            "01-02 00:00 +00:00",
            "01-09 00:00 +00:00",
            "01-15 00:00 +00:00",
            "01-16 00:00 +00:00",
        ],
    );
    // A field that begins with a star only narrows the other, as in Vixie cron: Fridays on odd days.
    check("", "0 0 */2 * FRI", "2026-01-01", "2026-01-20", &["01-09 00:00 +00:00"]);
    check("", "0 0 1-7 * */6", "2026-01-04", "2026-01-12", &["01-04 00:00 +00:00"]);
}

#[test]
fn last_days_nearest_weekdays_and_nth_weekdays() {
    check("", "0 0 L * *", "2028-02-01", "2028-03-01", &["02-29 00:00 +00:00"]);
    // 31 January 2026 is a Saturday, 15 February a Sunday, 1 February a Sunday too.
    check("", "0 0 LW * *", "2026-01-01", "2026-02-01", &["01-30 00:00 +00:00"]);
    check("", "0 0 15W * *", "2026-02-01", "2026-03-01", &["02-16 00:00 +00:00"]);
    check("", "0 0 1W * *", "2026-02-01", "2026-03-01", &["02-02 00:00 +00:00"]);
    check("", "0 0 * * FRI#2", "2026-01-01", "2026-02-01", &["01-09 00:00 +00:00"]);
    check("", "0 0 * * 5L", "2026-01-01", "2026-02-01", &["01-30 00:00 +00:00"]);
    check("", "0 0 * * SUN#5", "2026-02-01", "2026-04-01", &["03-29 00:00 +00:00"]);
}
