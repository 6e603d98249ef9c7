//! When a job runs: what people write ([`ScheduleSpec`]), and the instants it gives ([`Schedule`]).
//!
//! A cron expression speaks of civil time, the reading of a clock on the wall. Whether and when a reading exists is
//! the zone's affair: its history is a row of spans with a fixed offset each, and inside a span the civil clock is
//! linear. So the instants of an expression are found span by span, which cannot go backwards, and everything that
//! clocks going forward or back do to a schedule happens at the border of two spans.

mod after;
mod at;
mod cron;
mod error;
mod interval;
mod local;
mod preview;
mod set;
mod spec;
mod zone;

use chrono::{DateTime, FixedOffset, SubsecRound, TimeDelta, Utc};

pub use at::AtSpec;
pub use error::ScheduleError;
pub use preview::{Occurrence, preview, warnings};
pub use set::ScheduleSet;
pub use spec::{DstFold, DstGap, ScheduleSpec, When};

use at::At;
use interval::Interval;
use local::LocalCron;
use zone::Zone;

/// A compiled [`ScheduleSpec`]: gives instants, cheaply. All of them are whole microseconds, as Postgres keeps them.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: Zone,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(LocalCron),
    Every(Interval),
    At(At),
    /// No instants of its own: the ends of others' runs are its starts.
    After,
}

impl Schedule {
    /// Checks `spec` and makes it ready for use. Nothing about it is looked up again later.
    ///
    /// # Errors
    /// What is wrong with it, and where: every variant but [`ScheduleError::Engine`].
    pub fn compile(spec: &ScheduleSpec) -> Result<Self, ScheduleError> {
        let zone = Zone::named(&spec.zone)?;
        if let (Some(start), Some(end)) = (spec.start, spec.end)
            && start >= end
        {
            return Err(ScheduleError::EmptyBounds { start, end });
        }
        let rule = match &spec.when {
            When::Cron(expression) => {
                Rule::Cron(LocalCron::compile(expression, zone.clone(), spec.dst_gap, spec.dst_fold)?)
            }
            When::Every { every, phase } => Rule::Every(Interval::new(*every, *phase)?),
            When::At(at) => Rule::At(At::resolve(at, &zone, spec.dst_gap, spec.dst_fold)?),
            When::After { jobs, .. } => {
                after::check(jobs)?;
                Rule::After
            }
        };
        Ok(Self { rule, zone, start: spec.start, end: spec.end })
    }

    /// The first instant after `t`, strictly; `None` when there is none.
    ///
    /// # Errors
    /// [`ScheduleError::Engine`], which is a defect of this program and not of the schedule.
    pub fn next_after(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        match t.trunc_subsecs(6).checked_add_signed(TimeDelta::microseconds(1)) {
            Some(from) => self.next_from(from),
            None => Ok(None),
        }
    }

    /// The first instant at or after `t`; `None` when there is none.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn next_from(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        let from = self.start.map_or(t, |start| start.max(t));
        let next = match &self.rule {
            Rule::Cron(cron) => cron.next_from(from)?,
            Rule::Every(interval) => interval.next_from(from),
            Rule::At(at) => at.next_from(from),
            Rule::After => None,
        };
        Ok(next.filter(|next| self.end.is_none_or(|end| *next < end)))
    }

    /// Whether it has no end that a clock could tell: it may start a run as long as its job is there.
    pub fn is_open_ended(&self) -> bool {
        match &self.rule {
            Rule::After => true,
            Rule::Cron(_) | Rule::Every(_) | Rule::At(_) => false,
        }
    }

    /// The instants in `[from, until)`, in order. After an error it ends.
    pub fn occurrences(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Result<DateTime<Utc>, ScheduleError>> + '_ {
        set::walk(move |t| self.next_from(t), from, until)
    }

    /// `instant` as the schedule's zone reads it.
    pub fn local(&self, instant: DateTime<Utc>) -> DateTime<FixedOffset> {
        self.zone.local(instant)
    }
}

#[cfg(test)]
mod tests;
