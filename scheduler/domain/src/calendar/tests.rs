use super::*;

const HOLIDAYS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n\
BEGIN:VEVENT\r\nSUMMARY:Christ\r\n mas\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nSUMMARY:New Year\r\nDTSTART;VALUE=DATE:20260101\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nSUMMARY:Maintenance\r\nDTSTART;TZID=America/New_York:20260302T220000\r\nDURATION:PT4H\r\n\
RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20260601T000000Z\r\nEXDATE;TZID=America/New_York:20260309T220000\r\n\
BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nSUMMARY:Off\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20260704\r\nEND:VEVENT\r\n\
END:VCALENDAR\r\n";

#[track_caller]
fn check(calendar: &Calendar, zone: &str, instant: &str, covered: bool) {
    let at = instant.parse().unwrap();
    assert_eq!(calendar.covers(at, &Zone::named(zone).unwrap()), Ok(covered), "{instant} {zone}");
}

#[test]
fn days_are_days_of_the_schedules_zone_and_times_are_those_of_the_event() {
    let spec = CalendarSpec::from_ical(HOLIDAYS).unwrap();
    assert_eq!(spec.entries(), 4, "{spec:?}");
    let calendar = Calendar::compile(&spec).unwrap();
    check(&calendar, "UTC", "2026-12-25T00:00:00Z", true);
    check(&calendar, "UTC", "2026-12-26T23:59:59Z", true);
    check(&calendar, "UTC", "2026-12-27T00:00:00Z", false);
    check(&calendar, "UTC", "2026-12-24T23:30:00Z", false);
    check(&calendar, "Europe/Berlin", "2026-12-24T23:30:00Z", true);
    // Every year, whichever zone asks.
    check(&calendar, "Asia/Tokyo", "2027-12-31T15:00:00Z", true);
    check(&calendar, "Asia/Tokyo", "2027-12-31T14:59:59Z", false);
    check(&calendar, "UTC", "2036-01-01T12:00:00Z", true);
    // 22:00 to 02:00 in New York, whichever zone asks; not on the 9th, and no more in June.
    for zone in ["UTC", "Asia/Tokyo"] {
        check(&calendar, zone, "2026-03-03T02:59:59Z", false);
        check(&calendar, zone, "2026-03-03T03:00:00Z", true);
        check(&calendar, zone, "2026-03-03T06:59:59.9Z", true);
        check(&calendar, zone, "2026-03-03T07:00:00Z", false);
        check(&calendar, zone, "2026-03-10T03:00:00Z", false);
        check(&calendar, zone, "2026-03-17T02:00:00Z", true);
        check(&calendar, zone, "2026-06-02T03:00:00Z", false);
    }
    check(&calendar, "UTC", "2026-07-04T12:00:00Z", false);
}

#[test]
fn a_calendar_survives_being_kept() {
    let spec = CalendarSpec::from_ical(HOLIDAYS).unwrap();
    let kept = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<CalendarSpec>(&kept).unwrap(), spec);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_line() {
    let event = |lines: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
    for (text, says) in [
        ("nonsense".to_owned(), "line 1: `nonsense` has no colon"),
        ("BEGIN:VCARD\nEND:VCARD".to_owned(), "no iCalendar text"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR".to_owned(), "has no day and no event"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101".to_owned(), "line 2: the event that begins here"),
        (event("SUMMARY:x"), "line 2: the event has no DTSTART"),
        (event("DTSTART:yesterday"), "line 3: DTSTART: `yesterday`"),
        (
            event("DTSTART;TZID=Mars/Olympus:20260101T000000"),
            "line 3: DTSTART: `Mars/Olympus` is no time zone",
        ),
        (event("DTSTART:20260102\nDTEND:20260101"), "ends before it starts"),
        (event("DTSTART:20260101T000000Z\nDURATION:1h"), "line 4: DURATION"),
        (event("SUMMARY:x\nDTSTART:20260101\nRRULE:FREQ=NEVER"), "event `x`"),
    ] {
        let error = CalendarSpec::from_ical(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{text:?}: {error}");
    }
    let weekly = event("DTSTART:20260101\nRRULE:FREQ=WEEKLY");
    let (begin, rest) = weekly.split_once('\n').unwrap();
    let many = format!("{begin}\n{}END:VCALENDAR", rest.replace("END:VCALENDAR\n", "").repeat(501));
    let error = CalendarSpec::from_ical(&many).unwrap_err();
    assert_eq!(error, CalendarError::TooManyRepeating { found: 501 });
    let long = "x".repeat(CalendarSpec::MOST_BYTES + 1);
    assert!(matches!(CalendarSpec::from_ical(&long), Err(CalendarError::TooLong { .. })));
}

#[test]
fn a_calendar_that_is_not_there_is_named() {
    let name = CalendarName::new("holidays").unwrap();
    let error = Calendars::default().get(&name).unwrap_err();
    assert_eq!(error.to_string(), "there is no calendar `holidays` in the namespace");
}
