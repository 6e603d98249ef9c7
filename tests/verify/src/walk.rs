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
