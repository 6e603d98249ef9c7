//! A rule on civil time, whichever grammar it is written in.

use chrono::{NaiveDateTime, TimeDelta};

use super::cron::CivilCron;
use super::error::ScheduleError;
use super::recurrence::Recurrence;

/// Gives civil times. What zones make of them is [`super::local::LocalRule`]'s affair.
#[derive(Debug, Clone)]
pub(super) enum CivilRule {
    Cron(CivilCron),
    Recurrence(Box<Recurrence>),
}

impl CivilRule {
    /// Whether it names times of day rather than a cadence.
    pub(super) fn is_fixed_time(&self) -> bool {
        match self {
            Self::Cron(cron) => cron.is_fixed_time(),
            Self::Recurrence(recurrence) => recurrence.is_fixed_time(),
        }
    }

    /// The first match at or after `from`, to the second; `None` when there is none before the years run out.
    pub(super) fn next_from(&self, from: NaiveDateTime) -> Result<Option<NaiveDateTime>, ScheduleError> {
        match self {
            Self::Cron(cron) => cron.next_from(from),
            Self::Recurrence(recurrence) => recurrence
                .next_from(from)
                .map_err(|message| ScheduleError::RecurrenceEngine { after: from, message }),
        }
    }

    /// The first match after `civil`, strictly.
    pub(super) fn next_after(&self, civil: NaiveDateTime) -> Result<Option<NaiveDateTime>, ScheduleError> {
        self.next_from(civil + TimeDelta::seconds(1))
    }
}
