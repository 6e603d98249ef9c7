//! The instants of a schedule, by brute force: every minute is looked at.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use crate::cron::Cron;
use crate::spec::{Fold, Gap, Walkable, When};
use crate::time::DbTime;

impl Walkable {
    /// Its instants in `[from, until]`.
    pub(crate) fn instants(&self, from: DbTime, until: DbTime) -> BTreeSet<DbTime> {
        let from = self.start.map_or(from, |start| start.max(from));
        let until = self.end.map_or(until, |end| DbTime(end.0 - 1).min(until));
        let mut instants = match &self.when {
            When::Every { every_us, phase_us } => every(*every_us, *phase_us, from, until),
            When::At(at) => BTreeSet::from([*at]),
            When::Cron { cron, zone, .. } if !cron.is_fixed() => rhythm(cron, *zone, from, until),
            When::Cron { cron, zone, gap, fold } => fixed(cron, *zone, (*gap, *fold), from, until),
        };
        instants.retain(|at| (from..=until).contains(at));
        instants
    }
}

fn every(every_us: i64, phase_us: i64, from: DbTime, until: DbTime) -> BTreeSet<DbTime> {
    let first = (from.0 - phase_us).div_euclid(every_us);
    (first..).map(|n| DbTime(n * every_us + phase_us)).take_while(|at| *at <= until).collect()
}

/// Cadences follow elapsed time: each real minute whose local reading matches, both passes of a fold included.
fn rhythm(cron: &Cron, zone: Tz, from: DbTime, until: DbTime) -> BTreeSet<DbTime> {
    const MINUTE_US: i64 = 60_000_000;
    let first = from.0.div_euclid(MINUTE_US);
    (first..=until.0.div_euclid(MINUTE_US))
        .map(|minute| DbTime(minute * MINUTE_US))
        .filter(|at| {
            DateTime::from_timestamp_micros(at.0).is_some_and(|utc| {
                let local = utc.with_timezone(&zone).naive_local();
                local.second() == 0 && cron.matches(local)
            })
        })
        .collect()
}

/// Fixed times run once a day: each local minute that matches, sent through the day's gap or fold.
fn fixed(cron: &Cron, zone: Tz, (gap, fold): (Gap, Fold), from: DbTime, until: DbTime) -> BTreeSet<DbTime> {
    let day_of =
        |at: DbTime| DateTime::from_timestamp_micros(at.0).map(|utc| utc.with_timezone(&zone).date_naive());
    let (Some(first), Some(last)) = (day_of(from), day_of(until)) else { return BTreeSet::new() };
    let mut instants = BTreeSet::new();
    // A day to either side: a gap at midnight moves an instant into the next day.
    let days = first.pred_opt().unwrap_or(first).iter_days().take_while(|day| day.pred_opt() <= Some(last));
    for day in days {
        let midnight = day.and_time(NaiveTime::MIN);
        for local in
            (0..24 * 60).map(|minute| midnight + Duration::minutes(minute)).filter(|at| cron.matches(*at))
        {
            let at = match zone.from_local_datetime(&local) {
                chrono::LocalResult::Single(at) => [Some(at.to_utc()), None],
                chrono::LocalResult::Ambiguous(one, two) => match fold {
                    Fold::First => [Some(one.min(two).to_utc()), None],
                    Fold::Last => [Some(one.max(two).to_utc()), None],
                    Fold::Both => [Some(one.to_utc()), Some(two.to_utc())],
                },
                chrono::LocalResult::None => match gap {
                    Gap::Shift => [after_gap(zone, local), None],
                    Gap::Skip => [None, None],
                },
            };
            instants.extend(at.into_iter().flatten().map(DbTime::from));
        }
    }
    instants
}

/// The first instant after the gap that `local` lies in. Zones have skipped a whole day, never more.
fn after_gap(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    (1..=25 * 60)
        .map(|minutes| local + Duration::minutes(minutes))
        .find_map(|later| zone.from_local_datetime(&later).earliest())
        .map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use crate::spec::{Fold, Gap, ScheduleSpec, SpecError};
    use crate::time::DbTime;

    #[track_caller]
    fn check(spec: ScheduleSpec, from: &str, until: &str, expect: &[&str]) {
        let time = |text: &str| DbTime::parse(text).expect("a good instant");
        let instants = spec.walkable().expect("a good schedule").instants(time(from), time(until));
        let found: Vec<String> = instants.iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    fn cron(expression: &str, zone: &str) -> ScheduleSpec {
        let (cron, zone) = (Some(expression.to_owned()), Some(zone.to_owned()));
        ScheduleSpec { cron, zone, ..ScheduleSpec::default() }
    }

    #[test]
    fn an_interval_counts_from_the_epoch_plus_its_phase() {
        let every = ScheduleSpec { every: Some("90s".to_owned()), ..ScheduleSpec::default() };
        check(
            every.clone(),
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:04:30Z",
            &["1970-01-01T00:01:30Z", "1970-01-01T00:03:00Z", "1970-01-01T00:04:30Z"],
        );
        let phased = ScheduleSpec {
            phase: Some("10s".to_owned()),
            end: DbTime::parse("1970-01-01T00:01:40Z"),
            ..every
        };
        check(phased, "1970-01-01T00:00:00Z", "1970-01-01T00:04:30Z", &["1970-01-01T00:00:10Z"]);
    }

    #[test]
    fn a_fixed_time_in_a_gap_runs_once_after_it() {
        let spec = cron("*/20 2 * * *", "America/New_York");
        let day = ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
        check(spec.clone(), day.0, day.1, &["2026-03-08T07:00:00Z"]);
        check(ScheduleSpec { dst_gap: Gap::Skip, ..spec }, day.0, day.1, &[]);
    }

    #[test]
    fn a_fixed_time_in_a_fold_runs_on_the_pass_that_was_chosen() {
        let spec = cron("30 1 * * *", "America/New_York");
        let day = ("2026-11-01T04:00:00Z", "2026-11-02T04:00:00Z");
        check(spec.clone(), day.0, day.1, &["2026-11-01T05:30:00Z"]);
        check(ScheduleSpec { dst_fold: Fold::Last, ..spec.clone() }, day.0, day.1, &["2026-11-01T06:30:00Z"]);
        let both = ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"];
        check(ScheduleSpec { dst_fold: Fold::Both, ..spec }, day.0, day.1, &both);
    }

    #[test]
    fn a_rhythm_follows_elapsed_time_through_a_fold() {
        check(
            cron("30 * * * *", "America/New_York"),
            "2026-11-01T05:00:00Z",
            "2026-11-01T07:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"],
        );
    }

    #[test]
    fn a_day_that_a_zone_skipped_runs_at_its_end() {
        check(
            cron("0 9 * * *", "Pacific/Apia"),
            "2011-12-29T12:00:00Z",
            "2011-12-31T00:00:00Z",
            &["2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"],
        );
    }

    #[test]
    fn day_of_month_and_weekday_join_as_in_vixie_cron() {
        check(
            cron("0 0 13 * FRI", "UTC"),
            "2026-02-10T00:00:00Z",
            "2026-02-20T00:00:00Z",
            &["2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"],
        );
        check(
            cron("0 0 */13 * 5", "UTC"),
            "2026-02-01T00:00:00Z",
            "2026-02-28T00:00:00Z",
            &["2026-02-27T00:00:00Z"],
        );
    }

    #[test]
    fn what_it_cannot_walk_is_refused() {
        let refused = |spec: ScheduleSpec| spec.walkable().expect_err("a bad schedule");
        assert_eq!(refused(ScheduleSpec::default()), SpecError::NotOneWhen);
        for bad in ["* * * *", "60 * * * *", "* * * * L", "5-1 * * * *", "*/0 * * * *"] {
            assert_eq!(refused(cron(bad, "UTC")), SpecError::Cron(bad.to_owned()));
        }
        assert_eq!(refused(cron("* * * * *", "Mars/Olympus")), SpecError::Zone("Mars/Olympus".to_owned()));
        for bad in ["", "0s", "5", "s", "1e9s", "5 weeks"] {
            let every = ScheduleSpec { every: Some(bad.to_owned()), ..ScheduleSpec::default() };
            assert_eq!(refused(every), SpecError::Interval(bad.to_owned()));
        }
    }
}
