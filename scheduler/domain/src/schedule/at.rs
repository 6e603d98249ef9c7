//! A single point in time.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::error::ScheduleError;
use super::spec::{DstFold, DstGap};
use super::zone::{EARLIEST, LATEST, Zone};

/// A point in time as people write it. Its JSON is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AtSpec {
    /// An instant: `2026-12-01T09:00:00Z`.
    Instant(DateTime<Utc>),
    /// A local time in the schedule's zone: `2026-12-01T09:00:00`.
    Local(NaiveDateTime),
}

impl std::str::FromStr for AtSpec {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Instant(instant.to_utc()));
        }
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(Self::Local)
            .ok_or_else(|| ScheduleError::BadInstant { text: text.to_owned() })
    }
}

impl TryFrom<String> for AtSpec {
    type Error = ScheduleError;
    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<AtSpec> for String {
    fn from(at: AtSpec) -> Self {
        at.to_string()
    }
}

impl fmt::Display for AtSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => f.write_str(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Local(local) => write!(f, "{}", local.format("%Y-%m-%dT%H:%M:%S%.f")),
        }
    }
}

/// The instants of an [`AtSpec`]: one, or two if its local time comes twice and both are wanted.
#[derive(Debug, Clone)]
pub(super) struct At {
    instants: Vec<DateTime<Utc>>,
    /// What a clock change did to it.
    note: Option<String>,
}

impl At {
    pub(super) fn resolve(
        spec: &AtSpec,
        zone: &Zone,
        gap: DstGap,
        fold: DstFold,
    ) -> Result<Self, ScheduleError> {
        let fine = match spec {
            AtSpec::Instant(instant) => instant.nanosecond() % 1_000,
            AtSpec::Local(local) => local.nanosecond() % 1_000,
        };
        let at = match spec {
            AtSpec::Instant(instant) => Self { instants: vec![*instant], note: None },
            AtSpec::Local(local) => Self::local(*local, zone, gap, fold)?,
        };
        if fine != 0 || at.instants.iter().any(|instant| *instant < EARLIEST || *instant > LATEST) {
            return Err(ScheduleError::InstantOutOfRange { text: spec.to_string() });
        }
        Ok(at)
    }

    /// The first instant at or after `t`.
    pub(super) fn next_from(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.instants.iter().copied().find(|instant| *instant >= t)
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn local(local: NaiveDateTime, zone: &Zone, gap: DstGap, fold: DstFold) -> Result<Self, ScheduleError> {
        // The passes of a local time, and the gap it falls into, lie less than two days from the instant that it
        // would be in UTC: offsets are under a day.
        let (second, subsecond) = (local.and_utc().timestamp(), local.nanosecond());
        let whole = local.with_nanosecond(0).unwrap_or(local);
        let out_of_range = || ScheduleError::InstantOutOfRange { text: AtSpec::Local(local).to_string() };
        let mut passes = Vec::new();
        for span in zone.spans_from(second - 86_400).take_while(|span| span.start <= second + 86_400) {
            let (gap_start, gap_end) = span.gap();
            if span.starts_with_gap() && gap_start <= whole && whole < gap_end {
                if gap == DstGap::Skip {
                    return Err(ScheduleError::LocalTimeSkipped { local, zone: zone.name().to_owned() });
                }
                let instant = DateTime::from_timestamp(span.start, 0).ok_or_else(out_of_range)?;
                let note = format!(
                    "{} does not exist in {}: runs {}",
                    local.format("%Y-%m-%d %H:%M"),
                    zone.name(),
                    gap_end.format("%H:%M")
                );
                return Ok(Self { instants: vec![instant], note: Some(note) });
            }
            let instant = span.instant(whole);
            if (span.start..span.end).contains(&instant) {
                passes.push(DateTime::from_timestamp(instant, subsecond).ok_or_else(out_of_range)?);
            }
        }
        let (Some(first), Some(last)) = (passes.first().copied(), passes.last().copied()) else {
            return Err(out_of_range());
        };
        if first == last {
            return Ok(Self { instants: vec![first], note: None });
        }
        let (instants, runs) = match fold {
            DstFold::First => (vec![first], "on the first pass"),
            DstFold::Last => (vec![last], "on the second pass"),
            DstFold::Both => (passes, "on both passes"),
        };
        let note =
            format!("{} happens twice in {}: runs {runs}", local.format("%Y-%m-%d %H:%M"), zone.name());
        Ok(Self { instants, note: Some(note) })
    }
}
