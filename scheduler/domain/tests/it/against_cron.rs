//! Another engine as an oracle: the crate `cron`, where no clock ever changes.
//!
//! Its grammar differs: seconds come first, Sunday is 1, and it wants both day fields to match where ours wants
//! either. So one of the two is always `*` here, and days of the week are counted up by one.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use punctual_scheduler_domain::schedule::{Dialect, Schedule, ScheduleSpec};

use crate::schedule;

fn field(least: u32, greatest: u32) -> impl Strategy<Value = String> {
    let value = least..=greatest;
    let list = prop::collection::btree_set(value.clone(), 1..4)
        .prop_map(|values| values.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    let range = (value.clone(), value.clone())
        .prop_map(|(one, other)| format!("{}-{}", one.min(other), one.max(other)));
    let step = (value, 2..10_u32).prop_map(move |(first, step)| format!("{first}-{greatest}/{step}"));
    prop_oneof![3 => Just("*".to_owned()), 3 => list, 2 => range, 2 => step]
}

/// The days of either field, the other being `*`, in our grammar and in theirs.
fn days() -> impl Strategy<Value = (String, String, String)> {
    prop_oneof![
        field(1, 28).prop_map(|day| (day, "*".to_owned(), "*".to_owned())),
        prop::collection::btree_set(0..7_u32, 1..4).prop_map(|days| {
            let list =
                |plus: u32| days.iter().map(|day| (day + plus).to_string()).collect::<Vec<_>>().join(",");
            ("*".to_owned(), list(0), list(1))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_finds_the_same_instants(
        minute in field(0, 59),
        hour in field(0, 23),
        (day, weekday, their_weekday) in days(),
        month in field(1, 12),
        second in 0..4_000_000_000_i64,
    ) {
        let ours = schedule(&format!("{minute} {hour} {day} {month} {weekday}"), "UTC");
        let theirs = cron::Schedule::from_str(&format!("0 {minute} {hour} {day} {month} {their_weekday}")).unwrap();
        let mut t = DateTime::<Utc>::from_timestamp(second, 0).unwrap();
        for expect in theirs.after(&t).take(20) {
            let next = ours.next_after(t).unwrap().unwrap();
            prop_assert_eq!(next, expect);
            t = next;
        }
    }

    /// Quartz counts days as that crate does, and has its seconds and years.
    #[test]
    fn in_the_dialect_quartz_it_finds_the_same_instants(
        second in field(0, 59),
        minute in field(0, 59),
        hour in field(0, 23),
        (day, _, weekday) in days(),
        month in field(1, 12),
        year in prop::sample::select(vec!["*", "2030-2040", "2031,2033", "2035/3"]),
        start in 1_800_000_000..2_000_000_000_i64,
    ) {
        let (our_day, our_weekday) = if weekday == "*" { (day.as_str(), "?") } else { ("?", weekday.as_str()) };
        let ours = ScheduleSpec {
            dialect: Dialect::Quartz,
            ..ScheduleSpec::cron(format!("{second} {minute} {hour} {our_day} {month} {our_weekday} {year}"), "UTC")
        };
        let ours = Schedule::compile(&ours).unwrap();
        let year = if year == "2035/3" { "2035-2099/3" } else { year };
        let theirs = format!("{second} {minute} {hour} {day} {month} {weekday} {year}");
        let theirs = cron::Schedule::from_str(&theirs).unwrap();
        let mut t = DateTime::<Utc>::from_timestamp(start, 0).unwrap();
        for expect in theirs.after(&t).take(20) {
            let next = ours.next_after(t).unwrap().unwrap();
            prop_assert_eq!(next, expect);
            t = next;
        }
    }
}
