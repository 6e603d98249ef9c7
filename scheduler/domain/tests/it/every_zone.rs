//! Every clock change of every zone, 1970 to 2100.

use chrono::{DateTime, LocalResult, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::{at, schedule};

fn offset(zone: Tz, instant: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()))
}

/// The first instants after each change of the zone's offset, found by looking at every half day and halving.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let (mut instant, end) = (at("1970-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z"));
    let mut changes = Vec::new();
    while instant < end {
        let probe = instant + TimeDelta::hours(12);
        if offset(zone, instant) != offset(zone, probe) {
            let (mut old, mut new) = (instant, probe);
            while new - old > TimeDelta::seconds(1) {
                let middle = old + TimeDelta::seconds((new - old).num_seconds() / 2);
                if offset(zone, middle) == offset(zone, old) { old = middle } else { new = middle }
            }
            changes.push(new);
        }
        instant = probe;
    }
    changes
}

/// When a fixed local time runs: at its first pass, or, where it is skipped, at `border`.
fn expected(zone: Tz, civil: NaiveDateTime, border: DateTime<Utc>) -> DateTime<Utc> {
    match zone.from_local_datetime(&civil) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.to_utc(),
        LocalResult::None => border,
    }
}

/// Checks a fixed daily time on the days around a clock change.
fn check_daily(zone: Tz, border: DateTime<Utc>, time: NaiveTime) {
    let daily = schedule(&format!("{} {} * * *", time.minute(), time.hour()), zone.name());
    let first_day = border.with_timezone(&zone).date_naive() - TimeDelta::days(3);
    let mut expect: Vec<DateTime<Utc>> =
        (0..6).map(|day| expected(zone, (first_day + TimeDelta::days(day)).and_time(time), border)).collect();
    // Two fixed times that meet are one run.
    expect.dedup();
    let mut t = expect[0] - TimeDelta::seconds(1);
    for expect in expect {
        let next = daily.next_after(t).unwrap().unwrap();
        assert!(next > t, "{zone}: {time} after {t} is {next}");
        assert_eq!(next, expect, "{zone}: {time} after {t}");
        t = next;
    }
}

/// Checks a cadence on either side of a clock change: it only goes ahead, by its step at most, or the gap.
fn check_cadence(zone: Tz, border: DateTime<Utc>) {
    let quarters = schedule("*/15 * * * *", zone.name());
    let mut t = border - TimeDelta::hours(4);
    while t < border + TimeDelta::hours(4) {
        let next = quarters.next_after(t).unwrap().unwrap();
        assert!(next > t, "{zone}: after {t} is {next}");
        assert!(next - t <= TimeDelta::minutes(30), "{zone}: after {t} is {next}");
        let minute = next.with_timezone(&zone).minute();
        assert_eq!(minute % 15, 0, "{zone}: {next}");
        t = next;
    }
}

#[test]
fn a_daily_time_runs_once_a_day_and_a_cadence_never_stops() {
    let mut checked = 0;
    for zone in TZ_VARIANTS {
        for border in changes(zone) {
            let before =
                (border - TimeDelta::seconds(1)).with_timezone(&zone).naive_local() + TimeDelta::seconds(1);
            let after = border.with_timezone(&zone).naive_local();
            let (low, high) = (before.min(after), before.max(after));
            // The edges and the middle of what is skipped or repeated, to the minute.
            let middle = low + (high - low) / 2;
            for civil in [low, middle, high - TimeDelta::minutes(1), high] {
                check_daily(zone, border, NaiveTime::from_hms_opt(civil.hour(), civil.minute(), 0).unwrap());
            }
            check_cadence(zone, border);
            checked += 1;
        }
    }
    assert!(checked > 10_000, "only {checked} clock changes");
}
