use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn start_and_end_bound_the_instants() {
    let mut spec = ScheduleSpec::cron("0 * * * *", "");
    spec.start = Some(at("2026-01-01T10:00:00Z"));
    spec.end = Some(at("2026-01-01T12:00:00Z"));
    let schedule = Schedule::compile(&spec).unwrap();
    let all: Vec<_> = schedule.occurrences(at("2000-01-01T00:00:00Z"), LATE).map(Result::unwrap).collect();
    assert_eq!(all, [at("2026-01-01T10:00:00Z"), at("2026-01-01T11:00:00Z")]);
    spec.end = spec.start;
    assert_eq!(Schedule::compile(&spec).unwrap_err().field(), "end");
}

const LATE: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

#[test]
fn next_after_is_strict_and_next_from_is_not() {
    let schedule = Schedule::compile(&ScheduleSpec::cron("0 * * * *", "")).unwrap();
    let ten = at("2026-01-01T10:00:00Z");
    assert_eq!(schedule.next_from(ten), Ok(Some(ten)));
    assert_eq!(schedule.next_after(ten), Ok(Some(at("2026-01-01T11:00:00Z"))));
    let just_before = ten - TimeDelta::nanoseconds(1);
    assert_eq!(schedule.next_after(just_before), Ok(Some(ten)));
    let just_after = ten + TimeDelta::nanoseconds(1);
    assert_eq!(schedule.next_from(just_after), Ok(Some(at("2026-01-01T11:00:00Z"))));
}

#[test]
fn there_is_no_overflow_at_the_ends_of_time() {
    for spec in [
        ScheduleSpec::cron("*/7 3 29 2 *", "Australia/Lord_Howe"),
        ScheduleSpec::every(std::time::Duration::from_secs(1)),
        ScheduleSpec::at(at("2026-01-01T00:00:00Z")),
    ] {
        let schedule = Schedule::compile(&spec).unwrap();
        for t in [LATE, at("9999-12-31T23:59:59.999999999Z"), LATE - TimeDelta::nanoseconds(1)] {
            assert_eq!(schedule.next_after(t), Ok(None));
        }
        assert!(schedule.next_after(DateTime::<Utc>::MIN_UTC).unwrap().is_some());
    }
    let cron = Schedule::compile(&ScheduleSpec::cron("0 0 * * *", "Europe/Berlin")).unwrap();
    assert_eq!(cron.next_after(at("4999-06-01T00:00:00Z")), Ok(None));
}

#[test]
fn several_schedules_are_one_row_of_instants() {
    let specs = [
        ScheduleSpec::cron("0 9 * * *", "Europe/Berlin"),
        ScheduleSpec::every(std::time::Duration::from_secs(4 * 3_600)),
        ScheduleSpec::at(at("2026-01-01T08:00:00Z")),
    ];
    let set = ScheduleSet::compile(&specs).unwrap();
    let from = at("2026-01-01T00:00:00Z");
    let hours: Vec<i64> = set
        .occurrences(from, at("2026-01-01T12:00:00Z"))
        .map(|instant| (instant.unwrap() - from).num_hours())
        .collect();
    assert_eq!(hours, [0, 4, 8]);
    assert_eq!(set.next_after(from), Ok(Some(at("2026-01-01T04:00:00Z"))));
    let manual = ScheduleSet::default();
    assert!(manual.is_empty());
    assert_eq!(manual.next_from(from), Ok(None));
}

#[test]
fn a_spec_is_kept_as_small_json() {
    let cron = ScheduleSpec::cron("0 9 * * *", "Europe/Berlin");
    let json = serde_json::to_string(&cron).unwrap();
    assert_eq!(
        json,
        r#"{"when":{"cron":"0 9 * * *"},"zone":"Europe/Berlin","dst_gap":"shift","dst_fold":"first"}"#
    );
    assert_eq!(serde_json::from_str::<ScheduleSpec>(&json).unwrap(), cron);
    let at: ScheduleSpec = serde_json::from_str(r#"{"when":{"at":"2026-12-01T09:00:00"}}"#).unwrap();
    assert_eq!(at.when, When::At(AtSpec::Local("2026-12-01T09:00:00".parse().unwrap())));
}
