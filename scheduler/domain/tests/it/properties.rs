//! What holds for every schedule.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use punctual_scheduler_domain::schedule::{DstFold, DstGap, Schedule, ScheduleSpec};

const ZONES: [&str; 10] = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Kwajalein",
    "Africa/Monrovia",
];

fn a_cron() -> impl Strategy<Value = String> {
    let minute = prop::sample::select(vec!["*", "0", "30", "*/15", "7,37", "10-40/10"]);
    let hour = prop::sample::select(vec!["*", "0", "1", "2", "2,3", "23", "*/6", "1-3"]);
    let day = prop::sample::select(vec!["*", "1", "L", "15W", "LW", "29", "*/2", "1-7"]);
    let month = prop::sample::select(vec!["*", "3", "10,11", "JAN-JUN", "2"]);
    let weekday = prop::sample::select(vec!["*", "SUN", "MON-FRI", "SUN#2", "5L", "0,6"]);
    (minute, hour, day, month, weekday)
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

prop_compose! {
    fn a_schedule()(
        cron in a_cron(),
        zone in prop::sample::select(ZONES.to_vec()),
        skip in any::<bool>(),
        fold in prop::sample::select(vec![DstFold::First, DstFold::Last, DstFold::Both]),
    ) -> (ScheduleSpec, Schedule) {
        let mut spec = ScheduleSpec::cron(cron, zone);
        spec.dst_gap = if skip { DstGap::Skip } else { DstGap::Shift };
        spec.dst_fold = fold;
        let schedule = Schedule::compile(&spec).unwrap();
        (spec, schedule)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn the_next_instant_is_ahead_and_nothing_lies_between(
        (spec, schedule) in a_schedule(),
        t_ms in 0..4_102_444_800_000_i64,
        between in 0.0..1.0_f64,
    ) {
        let t = DateTime::<Utc>::from_timestamp_millis(t_ms).unwrap();
        let next = schedule.next_after(t).unwrap().unwrap();
        prop_assert!(next > t, "{:?}", spec);
        prop_assert_eq!(schedule.next_from(next).unwrap(), Some(next), "{:?}", spec);
        let inside = t + TimeDelta::milliseconds(((next - t).num_milliseconds() as f64 * between) as i64);
        if inside < next {
            prop_assert_eq!(schedule.next_after(inside).unwrap(), Some(next), "{:?} after {}", spec, inside);
        }
    }

    #[test]
    fn however_the_time_is_cut_the_instants_are_the_same(
        (spec, schedule) in a_schedule(),
        start_s in 0..4_000_000_000_i64,
        cut in 0.0..1.0_f64,
    ) {
        let from = DateTime::<Utc>::from_timestamp(start_s, 0).unwrap();
        let until = from + TimeDelta::days(20);
        let middle = from + TimeDelta::seconds((86_400.0 * 20.0 * cut) as i64);
        let all: Vec<_> = schedule.occurrences(from, until).map(Result::unwrap).collect();
        let parts: Vec<_> = schedule
            .occurrences(from, middle)
            .chain(schedule.occurrences(middle, until))
            .map(Result::unwrap)
            .collect();
        prop_assert_eq!(all, parts, "{:?}", spec);
    }
}
