//! Every clock change of every zone, 1970 to 2100.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, LocalResult, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use punctual_scheduler_domain::schedule::Schedule;

use crate::{at, schedule};

fn offset(zone: Tz, instant: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()))
}

/// The first instants after each change of the zone's offset, found by looking at every other day and halving.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let (mut instant, end) = (at("1970-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z"));
    let mut changes = Vec::new();
    while instant < end {
        let probe = instant + TimeDelta::days(2);
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
fn check_daily(daily: &Schedule, zone: Tz, border: DateTime<Utc>, time: NaiveTime) {
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
fn check_cadence(quarters: &Schedule, zone: Tz, border: DateTime<Utc>) {
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

/// The edges and the middle of what a clock change skips or repeats, to the minute.
fn touched(zone: Tz, border: DateTime<Utc>) -> [NaiveTime; 4] {
    let second = TimeDelta::seconds(1);
    let before = (border - second).with_timezone(&zone).naive_local() + second;
    let after = border.with_timezone(&zone).naive_local();
    let (low, high) = (before.min(after), before.max(after));
    [low, low + (high - low) / 2, high - TimeDelta::minutes(1), high].map(|civil| {
        let time = civil.time();
        time - TimeDelta::seconds(i64::from(time.second()))
            - TimeDelta::nanoseconds(i64::from(time.nanosecond()))
    })
}

#[test]
fn a_daily_time_runs_once_a_day_and_a_cadence_never_stops() {
    let mut checked = 0;
    let mut seen = HashSet::new();
    for zone in TZ_VARIANTS {
        let borders = changes(zone);
        // Zones that are other names of one are checked once.
        let offsets: Vec<_> = borders.iter().map(|border| (*border, offset(zone, *border))).collect();
        if !seen.insert((offset(zone, at("1970-01-01T00:00:00Z")), offsets)) {
            continue;
        }
        let quarters = schedule("*/15 * * * *", zone.name());
        let mut daily = HashMap::new();
        for border in borders {
            for time in touched(zone, border) {
                let daily = daily.entry(time).or_insert_with(|| {
                    schedule(&format!("{} {} * * *", time.minute(), time.hour()), zone.name())
                });
                check_daily(daily, zone, border, time);
            }
            check_cadence(&quarters, zone, border);
            checked += 1;
        }
    }
    assert!(checked > 10_000, "only {checked} clock changes");
}
