use super::*;

fn civil(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
}

/// The occurrences from `from` on, walked one by one.
#[track_caller]
fn check(text: &str, from: &str, expect: &[&str]) {
    let recurrence = Recurrence::parse(text, None).unwrap();
    let mut t = civil(from);
    for expect in expect {
        let next = recurrence.next_from(t).unwrap();
        assert_eq!(next, Some(civil(expect)), "{text} from {t}");
        t = civil(expect) + TimeDelta::seconds(1);
    }
}

#[test]
fn rules_of_every_frequency_give_their_dates() {
    let weekly = "DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH";
    check(
        weekly,
        "2026-01-01 00:00:00",
        &["2026-01-05 09:00:00", "2026-01-08 09:00:00", "2026-01-19 09:00:00"],
    );
    // Years later it is still the same fortnight.
    check(
        weekly,
        "2031-03-03 00:00:00",
        &["2031-03-10 09:00:00", "2031-03-13 09:00:00", "2031-03-24 09:00:00"],
    );
    let last_friday = "DTSTART:20260130T173000 RRULE:FREQ=MONTHLY;BYDAY=-1FR";
    check(last_friday, "2026-02-01 00:00:00", &["2026-02-27 17:30:00", "2026-03-27 17:30:00"]);
    let yearly = "DTSTART:20240229T000000 RRULE:FREQ=YEARLY";
    check(yearly, "2024-03-01 00:00:00", &["2028-02-29 00:00:00", "2032-02-29 00:00:00"]);
    let minutes = "DTSTART:20200101T000000 RRULE:FREQ=MINUTELY;INTERVAL=90";
    check(minutes, "2026-06-01 00:00:01", &["2026-06-01 01:30:00", "2026-06-01 03:00:00"]);
}

#[test]
fn counts_ends_and_single_dates_are_heeded() {
    let three = Recurrence::parse("DTSTART:20260105T090000 RRULE:FREQ=DAILY;COUNT=3", None).unwrap();
    assert_eq!(three.next_from(civil("2026-01-07 00:00:00")).unwrap(), Some(civil("2026-01-07 09:00:00")));
    assert_eq!(three.next_from(civil("2026-01-07 09:00:01")).unwrap(), None);
    let until = Recurrence::parse("DTSTART:20260105T090000 RRULE:FREQ=DAILY;UNTIL=20260106", None).unwrap();
    assert_eq!(until.next_from(civil("2026-01-06 00:00:00")).unwrap(), Some(civil("2026-01-06 09:00:00")));
    assert_eq!(until.next_from(civil("2026-01-07 00:00:00")).unwrap(), None);
    check(
        "DTSTART:20260105T090000 RRULE:FREQ=DAILY EXDATE:20260106T090000 RDATE:20260106T120000",
        "2026-01-05 00:00:00",
        &["2026-01-05 09:00:00", "2026-01-06 12:00:00", "2026-01-07 09:00:00"],
    );
}

#[test]
fn a_rule_may_take_its_beginning_from_elsewhere_and_be_asked_backwards() {
    let daily = Recurrence::parse("FREQ=DAILY", Some(civil("2026-01-05 09:00:00"))).unwrap();
    for day in [300, 20, 1, 20] {
        let from = civil("2026-01-05 00:00:00") + TimeDelta::days(day);
        assert_eq!(daily.next_from(from).unwrap(), Some(from + TimeDelta::hours(9)));
    }
    assert!(daily.is_fixed_time());
    assert!(!Recurrence::parse("DTSTART:20260101 RRULE:FREQ=HOURLY", None).unwrap().is_fixed_time());
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    for (text, says) in [
        ("", "neither an RRULE nor an RDATE"),
        ("RRULE:FREQ=DAILY", "no DTSTART"),
        ("DTSTART:20260105T090000Z RRULE:FREQ=DAILY", "without the Z"),
        ("DTSTART;TZID=Europe/Berlin:20260105T090000 RRULE:FREQ=DAILY", "own field"),
        ("DTSTART:tomorrow RRULE:FREQ=DAILY", "no date such as"),
        ("DTSTART:20260105T090000 RRULE:FREQ=FORTNIGHTLY", "FORTNIGHTLY"),
        ("DTSTART:20260105T090000 RRULE:FREQ=DAILY;COUNT=10001", "more than 10000"),
        ("DTSTART:20260105T090000 RRULE:FREQ=DAILY RRULE:FREQ=DAILY", "two RRULE"),
        ("DTSTART:20260105T090000 EXRULE:FREQ=DAILY", "`EXRULE` is none of"),
        ("DTSTART:18500105T090000 RRULE:FREQ=DAILY", "1970"),
    ] {
        let start = (text.is_empty()).then(|| civil("2026-01-01 00:00:00"));
        let error = Recurrence::parse(text, start).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}
