use super::expression::Expression;
use crate::schedule::{Dialect, DomDow, Schedule, ScheduleError, ScheduleSpec};

/// What the engine gets for `expression`.
#[track_caller]
fn check(expression: &str, spelled_out: &str) {
    assert_eq!(
        Expression::parse(expression, Dialect::Standard, DomDow::Or).unwrap().spelled_out(),
        spelled_out
    );
}

/// Where the error is, and how its text begins.
#[track_caller]
fn check_error(expression: &str, at: usize, says: &str) {
    let error = Schedule::compile(&ScheduleSpec::cron(expression, "")).unwrap_err();
    let ScheduleError::Cron { position, message, .. } = &error else { panic!("{error}") };
    assert_eq!(*position, at, "{error}");
    assert!(message.starts_with(says), "{message}");
}

#[test]
fn numbers_names_ranges_steps_and_lists() {
    check("* * * * *", "* * * * *");
    check("5 4 3 2 1", "5 4 3 2 1");
    check("*/15 */6 * * *", "0,15,30,45 0,6,12,18 * * *");
    check("5/20 20/2 * * *", "5,25,45 20,22 * * *");
    check("0-10/5,3 1-3,22 * * *", "0,3,5,10 1,2,3,22 * * *");
    check("0 0 1,15 jan-Mar,DEC mon-FRI", "0 0 1,15 1,2,3,12 1,2,3,4,5");
    check("0 0 ? * ?", "0 0 * * *");
    check("  0\t0  *  * * ", "0 0 * * *");
}

#[test]
fn sunday_is_0_and_7_and_the_end_of_a_week() {
    check("0 0 * * 0", "0 0 * * 0");
    check("0 0 * * 7", "0 0 * * 0");
    check("0 0 * * FRI-SUN", "0 0 * * 0,5,6");
    check("0 0 * * 5-7", "0 0 * * 0,5,6");
    check("0 0 * * SUN-TUE", "0 0 * * 0,1,2");
    check("0 0 * * 0-7", "0 0 * * 0,1,2,3,4,5,6");
    check("0 0 * * */2", "0 0 * * 0,2,4,6");
}

#[test]
fn last_nearest_and_nth_days() {
    check("0 0 L * *", "0 0 L * *");
    check("0 0 lw,1 * *", "0 0 1,LW * *");
    check("0 0 15W * *", "0 0 15W * *");
    check("0 0 * * 5L", "0 0 * * 5L");
    check("0 0 * * FRI#2,7#1", "0 0 * * 0#1,5#2");
    check("0 0 * * sunL", "0 0 * * 0L");
}

#[test]
fn nicknames() {
    check("@hourly", "0 * * * *");
    check("@Daily", "0 0 * * *");
    check("@midnight", "0 0 * * *");
    check("@weekly", "0 0 * * 0");
    check("@monthly", "0 0 1 * *");
    check("@yearly", "0 0 1 1 *");
    check("@annually", "0 0 1 1 *");
}

#[test]
fn a_fixed_time_has_plain_numbers_for_its_hour() {
    for (expression, fixed) in [
        ("30 2 * * *", true),
        ("*/5 2,14 * * *", true),
        ("@daily", true),
        ("0 * * * *", false),
        ("0 */6 * * *", false),
        ("0 1-3 * * *", false),
        ("0 2,4-6 * * *", false),
        ("@hourly", false),
    ] {
        assert_eq!(
            Expression::parse(expression, Dialect::Standard, DomDow::Or).unwrap().is_fixed_time(),
            fixed,
            "{expression}"
        );
    }
}

#[test]
fn an_error_says_where_it_is_and_what_is_allowed() {
    check_error("61 * * * *", 0, "minute: 61 is out of range; allowed are 0-59");
    check_error("0 24 * * *", 2, "hour: 24 is out of range; allowed are 0-23");
    check_error("0 0 32 * *", 4, "day of month: 32 is out of range; allowed are 1-31, L, LW");
    check_error("0 0 0 * *", 4, "day of month: 0 is out of range");
    check_error("0 0 * 13 *", 6, "month: 13 is out of range; allowed are 1-12 or JAN-DEC");
    check_error("0 0 * * 8", 8, "day of week: 8 is out of range; allowed are 0-7");
    check_error("0 0 * * MON,FUN", 12, "day of week: `FUN` is not understood");
    check_error("0 0 * * MONDAY", 8, "day of week: `MONDAY` is not understood");
    check_error("0,,5 * * * *", 2, "minute: a value is missing");
    check_error("0,15, * * * *", 5, "minute: a value is missing");
    check_error("*/0 * * * *", 2, "minute: the step `0` is not a number from 1 to 60");
    check_error("*/90 * * * *", 2, "minute: the step `90` is not");
    check_error("*/x * * * *", 2, "minute: the step `x` is not");
    check_error("1-5/ * * * *", 4, "minute: the step `` is not");
    check_error("5-x * * * *", 2, "minute: `x` is not understood");
    check_error("-5 * * * *", 0, "minute: a value is missing");
    check_error("0 22-2 * * *", 2, "hour: `22-2` runs backwards; write it as two, `22-23,0-2`");
    check_error("0 0 * * SAT-MON", 8, "day of week: `SAT-MON` runs backwards");
    check_error("*,5 * * * *", 0, "minute: `*` in a list");
    check_error("? * * * *", 0, "minute: `?` is not understood");
    check_error("+5 * * * *", 0, "minute: `+5` is not understood");
    check_error("H 4 * * *", 0, "minute: `H` is not understood");
    check_error("0 0 L-3 * *", 4, "day of month: `L` is not understood");
    check_error("0 0 L,LW * *", 4, "day of month: L and LW cannot be combined");
    check_error("0 0 32W * *", 4, "day of month: 32 is out of range");
    check_error("0 0 * * L", 8, "day of week: `L` needs a day");
    check_error("0 0 * * FRI#6", 12, "day of week: `#6` is not one of #1 to #5");
    check_error("0 0 * * +FRI", 8, "day of week: `+FRI` is not understood");
    check_error("ä 0 * * *", 0, "minute: `ä` is not understood");
    check_error("1,ä,99 0 * * *", 2, "minute: `ä` is not understood");
    check_error("999999999999 * * * *", 0, "minute: 999999999999 is out of range");
}

#[test]
fn the_number_of_fields_is_five() {
    check_error("", 0, "empty; expected five fields");
    check_error("  ", 0, "empty; expected five fields");
    check_error(
        "5",
        1,
        "found 1 field, expected five fields (minute, hour, day of month, month, day of week)",
    );
    check_error("0 9 * *  ", 7, "found 4 fields, expected five fields");
    check_error("0 0 9 * * *", 10, "six fields can be read in two ways: Quartz and dkron put seconds first");
    check_error("0 0 9 * * ? 2026", 10, "seven fields put seconds first and the year last");
    check_error("1 2 3 4 5 6 7 8", 10, "found 8 fields");
    check_error("CRON_TZ=UTC 0 9 * * *", 0, "a zone is not part of the expression");
    check_error("@reboot", 0, "@reboot means nothing here");
    check_error("@every 5m", 0, "@every is not a cron expression: use an interval");
    check_error("@dayly", 0, "unknown nickname `@dayly`; known are @hourly, @daily");
    check_error("@daily 5", 7, "`5` after a nickname");
}

fn in_dialect(expression: &str, dialect: Dialect) -> ScheduleSpec {
    ScheduleSpec { dialect, ..ScheduleSpec::cron(expression, "") }
}

#[test]
fn a_dialect_that_is_named_has_the_fields_it_has_elsewhere() {
    for (dialect, expression, spelled_out) in [
        (Dialect::SecondsFirst, "*/20 30 9 * * 0", "0,20,40 30 9 * * 0"),
        (Dialect::SecondsFirst, "@daily", "0 0 * * *"),
        (Dialect::YearLast, "30 9 * * MON 2026-2028", "0 30 9 * * 1 2026,2027,2028"),
        (Dialect::YearLast, "30 9 L * ? *", "0 30 9 L * * *"),
        (Dialect::Quartz, "0 0 12 ? * MON-FRI", "0 0 12 * * 1,2,3,4,5"),
        (Dialect::Quartz, "0 0 12 ? * 1,7 2026", "0 0 12 * * 0,6 2026"),
        (Dialect::Quartz, "0 15 10 ? * 6L", "0 15 10 * * 5L"),
        (Dialect::Quartz, "0 15 10 ? * 6#3", "0 15 10 * * 5#3"),
        (Dialect::Quartz, "0 15 10 ? * L", "0 15 10 * * 6"),
        (Dialect::Quartz, "0 15 10 LW * ?", "0 15 10 LW * *"),
        (Dialect::Quartz, "@weekly", "0 0 * * 0"),
    ] {
        let parsed = Expression::parse(expression, dialect, DomDow::Or).unwrap();
        assert_eq!(parsed.spelled_out(), spelled_out, "{expression}");
        Schedule::compile(&in_dialect(expression, dialect)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_dialect_that_is_named_is_held_to() {
    for (dialect, expression, says) in [
        (Dialect::Standard, "0 0 9 * * *", "say which with `dialect: seconds_first` or `dialect: year_last`"),
        (Dialect::Standard, "0 0 9 * * ? 2026", "say so with `dialect: quartz`"),
        (Dialect::SecondsFirst, "0 9 * * *", "found 5 fields, expected six fields (second, minute"),
        (Dialect::SecondsFirst, "0 0 9 * * * 2026", "at character 13: found 7 fields"),
        (
            Dialect::YearLast,
            "0 9 * * *",
            "expected six fields (minute, hour, day of month, month, day of week, year)",
        ),
        (Dialect::YearLast, "0 9 * * * 1969", "year: 1969 is out of range; allowed are 1970-2099"),
        (Dialect::SecondsFirst, "60 0 9 * * *", "second: 60 is out of range"),
        (Dialect::Quartz, "0 0 12 * * *", "one of the day fields, this or the day of month, must be `?`"),
        (Dialect::Quartz, "0 0 12 ? * ?", "only one of the day fields is `?`"),
        (Dialect::Quartz, "0 0 12 ? * 0", "day of week: 0 is out of range; allowed are 1-7 (1 is Sunday)"),
        (Dialect::Quartz, "0 12 * * ?", "found 5 fields, expected six or seven fields"),
    ] {
        let error = Schedule::compile(&in_dialect(expression, dialect)).unwrap_err().to_string();
        assert!(error.contains(says), "{expression}: {error}");
    }
    let never = Schedule::compile(&in_dialect("0 0 31 2 * 2028", Dialect::YearLast)).unwrap_err();
    assert!(matches!(never, ScheduleError::NeverFires { .. }), "{never}");
    for spec in [
        ScheduleSpec { dialect: Dialect::Quartz, ..ScheduleSpec::every(std::time::Duration::from_secs(5)) },
        ScheduleSpec { dom_dow: DomDow::And, ..ScheduleSpec::rrule("DTSTART:20260101 RRULE:FREQ=DAILY", "") },
    ] {
        assert!(matches!(Schedule::compile(&spec), Err(ScheduleError::OnlyWithCron { .. })), "{spec:?}");
    }
}

#[test]
fn the_text_of_an_error_counts_characters_from_1() {
    let error = Schedule::compile(&ScheduleSpec::cron("0 24 * * *", "")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cron `0 24 * * *`, at character 3: hour: 24 is out of range; allowed are 0-23"
    );
}

#[test]
fn a_date_that_hardly_ever_comes_is_refused() {
    for never in
        ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31W 2 *", "0 0 * 2 FRI#5", "0 0 * 2 TUE#5"]
    {
        let error = Schedule::compile(&ScheduleSpec::cron(never, "")).unwrap_err();
        assert_eq!(error, ScheduleError::NeverFires { expression: never.to_owned() });
    }
    for rare in ["0 0 29 2 *", "0 0 29W 2 *", "59 23 31 12 *", "0 0 31 2 MON", "0 0 31 1,2 *"] {
        assert!(Schedule::compile(&ScheduleSpec::cron(rare, "")).is_ok(), "{rare}");
    }
}
