//! What can be wrong with a calendar.

use super::CalendarSpec;

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
    /// Too much of it repeats.
    #[error("has {found} events that repeat, the most is {}", CalendarSpec::MOST_REPEATING)]
    TooManyRepeating {
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
