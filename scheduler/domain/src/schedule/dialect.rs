//! The grammars in which cron expressions are written.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::word::words;

/// Which fields a cron expression has, and how its days are numbered. One with more than five fields is only
/// understood where its dialect is named, since what six of them mean is not agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Five: minute, hour, day of month, month, day of week.
    #[default]
    Standard,
    /// Six: a second before the five, as dkron, Spring and robfig/cron write them.
    SecondsFirst,
    /// Six: a year after the five, as Temporal and Nomad write them.
    YearLast,
    /// Six or seven, as Quartz writes them: a second first and perhaps a year last, Sunday is 1, and one of the two
    /// day fields is `?`.
    Quartz,
}

words!(
    Dialect, "dialect of cron",
    Standard => "standard",
    SecondsFirst => "seconds_first",
    YearLast => "year_last",
    Quartz => "quartz",
);

impl Dialect {
    /// Whether it is the one that need not be named.
    pub fn is_standard(&self) -> bool {
        *self == Self::Standard
    }

    /// How many fields, and which.
    pub(super) fn fields(self) -> Fields {
        match self {
            Self::Standard => Fields("five fields", "minute, hour, day of month, month, day of week"),
            Self::SecondsFirst => {
                Fields("six fields", "second, minute, hour, day of month, month, day of week")
            }
            Self::YearLast => Fields("six fields", "minute, hour, day of month, month, day of week, year"),
            Self::Quartz => Fields(
                "six or seven fields",
                "second, minute, hour, day of month, month, day of week, and perhaps a year",
            ),
        }
    }
}

/// How many fields a dialect has, and their names.
pub(super) struct Fields(&'static str, &'static str);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.1)
    }
}

/// Which days match when both day fields of a cron expression are restricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomDow {
    /// Those that match either, as in Vixie cron, where a field that begins with `*` only narrows the other.
    #[default]
    Or,
    /// Those that match both.
    And,
}

words!(DomDow, "rule for the two day fields", Or => "or", And => "and");

impl DomDow {
    /// Whether it is the one that need not be named.
    pub fn is_or(&self) -> bool {
        *self == Self::Or
    }
}
