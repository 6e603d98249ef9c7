//! The content lines of iCalendar, and the points in time that stand in them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::calendar::CalendarError;
use crate::schedule::{ScheduleError, Zone};

/// One content line, unfolded.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) name: String,
    parameters: Vec<(String, String)>,
    pub(super) value: String,
}

/// A date, or a time with its zone; an empty zone is the schedule's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) civil: NaiveDateTime,
    pub(super) zone: String,
    pub(super) whole_day: bool,
}

/// The lines, with those that begin with a blank put behind the one before.
pub(super) fn unfold(text: &str) -> Result<Vec<Line>, CalendarError> {
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

    pub(super) fn point(&self, value: &str) -> Result<Point, CalendarError> {
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

    pub(super) fn points(&self) -> Result<Vec<Point>, CalendarError> {
        self.value.split(',').map(|value| self.point(value)).collect()
    }

    /// Such as `P1D`, `PT1H30M` or `P2W`.
    pub(super) fn duration(&self) -> Result<TimeDelta, CalendarError> {
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

impl Point {
    /// As a clock in `zone` reads it. What has no zone of its own is read there as it stands.
    pub(super) fn read_in(&self, zone: &str) -> Result<NaiveDateTime, CalendarError> {
        if self.zone == zone || self.zone.is_empty() || zone.is_empty() {
            return Ok(self.civil);
        }
        let fault = |error: ScheduleError| CalendarError::Event {
            summary: String::new(),
            message: error.to_string(),
        };
        let instant = Zone::named(&self.zone).map_err(fault)?.first_instant(self.civil);
        let instant = DateTime::from_timestamp(instant, 0).unwrap_or_default();
        Ok(Zone::named(zone).map_err(fault)?.local(instant).naive_local())
    }
}
