//! iCalendar text (RFC 5545), as far as its events say when something is.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::{CalendarEvent, CalendarSpec};
use crate::schedule::Zone;

/// What is wrong with a calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It has nothing in it.
    #[error("has no day and no event")]
    Empty,
    /// It has too much in it.
    #[error("has {found} days and events, the most is {}", CalendarSpec::MOST_ENTRIES)]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The text is too long.
    #[error("has {bytes} bytes, the most is {}", CalendarSpec::MOST_BYTES)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is no iCalendar text.
    #[error("is no iCalendar text: it does not begin with BEGIN:VCALENDAR")]
    NoCalendar,
    /// A line cannot be used.
    #[error("line {line}: {message}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// An event cannot be used.
    #[error("event `{summary}`: {message}")]
    Event {
        /// What it is called.
        summary: String,
        /// What is wrong with it.
        message: String,
    },
}

/// One content line, unfolded.
struct Line {
    number: usize,
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
}

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

/// A date, or a time with its zone; an empty zone is the schedule's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    civil: NaiveDateTime,
    zone: String,
    whole_day: bool,
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

/// The lines, with those that begin with a blank put behind the one before.
fn unfold(text: &str) -> Result<Vec<Line>, CalendarError> {
    let mut whole: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), whole.last_mut()) {
            (Some(more), Some((_, before))) => before.push_str(more),
            _ if line.trim().is_empty() => {}
            _ => whole.push((index + 1, line.to_owned())),
        }
    }
    whole.into_iter().map(|(number, line)| Line::parse(number, &line)).collect()
}

impl Line {
    fn parse(number: usize, text: &str) -> Result<Self, CalendarError> {
        // A colon within quotes belongs to a parameter.
        let mut quoted = false;
        let colon = text.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == ':' && !quoted
        });
        let Some((colon, _)) = colon else {
            let message = format!("`{text}` has no colon, expected NAME:VALUE");
            return Err(CalendarError::Line { line: number, message });
        };
        let (head, value) = (&text[..colon], &text[colon + 1..]);
        let mut parts = head.split(';');
        let name = parts.next().unwrap_or_default().to_uppercase();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.to_uppercase(), value.trim_matches('"').to_owned()))
            .collect();
        Ok(Self { number, name, parameters, value: value.trim().to_owned() })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn fault(&self, message: impl Into<String>) -> CalendarError {
        CalendarError::Line { line: self.number, message: format!("{}: {}", self.name, message.into()) }
    }

    fn point(&self, value: &str) -> Result<Point, CalendarError> {
        let zone = self.parameter("TZID").unwrap_or_default();
        if let Ok(date) = NaiveDate::parse_from_str(value, "%Y%m%d") {
            return Ok(Point { civil: date.and_time(NaiveTime::MIN), zone: String::new(), whole_day: true });
        }
        let (text, zone) = match value.strip_suffix('Z') {
            Some(utc) => (utc, "UTC"),
            None => (value, zone.trim_start_matches('/')),
        };
        let civil = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").map_err(|_| {
            self.fault(format!("`{value}` is no date such as 20261225 and no time such as 20261225T090000"))
        })?;
        Zone::named(zone).map_err(|error| self.fault(error.to_string()))?;
        Ok(Point { civil, zone: zone.to_owned(), whole_day: false })
    }

    fn points(&self) -> Result<Vec<Point>, CalendarError> {
        self.value.split(',').map(|value| self.point(value)).collect()
    }

    /// Such as `P1D`, `PT1H30M` or `P2W`.
    fn duration(&self) -> Result<TimeDelta, CalendarError> {
        let fault = || self.fault(format!("`{}` is no duration such as P1D or PT1H30M", self.value));
        let mut seconds = 0_i64;
        let mut number = String::new();
        for c in self.value.trim_start_matches('+').strip_prefix('P').ok_or_else(fault)?.chars() {
            let unit = match c {
                '0'..='9' => {
                    number.push(c);
                    continue;
                }
                'T' => continue,
                'W' => 7 * 86_400,
                'D' => 86_400,
                'H' => 3_600,
                'M' => 60,
                'S' => 1,
                _ => return Err(fault()),
            };
            let count: i64 = number.parse().map_err(|_| fault())?;
            number.clear();
            seconds = count.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(fault)?;
        }
        TimeDelta::try_seconds(seconds).ok_or_else(fault)
    }
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
            (Some(end), _) => at(end, &start.zone)? - start.civil,
            (None, Some(lasts)) => lasts,
            (None, None) if start.whole_day => day,
            (None, None) => TimeDelta::zero(),
        };
        if lasts < TimeDelta::zero() || lasts > TimeDelta::days(366) {
            return Err(fault("the event ends before it starts, or lasts more than a year"));
        }
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
                    Ok(format!("UNTIL={}", at(&until, &start.zone)?.format("%Y%m%dT%H%M%S")))
                }
                _ => Ok(part.to_owned()),
            });
            lines.push(format!("RRULE:{}", parts.collect::<Result<Vec<_>, CalendarError>>()?.join(";")));
        }
        for (name, points) in [("RDATE", &self.added), ("EXDATE", &self.removed)] {
            for point in points {
                lines.push(format!("{name}:{}", at(point, &start.zone)?.format("%Y%m%dT%H%M%S")));
            }
        }
        if !lines.is_empty() && self.rule.is_none() {
            // The first date is one of them, whatever else there is.
            lines.push(format!("RDATE:{}", start.civil.format("%Y%m%dT%H%M%S")));
        }
        Ok(lines.join(" "))
    }
}

/// `point` as a clock in `zone` reads it. What has no zone of its own is read in `zone` as it stands.
fn at(point: &Point, zone: &str) -> Result<NaiveDateTime, CalendarError> {
    if point.zone == zone || point.zone.is_empty() || zone.is_empty() {
        return Ok(point.civil);
    }
    let fault = |error: crate::schedule::ScheduleError| CalendarError::Event {
        summary: String::new(),
        message: error.to_string(),
    };
    let instant = Zone::named(&point.zone).map_err(fault)?.first_instant(point.civil);
    let instant = DateTime::from_timestamp(instant, 0).unwrap_or_default();
    Ok(Zone::named(zone).map_err(fault)?.local(instant).naive_local())
}
