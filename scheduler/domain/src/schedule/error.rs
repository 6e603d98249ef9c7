//! What can be wrong with a schedule.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::after::MOST_UPSTREAMS;
use crate::name::{CalendarName, JobName};

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression is not understood.
    #[error("cron `{expression}`, at character {}: {message}", .position + 1)]
    Cron {
        /// As it was given.
        expression: String,
        /// Where the trouble begins: the index of a character, counted from 0.
        position: usize,
        /// What is wrong there, and what is allowed.
        message: String,
    },
    /// The expression is understood, but hardly a date fits it.
    #[error("cron `{expression}` never fires: no date matches it at least once in 8 years")]
    NeverFires {
        /// As it was given.
        expression: String,
    },
    /// No time zone has this name.
    #[error("`{zone}` is no time zone{}", did_you_mean(.suggestion.as_deref()))]
    UnknownZone {
        /// As it was given.
        zone: String,
        /// The name that looks most like it, if one does.
        suggestion: Option<String>,
    },
    /// The interval is under a second.
    #[error("every {every:?} is too often: the least is 1s")]
    TooOften {
        /// As it was given.
        every: Duration,
    },
    /// The interval is over ten years.
    #[error("every {every:?} is too seldom: the most is {most:?}")]
    TooSeldom {
        /// As it was given.
        every: Duration,
        /// The longest one.
        most: Duration,
    },
    /// The interval or its phase is finer than a millisecond.
    #[error("{given:?} is too fine: intervals and phases are whole milliseconds")]
    TooFine {
        /// As it was given.
        given: Duration,
    },
    /// The phase is not a part of the interval.
    #[error("phase {phase:?} must be less than the interval of {every:?}")]
    BadPhase {
        /// As it was given.
        phase: Duration,
        /// The interval.
        every: Duration,
    },
    /// The text is neither an instant nor a local time.
    #[error(
        "`{text}` is no point in time: expected an instant such as 2026-12-01T09:00:00Z, or a local time such as \
         2026-12-01T09:00:00"
    )]
    BadInstant {
        /// As it was given.
        text: String,
    },
    /// The point in time is outside the years 1970 to 9999, or finer than a microsecond.
    #[error("`{text}` cannot be used: points in time are whole microseconds in the years 1970 to 9999")]
    InstantOutOfRange {
        /// As it was given.
        text: String,
    },
    /// The local time is skipped by a clock change, and the policy is to skip it.
    #[error("{local} does not exist in {zone}, and dst_gap is skip: it would never run")]
    LocalTimeSkipped {
        /// The local time.
        local: NaiveDateTime,
        /// The zone that skips it.
        zone: String,
    },
    /// It names no job to run after, or too many.
    #[error("names {given} jobs: expected 1 to {}", MOST_UPSTREAMS)]
    UpstreamCount {
        /// How many.
        given: usize,
    },
    /// It names a job twice.
    #[error("names job {job} twice")]
    UpstreamTwice {
        /// Which.
        job: JobName,
    },
    /// It ends before it starts.
    #[error("the end {} is not after the start {}", .end.to_rfc3339(), .start.to_rfc3339())]
    EmptyBounds {
        /// No instants before this one.
        start: DateTime<Utc>,
        /// No instants at or after this one.
        end: DateTime<Utc>,
    },
    /// The recurrence rule is not understood, or has no dates.
    #[error("rrule: {message}")]
    Rrule {
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// A field that only means something in a cron expression.
    #[error("{field} only goes with `cron`")]
    OnlyWithCron {
        /// It.
        field: &'static str,
    },
    /// A field that means nothing beside the ends of other jobs' runs, which happen when they do.
    #[error("{field} does not go with `after`")]
    NotWithAfter {
        /// It.
        field: &'static str,
    },
    /// A field that means nothing beside a fixed delay, which has one instant at a time.
    #[error("{field} does not go with `delay`")]
    NotWithDelay {
        /// It.
        field: &'static str,
    },
    /// The jitter is too long, or finer than a millisecond.
    #[error("{jitter:?} is no jitter: it is whole milliseconds, up to {most:?}")]
    BadJitter {
        /// As it was given.
        jitter: Duration,
        /// The longest one.
        most: Duration,
    },
    /// The count is out of bounds.
    #[error("{count} is not a number of instants from 1 to {most}")]
    BadCount {
        /// As it was given.
        count: u32,
        /// The greatest one.
        most: u32,
    },
    /// More calendars than a schedule may name.
    #[error("names {count} calendars, the most is {most}")]
    TooManyCalendars {
        /// As many as were given.
        count: usize,
        /// As many as may be.
        most: usize,
    },
    /// No calendar has this name.
    #[error("there is no calendar `{name}` in the namespace")]
    NoSuchCalendar {
        /// As it was given.
        name: CalendarName,
    },
    /// The recurrence engine failed on a rule it had accepted.
    #[error("a recurrence rule could not be evaluated after {after}: {message}")]
    RecurrenceEngine {
        /// The local time from which the next match was sought.
        after: NaiveDateTime,
        /// What the engine says.
        message: String,
    },
    /// The cron engine failed on an expression it had accepted.
    #[error("cron `{expression}` could not be evaluated after {after}: {message}")]
    Engine {
        /// The expression as the engine got it.
        expression: String,
        /// The local time from which the next match was sought.
        after: NaiveDateTime,
        /// What the engine says.
        message: String,
    },
}

impl ScheduleError {
    /// The field of a schedule that it is about, as it is called in a job file.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Cron { .. } | Self::NeverFires { .. } | Self::Engine { .. } => "cron",
            Self::UnknownZone { .. } => "zone",
            Self::TooOften { .. } | Self::TooSeldom { .. } | Self::TooFine { .. } => "every",
            Self::BadPhase { .. } => "phase",
            Self::BadInstant { .. } | Self::InstantOutOfRange { .. } | Self::LocalTimeSkipped { .. } => "at",
            Self::UpstreamCount { .. } | Self::UpstreamTwice { .. } => "after.jobs",
            Self::EmptyBounds { .. } => "end",
            Self::Rrule { .. } | Self::RecurrenceEngine { .. } => "rrule",
            Self::OnlyWithCron { field } | Self::NotWithDelay { field } | Self::NotWithAfter { field } => {
                field
            }
            Self::BadJitter { .. } => "jitter",
            Self::BadCount { .. } => "max_count",
            Self::TooManyCalendars { .. } | Self::NoSuchCalendar { .. } => "exclude",
        }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
