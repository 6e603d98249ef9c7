//! Exclusion calendars: named days and hours in which schedules that name them do not run.

mod error;
mod ical;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::name::CalendarName;
use crate::schedule::{Recurrence, ScheduleError, Zone};

pub use self::error::CalendarError;

/// A calendar as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarSpec {
    /// Whole days, in the zone of the schedule that names the calendar.
    #[serde(default)]
    pub days: BTreeSet<NaiveDate>,
    /// All else.
    #[serde(default)]
    pub events: Vec<CalendarEvent>,
}

/// Something that lasts for a while, once or again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarEvent {
    /// What it is called; for people.
    #[serde(default)]
    pub summary: String,
    /// When it begins, in its zone.
    pub start: NaiveDateTime,
    /// How long it lasts, in seconds.
    pub seconds: u32,
    /// An IANA name; empty means the zone of the schedule that names the calendar.
    #[serde(default)]
    pub zone: String,
    /// The lines that repeat it: `RRULE:`, `RDATE:` and `EXDATE:`, in local times; may be empty.
    #[serde(default)]
    pub rule: String,
}

impl CalendarSpec {
    /// The most days and events of one calendar.
    pub const MOST_ENTRIES: usize = 10_000;
    /// The most events that repeat: each is asked about every instant.
    pub const MOST_REPEATING: usize = 500;
    /// The most bytes of a text that is imported.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Reads iCalendar text (RFC 5545): its events, of which those that last whole days are days of whichever
    /// schedule names the calendar.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn from_ical(text: &str) -> Result<Self, CalendarError> {
        ical::read(text)
    }

    /// A calendar of whole days.
    ///
    /// # Errors
    /// When there are too many.
    pub fn from_days(days: BTreeSet<NaiveDate>) -> Result<Self, CalendarError> {
        let spec = Self { days, events: Vec::new() };
        spec.check()?;
        Ok(spec)
    }

    /// How many days and events it has.
    pub fn entries(&self) -> usize {
        self.days.len() + self.events.len()
    }

    fn check(&self) -> Result<(), CalendarError> {
        if self.entries() == 0 {
            return Err(CalendarError::Empty);
        }
        if self.entries() > Self::MOST_ENTRIES {
            return Err(CalendarError::TooMany { found: self.entries() });
        }
        let repeating = self.events.iter().filter(|event| !event.rule.is_empty()).count();
        if repeating > Self::MOST_REPEATING {
            return Err(CalendarError::TooManyRepeating { found: repeating });
        }
        Calendar::compile(self).map(|_| ())
    }
}

/// A calendar made ready for use.
#[derive(Debug, Clone)]
pub struct Calendar {
    days: BTreeSet<NaiveDate>,
    events: Vec<Event>,
}

#[derive(Debug, Clone)]
struct Event {
    starts: Recurrence,
    lasts: TimeDelta,
    /// `None`: the schedule's.
    zone: Option<Zone>,
}

impl Calendar {
    /// Checks `spec` and makes it ready for use.
    ///
    /// # Errors
    /// What is wrong with one of its events.
    pub fn compile(spec: &CalendarSpec) -> Result<Self, CalendarError> {
        let events = spec.events.iter().map(Event::compile).collect::<Result<_, _>>()?;
        Ok(Self { days: spec.days.clone(), events })
    }

    /// Whether `instant` lies in it, for a schedule in `zone`.
    pub(crate) fn covers(&self, instant: DateTime<Utc>, zone: &Zone) -> Result<bool, ScheduleError> {
        if self.days.contains(&zone.local(instant).date_naive()) {
            return Ok(true);
        }
        for event in &self.events {
            if event.covers(instant, zone)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Event {
    fn compile(event: &CalendarEvent) -> Result<Self, CalendarError> {
        let fault = |message| CalendarError::Event { summary: event.summary.clone(), message };
        let starts = if event.rule.is_empty() {
            Recurrence::once(event.start)
        } else {
            Recurrence::parse(&event.rule, Some(event.start)).map_err(fault)?
        };
        let zone = match event.zone.as_str() {
            "" => None,
            name => Some(Zone::named(name).map_err(|error| fault(error.to_string()))?),
        };
        Ok(Self { starts, lasts: TimeDelta::seconds(i64::from(event.seconds)), zone })
    }

    fn covers(&self, instant: DateTime<Utc>, zone: &Zone) -> Result<bool, ScheduleError> {
        let civil = self.zone.as_ref().unwrap_or(zone).local(instant).naive_local();
        // Occurrences are whole seconds. One of them that began within the event's length has not ended yet.
        let earliest = civil - self.lasts + TimeDelta::microseconds(1);
        let found = self.starts.next_from(earliest);
        let found = found.map_err(|message| ScheduleError::RecurrenceEngine { after: earliest, message })?;
        Ok(found.is_some_and(|start| start <= civil))
    }
}

/// The calendars that are at hand, by name.
#[derive(Debug, Clone, Default)]
pub struct Calendars {
    known: BTreeMap<CalendarName, Arc<Calendar>>,
}

impl Calendars {
    /// Adds one.
    pub fn insert(&mut self, name: CalendarName, calendar: Arc<Calendar>) {
        self.known.insert(name, calendar);
    }

    /// The one of this name.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, name: &CalendarName) -> Result<&Calendar, ScheduleError> {
        let found = self.known.get(name).map(AsRef::as_ref);
        found.ok_or_else(|| ScheduleError::NoSuchCalendar { name: name.clone() })
    }
}

#[cfg(test)]
mod tests;
