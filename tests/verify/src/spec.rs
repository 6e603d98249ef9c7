//! A definition, in the form of a job file: the parts that the checker judges by.

use serde::{Deserialize, Serialize};

use crate::cron::Cron;
use crate::time::DbTime;

/// A job's definition. Fields that do not matter here may be there and are passed over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// When it runs; OR-ed.
    #[serde(default)]
    pub schedule: Vec<ScheduleSpec>,
    /// `allow` or `skip`, the default.
    #[serde(default)]
    pub overlap: OverlapSpec,
    /// How many tries a run has; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tries: Option<u32>,
    /// Whether a time-out may end a run that did not start or finish in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_expire: bool,
}

impl JobSpec {
    /// How many tries a run has.
    pub fn tries(&self) -> u32 {
        self.max_tries.unwrap_or(3)
    }
}

/// One of `cron`, `every` or `at`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Five fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An interval from the epoch: a number and `ms`, `s`, `m`, `h` or `d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// An instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DbTime>,
    /// An IANA name; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// No instants before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<DbTime>,
    /// No instants at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<DbTime>,
    /// Moves an interval's instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What a fixed time does inside a gap.
    #[serde(default)]
    pub dst_gap: Gap,
    /// What a fixed time does inside a fold.
    #[serde(default)]
    pub dst_fold: Fold,
}

/// What happens when an instant falls due while an earlier run is unfinished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapSpec {
    /// Side by side.
    Allow,
    /// The instant is recorded as skipped.
    #[default]
    Skip,
}

/// A local time that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Runs at the first instant after it.
    #[default]
    Shift,
    /// Does not run that day.
    Skip,
}

/// A local time that exists twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fold {
    /// On the first pass.
    #[default]
    First,
    /// On the last pass.
    Last,
    /// On both.
    Both,
}

/// Why a definition cannot be walked.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// Neither or several of them.
    #[error("a schedule is one of `cron`, `every` or `at`")]
    NotOneWhen,
    /// Not a number with a unit, or nothing.
    #[error("`{0}` is not an interval")]
    Interval(String),
    /// No such zone.
    #[error("`{0}` is not a zone")]
    Zone(String),
    /// Not understood by this checker's own, small reading of cron.
    #[error("`{0}` is not a cron expression of five plain fields")]
    Cron(String),
}

/// A schedule that can be walked.
#[derive(Debug, Clone)]
pub(crate) struct Walkable {
    pub(crate) when: When,
    pub(crate) start: Option<DbTime>,
    pub(crate) end: Option<DbTime>,
}

/// The instants of one schedule.
#[derive(Debug, Clone)]
pub(crate) enum When {
    Every { every_us: i64, phase_us: i64 },
    At(DbTime),
    Cron { cron: Cron, zone: chrono_tz::Tz, gap: Gap, fold: Fold },
}

impl ScheduleSpec {
    pub(crate) fn walkable(&self) -> Result<Walkable, SpecError> {
        let when = match (&self.cron, &self.every, self.at) {
            (Some(text), None, None) => {
                let name = self.zone.as_deref().unwrap_or("UTC");
                let zone = name.parse().map_err(|_| SpecError::Zone(name.to_owned()))?;
                let cron = Cron::parse(text).ok_or_else(|| SpecError::Cron(text.clone()))?;
                When::Cron { cron, zone, gap: self.dst_gap, fold: self.dst_fold }
            }
            (None, Some(every), None) => When::Every {
                every_us: interval_us(every)
                    .filter(|us| *us > 0)
                    .ok_or_else(|| SpecError::Interval(every.clone()))?,
                phase_us: match &self.phase {
                    Some(phase) => interval_us(phase).ok_or_else(|| SpecError::Interval(phase.clone()))?,
                    None => 0,
                },
            },
            (None, None, Some(at)) => When::At(at),
            _ => return Err(SpecError::NotOneWhen),
        };
        Ok(Walkable { when, start: self.start, end: self.end })
    }
}

fn interval_us(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit.trim() {
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    let us = number.parse::<f64>().ok()? * unit_us;
    (us.is_finite() && us < 1e17).then_some(us.round() as i64)
}
