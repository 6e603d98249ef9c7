//! The two clocks of a history, and the way from one to the other.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point on the recorder's monotonic clock, in nanoseconds. Orders what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(pub i64);

/// A point on the database's clock, in microseconds since the epoch: what due times are measured by. Data, never
/// used to order what the recorder saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbTime(pub i64);

impl DbTime {
    /// `None` when the text is not RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_micros()))
    }

    /// Later by `by`; stays at the end of time rather than wrap.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// Earlier by `by`.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }
}

impl From<DateTime<Utc>> for DbTime {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for DbTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} us", self.0),
        }
    }
}

impl Serialize for DbTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DbTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 instant")))
    }
}

/// Relates the clocks: a tick lies at some database time between [`earliest`](Self::earliest) and
/// [`latest`](Self::latest).
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockMap {
    least_offset_us: i64,
    most_offset_us: i64,
}

impl ClockMap {
    /// From readings `(answered, took_ns, database)`: the database's clock showed `database` at some moment of the
    /// last `took_ns` before `answered`. `None` without a reading.
    pub(crate) fn new(readings: impl IntoIterator<Item = (Tick, i64, DbTime)>) -> Option<Self> {
        readings
            .into_iter()
            .map(|(answered, took_ns, database)| Self {
                least_offset_us: database.0 - (answered.0 / 1_000) - 1,
                most_offset_us: database.0 - ((answered.0 - took_ns) / 1_000) + 1,
            })
            // The hull: clocks may drift apart between readings, and any of them may be true.
            .reduce(|a, b| Self {
                least_offset_us: a.least_offset_us.min(b.least_offset_us),
                most_offset_us: a.most_offset_us.max(b.most_offset_us),
            })
    }

    pub(crate) fn earliest(self, tick: Tick) -> DbTime {
        DbTime(tick.0 / 1_000 + self.least_offset_us)
    }

    pub(crate) fn latest(self, tick: Tick) -> DbTime {
        DbTime(tick.0 / 1_000 + self.most_offset_us)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
