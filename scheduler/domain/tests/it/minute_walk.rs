//! The plainest way to find a schedule's instants: look at every minute of a year.

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use crate::{at, schedule};

/// A cron expression as five sets of bits, without `L`, `W`, `#`, names or nicknames.
struct Sets {
    fields: [u64; 5],
    stars: [bool; 5],
    fixed: bool,
}

impl Sets {
    fn parse(cron: &str) -> Self {
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let texts: Vec<&str> = cron.split(' ').collect();
        let values = |index: usize| {
            let (least, greatest) = bounds[index];
            let mut set = 0;
            for item in texts[index].split(',') {
                let (range, step) = item.split_once('/').unwrap_or((item, "1"));
                let (first, last): (u32, u32) = match range.split_once('-') {
                    Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
                    None if range == "*" => (least, greatest),
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                set = (first..=last).step_by(step.parse().unwrap()).fold(set, |set, value| set | 1 << value);
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
        let [minute, hour, day, month, weekday] = self.fields;
        let has = |set: u64, value: u32| set >> value & 1 == 1;
        if !has(minute, civil.minute()) || !has(hour, civil.hour()) || !has(month, civil.month()) {
            return false;
        }
        let day_matches = has(day, civil.day());
        let weekday_matches = has(weekday, civil.weekday().num_days_from_sunday());
        let both = self.stars[2] || self.stars[4];
        if both { day_matches && weekday_matches } else { day_matches || weekday_matches }
    }
}

/// The instants of each expression.
fn by_walking(
    crons: &[Sets],
    zone: Tz,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Vec<DateTime<Utc>>> {
    let minute = TimeDelta::minutes(1);
    let local = |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local();
    let mut found = vec![Vec::new(); crons.len()];
    let mut previous = local(from - minute);
    let mut instant = from;
    while instant < until {
        let civil = local(instant);
        let second_pass = match zone.from_local_datetime(&civil) {
            LocalResult::Ambiguous(first, _) => first != instant,
            LocalResult::Single(_) | LocalResult::None => false,
        };
        for (sets, found) in crons.iter().zip(&mut found) {
            let mut runs = sets.matches(civil);
            if sets.fixed {
                runs &= !second_pass;
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
        let expected = by_walking(&CRONS.map(Sets::parse), zone, from, until);
        for (cron, expected) in CRONS.into_iter().zip(expected) {
            let found: Vec<_> =
                schedule(cron, name).occurrences(from, until).map(|instant| instant.unwrap()).collect();
            let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            assert_eq!(differs, None, "`{cron}` in {name}: found and expected");
            assert_eq!(found.len(), expected.len(), "`{cron}` in {name}");
        }
    }
}
