//! iCalendar text (RFC 5545), as far as its events say when something is.

mod line;

use chrono::{NaiveDateTime, TimeDelta};

use self::line::{Line, Point, unfold};
use super::{CalendarError, CalendarEvent, CalendarSpec};

/// An event of which not all lines are read yet.
#[derive(Default)]
struct Draft {
    line: usize,
    summary: String,
    start: Option<Point>,
    end: Option<Point>,
    lasts: Option<TimeDelta>,
    cancelled: bool,
    rule: Option<String>,
    added: Vec<Point>,
    removed: Vec<Point>,
}

pub(super) fn read(text: &str) -> Result<CalendarSpec, CalendarError> {
    if text.len() > CalendarSpec::MOST_BYTES {
        return Err(CalendarError::TooLong { bytes: text.len() });
    }
    let lines = unfold(text)?;
    let begins = |line: &Line| line.name == "BEGIN" && line.value.eq_ignore_ascii_case("VCALENDAR");
    if !lines.first().is_some_and(begins) {
        return Err(CalendarError::NoCalendar);
    }
    let mut spec = CalendarSpec::default();
    let mut draft: Option<Draft> = None;
    // Components within an event, such as alarms, say nothing of when it is.
    let mut nested = 0;
    for line in &lines {
        let of_event = line.value.eq_ignore_ascii_case("VEVENT");
        match (line.name.as_str(), &mut draft) {
            ("BEGIN", None) if of_event => draft = Some(Draft { line: line.number, ..Draft::default() }),
            ("BEGIN", Some(_)) => nested += 1,
            ("END", Some(_)) if nested > 0 => nested -= 1,
            ("END", Some(_)) if of_event => draft.take().unwrap_or_default().add_to(&mut spec)?,
            (_, Some(draft)) if nested == 0 => draft.read(line)?,
            _ => {}
        }
        if spec.entries() > CalendarSpec::MOST_ENTRIES {
            return Err(CalendarError::TooMany { found: spec.entries() });
        }
    }
    if let Some(draft) = draft {
        let message = "the event that begins here has no END:VEVENT".to_owned();
        return Err(CalendarError::Line { line: draft.line, message });
    }
    spec.check()?;
    Ok(spec)
}

impl Draft {
    fn read(&mut self, line: &Line) -> Result<(), CalendarError> {
        match line.name.as_str() {
            "SUMMARY" => self.summary = line.value.chars().filter(|c| *c != '\0').take(200).collect(),
            "DTSTART" => self.start = Some(line.point(&line.value)?),
            "DTEND" => self.end = Some(line.point(&line.value)?),
            "DURATION" => self.lasts = Some(line.duration()?),
            "STATUS" => self.cancelled = line.value.eq_ignore_ascii_case("CANCELLED"),
            "RRULE" => self.rule = Some(line.value.clone()),
            "RDATE" => self.added.extend(line.points()?),
            "EXDATE" => self.removed.extend(line.points()?),
            _ => {}
        }
        Ok(())
    }

    fn add_to(self, spec: &mut CalendarSpec) -> Result<(), CalendarError> {
        if self.cancelled {
            return Ok(());
        }
        let fault = |message: &str| CalendarError::Line { line: self.line, message: message.to_owned() };
        let Some(start) = self.start.clone() else { return Err(fault("the event has no DTSTART")) };
        let day = TimeDelta::days(1);
        let lasts = match (&self.end, self.lasts) {
            (Some(end), _) => end.read_in(&start.zone)? - start.civil,
            (None, Some(lasts)) => lasts,
            (None, None) => TimeDelta::zero(),
        };
        if lasts < TimeDelta::zero() || lasts > TimeDelta::days(366) {
            return Err(fault("the event ends before it starts, or lasts more than a year"));
        }
        let lasts = if start.whole_day { lasts.max(day) } else { lasts };
        let rule = self.lines(&start)?;
        // Most calendars are days off: they are looked up, not gone through.
        if start.whole_day && rule.is_empty() {
            for date in start.civil.date().iter_days().take(usize::try_from(lasts.num_days()).unwrap_or(0)) {
                spec.days.insert(date);
            }
            return Ok(());
        }
        // One without a length is an instant.
        let seconds = u32::try_from(lasts.num_seconds().max(1)).unwrap_or(u32::MAX);
        let (summary, zone) = (self.summary, start.zone);
        spec.events.push(CalendarEvent { summary, start: start.civil, seconds, zone, rule });
        Ok(())
    }

    /// What repeats it, in its own local time.
    fn lines(&self, start: &Point) -> Result<String, CalendarError> {
        let mut lines = Vec::new();
        if let Some(rule) = &self.rule {
            let parts = rule.split(';').map(|part| match part.split_once('=') {
                Some((name, until)) if name.eq_ignore_ascii_case("UNTIL") && until.ends_with('Z') => {
                    let utc = NaiveDateTime::parse_from_str(until, "%Y%m%dT%H%M%SZ").map_err(|_| {
                        CalendarError::Line { line: self.line, message: format!("`{until}` is no time") }
                    })?;
                    let until = Point { civil: utc, zone: "UTC".to_owned(), whole_day: false };
                    Ok(format!("UNTIL={}", until.read_in(&start.zone)?.format("%Y%m%dT%H%M%S")))
                }
                _ => Ok(part.to_owned()),
            });
            lines.push(format!("RRULE:{}", parts.collect::<Result<Vec<_>, CalendarError>>()?.join(";")));
        }
        for (name, points) in [("RDATE", &self.added), ("EXDATE", &self.removed)] {
            for point in points {
                lines.push(format!("{name}:{}", point.read_in(&start.zone)?.format("%Y%m%dT%H%M%S")));
            }
        }
        if !lines.is_empty() && self.rule.is_none() {
            // The first date is one of them, whatever else there is.
            lines.push(format!("RDATE:{}", start.civil.format("%Y%m%dT%H%M%S")));
        }
        Ok(lines.join(" "))
    }
}
