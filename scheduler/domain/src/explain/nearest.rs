//! A schedule's instants around one.

use chrono::{DateTime, TimeDelta, Utc};

use crate::schedule::{ScheduleError, ScheduleSet};

/// How far back an earlier instant is looked for, further each time. Each reach holds few enough instants of whatever had
/// none in the reach before: a second's worth at least in the first, a leap day's in the last.
const REACHES: [TimeDelta; 6] = [
    TimeDelta::minutes(1),
    TimeDelta::hours(1),
    TimeDelta::days(1),
    TimeDelta::days(31),
    TimeDelta::days(366),
    TimeDelta::days(9 * 366),
];

/// Which of the schedules give exactly this instant, by their place.
pub(super) fn rules_at(set: &ScheduleSet, at: DateTime<Utc>) -> Result<Vec<usize>, ScheduleError> {
    let mut rules = Vec::new();
    for (place, schedule) in set.schedules().iter().enumerate() {
        if schedule.next_from(at)? == Some(at) {
            rules.push(place);
        }
    }
    Ok(rules)
}

/// The latest instant before `at`, if there is one within the last nine years.
pub(super) fn latest_before(
    set: &ScheduleSet,
    at: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ScheduleError> {
    for reach in REACHES {
        let Some(from) = at.checked_sub_signed(reach) else { return Ok(None) };
        let mut latest = None;
        for instant in set.occurrences(from, at) {
            latest = Some(instant?);
        }
        if latest.is_some() {
            return Ok(latest);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ScheduleSpec;

    #[test]
    fn the_latest_before_is_found_however_far_back() {
        let check = |cron: &str, at: &str, expect: &str| {
            let set = ScheduleSet::compile(&[ScheduleSpec::cron(cron, "UTC")]).unwrap();
            let found = latest_before(&set, at.parse().unwrap()).unwrap();
            assert_eq!(found, expect.parse().ok(), "{cron}");
        };
        check("* * * * *", "2026-03-01T00:00:00Z", "2026-02-28T23:59:00Z");
        check("30 2 * * *", "2026-03-01T02:30:00Z", "2026-02-28T02:30:00Z");
        check("0 0 1 1 *", "2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z");
        check("0 0 29 2 *", "2027-03-01T00:00:00Z", "2024-02-29T00:00:00Z");
    }

    #[test]
    fn a_rule_gives_an_instant_or_does_not() {
        let specs = [
            ScheduleSpec::cron("0 * * * *", "UTC"),
            ScheduleSpec::cron("30 * * * *", "UTC"),
            ScheduleSpec::cron("0 9 * * *", "Europe/Berlin"),
        ];
        let set = ScheduleSet::compile(&specs).unwrap();
        let rules = |at: &str| rules_at(&set, at.parse().unwrap()).unwrap();
        assert_eq!(rules("2026-01-05T08:00:00Z"), [0, 2]);
        assert_eq!(rules("2026-01-05T08:30:00Z"), [1]);
        assert_eq!(rules("2026-01-05T08:30:00.5Z"), [0_usize; 0]);
    }
}
