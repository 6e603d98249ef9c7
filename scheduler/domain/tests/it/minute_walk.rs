//! The plainest way to find a schedule's instants: look at every minute of a year.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use crate::{at, schedule};

/// A cron expression as five sets, without `L`, `W`, `#`, names or nicknames.
struct Sets {
    fields: [BTreeSet<u32>; 5],
    stars: [bool; 5],
    fixed: bool,
}

impl Sets {
    fn parse(cron: &str) -> Self {
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let texts: Vec<&str> = cron.split(' ').collect();
        let values = |index: usize| {
            let (least, greatest) = bounds[index];
            let mut set = BTreeSet::new();
            for item in texts[index].split(',') {
                let (range, step) = item.split_once('/').unwrap_or((item, "1"));
                let (first, last) = match range.split_once('-') {
                    Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
                    None if range == "*" => (least, greatest),
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                set.extend((first..=last).step_by(step.parse().unwrap()));
            }
            set
        };
        Self {
            fields: std::array::from_fn(values),
            stars: std::array::from_fn(|index| texts[index].starts_with('*')),
            fixed: texts[1].chars().all(|c| c.is_ascii_digit() || c == ','),
        }
    }

    fn matches(&self, civil: NaiveDateTime) -> bool {
        let [minute, hour, day, month, weekday] = &self.fields;
        let day_matches = day.contains(&civil.day());
        let weekday_matches = weekday.contains(&civil.weekday().num_days_from_sunday());
        let both = self.stars[2] || self.stars[4];
        minute.contains(&civil.minute())
            && hour.contains(&civil.hour())
            && month.contains(&civil.month())
            && if both { day_matches && weekday_matches } else { day_matches || weekday_matches }
    }
}

fn by_walking(cron: &str, zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let sets = Sets::parse(cron);
    let minute = TimeDelta::minutes(1);
    let local = |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local();
    let mut found = Vec::new();
    let mut previous = local(from - minute);
    let mut instant = from;
    while instant < until {
        let civil = local(instant);
        let mut runs = sets.matches(civil);
        if sets.fixed {
            if let LocalResult::Ambiguous(first, _) = zone.from_local_datetime(&civil) {
                runs &= first == instant;
            }
            // The minutes that the clock jumped over.
            let mut missing = previous + minute;
            while missing < civil {
                runs |= sets.matches(missing);
                missing += minute;
            }
        }
        if runs {
            found.push(instant);
        }
        previous = civil;
        instant += minute;
    }
    found
}

const CRONS: [&str; 12] = [
    "30 2 * * *",
    "0,30 1,2 * * *",
    "*/20 0 * * *",
    "0 0 * * *",
    "59 23 * * 0,6",
    "15 3 1,15 * 5",
    "*/15 * * * *",
    "7 */3 * * *",
    "30 1-3 * 3,4,10,11 *",
    "0 12 */2 * 1",
    "45 1 * * *",
    "0 0 29 2 *",
];

const ZONES: [(&str, i32); 14] = [
    ("America/New_York", 2026),
    ("Europe/London", 2026),
    ("Australia/Lord_Howe", 2026),
    ("America/Santiago", 2026),
    ("Pacific/Apia", 2011),
    ("Africa/Casablanca", 2026),
    ("Antarctica/Troll", 2026),
    ("Asia/Tehran", 2021),
    ("Pacific/Chatham", 2028),
    ("America/Havana", 2026),
    ("America/St_Johns", 2005),
    ("Africa/Cairo", 2014),
    ("Antarctica/Casey", 2010),
    ("Asia/Kolkata", 2026),
];

#[test]
fn a_walk_over_every_minute_of_a_year_finds_the_same() {
    for (name, year) in ZONES {
        let zone: Tz = name.parse().unwrap();
        let (from, until) =
            (at(&format!("{year}-01-01T00:00:00Z")), at(&format!("{}-01-01T00:00:00Z", year + 1)));
        let offset = zone.offset_from_utc_datetime(&from.naive_utc()).fix().local_minus_utc();
        assert_eq!(offset % 60, 0, "{name}: the walk is by minutes");
        for cron in CRONS {
            let found: Vec<_> =
                schedule(cron, name).occurrences(from, until).map(|instant| instant.unwrap()).collect();
            let expect = by_walking(cron, zone, from, until);
            let differs = found.iter().zip(&expect).find(|(found, expect)| found != expect);
            assert_eq!(found.len(), expect.len(), "`{cron}` in {name}, first difference {differs:?}");
            assert_eq!(differs, None, "`{cron}` in {name}");
        }
    }
}
