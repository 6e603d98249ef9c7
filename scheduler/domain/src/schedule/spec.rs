//! A schedule as people write it and as it is stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::at::AtSpec;
use super::dialect::{Dialect, DomDow};
use crate::after::AfterOn;
use crate::name::{CalendarName, JobName};

/// Says when. [`super::Schedule::compile`] checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// The rule.
    pub when: When,
    /// An IANA name such as `Europe/Berlin`; empty means `UTC`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// No instants before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DateTime<Utc>>,
    /// No instants at or after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<DateTime<Utc>>,
    /// What a fixed local time does on the day it does not exist.
    #[serde(default)]
    pub dst_gap: DstGap,
    /// What a fixed local time does on the day it exists twice.
    #[serde(default)]
    pub dst_fold: DstFold,
    /// How a cron expression is written.
    #[serde(default, skip_serializing_if = "Dialect::is_standard")]
    pub dialect: Dialect,
    /// What two restricted day fields of a cron expression mean.
    #[serde(default, skip_serializing_if = "DomDow::is_or")]
    pub dom_dow: DomDow,
    /// Runs begin up to this much later, each job's at a time of its own; in whole milliseconds.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub jitter: Duration,
    /// How many instants it has in all, from its start or else from the job's creation on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
    /// Calendars in whose days and hours it does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<CalendarName>,
}

/// The rule of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A cron expression, of five fields unless its dialect says otherwise, or a nickname such as `@daily`.
    Cron(String),
    /// An interval, counted from the epoch, so that restarts do not move it.
    Every {
        /// 1 s to 10 years, in whole milliseconds.
        every: Duration,
        /// Moves the instants; less than `every`, in whole milliseconds.
        #[serde(default)]
        phase: Duration,
    },
    /// Once.
    At(AtSpec),
    /// When a run of another job ends, each such end once.
    After {
        /// Jobs of the same namespace.
        jobs: Vec<JobName>,
        /// Which of their ends.
        #[serde(default)]
        on: AfterOn,
    },
    /// This long after the end of the job's last run. 1 s to 10 years, in whole milliseconds.
    Delay(Duration),
    /// A recurrence rule of iCalendar: `DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;BYDAY=MO`.
    Rrule(String),
}

/// What a fixed local time does in the hour that is skipped when clocks go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DstGap {
    /// Runs at the first instant after the gap; several fixed times inside one gap are one run.
    #[default]
    Shift,
    /// Does not run that day.
    Skip,
}

/// What a fixed local time does in the hour that is repeated when clocks go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DstFold {
    /// Runs on the first pass.
    #[default]
    First,
    /// Runs on the second pass.
    Last,
    /// Runs on both.
    Both,
}

impl ScheduleSpec {
    /// A cron expression in a zone, with the default policies and no bounds.
    pub fn cron(expression: impl Into<String>, zone: impl Into<String>) -> Self {
        Self::of(When::Cron(expression.into()), zone)
    }

    /// An interval without phase or bounds.
    pub fn every(every: Duration) -> Self {
        Self::of(When::Every { every, phase: Duration::ZERO }, "")
    }

    /// One instant.
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self::of(When::At(AtSpec::Instant(instant)), "")
    }

    /// The ends of other jobs' runs.
    pub fn after(jobs: impl IntoIterator<Item = JobName>, on: AfterOn) -> Self {
        Self::of(When::After { jobs: jobs.into_iter().collect(), on }, "")
    }

    /// A recurrence rule in a zone, with the default policies and no bounds.
    pub fn rrule(lines: impl Into<String>, zone: impl Into<String>) -> Self {
        Self::of(When::Rrule(lines.into()), zone)
    }

    /// A fixed delay after each run.
    pub fn delay(delay: Duration) -> Self {
        Self::of(When::Delay(delay), "")
    }

    /// A rule in a zone, with the default policies and no bounds.
    pub fn of(when: When, zone: impl Into<String>) -> Self {
        Self {
            when,
            zone: zone.into(),
            start: None,
            end: None,
            dst_gap: DstGap::default(),
            dst_fold: DstFold::default(),
            dialect: Dialect::default(),
            dom_dow: DomDow::default(),
            jitter: Duration::ZERO,
            max_count: None,
            exclude: Vec::new(),
        }
    }
}
