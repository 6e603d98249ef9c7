//! When a job runs: what people write ([`ScheduleSpec`]), and the instants it gives ([`Schedule`]).
//!
//! A cron expression speaks of civil time, the reading of a clock on the wall. Whether and when a reading exists is
//! the zone's affair: its history is a row of spans with a fixed offset each, and inside a span the civil clock is
//! linear. So the instants of an expression are found span by span, which cannot go backwards, and everything that
//! clocks going forward or back do to a schedule happens at the border of two spans.

mod after;
mod at;
mod civil_rule;
mod cron;
mod dialect;
mod error;
mod interval;
mod jitter;
mod local;
mod preview;
mod recurrence;
mod set;
mod spec;
mod zone;

use std::time::Duration;

use chrono::{DateTime, FixedOffset, SubsecRound, TimeDelta, Utc};

pub use at::AtSpec;
pub use dialect::{Dialect, DomDow};
pub use error::ScheduleError;
pub use preview::{Occurrence, preview, warnings};
pub use set::ScheduleSet;
pub use spec::{DstFold, DstGap, ScheduleSpec, When};

use crate::calendar::Calendars;
use crate::name::CalendarName;
use at::At;
use civil_rule::CivilRule;
use cron::CivilCron;
use interval::Interval;
use local::LocalRule;

pub(crate) use recurrence::Recurrence;
pub(crate) use zone::Zone;

/// A compiled [`ScheduleSpec`]: gives instants, cheaply. All of them are whole microseconds, as Postgres keeps them.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: Zone,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    jitter: Duration,
    max_count: Option<u32>,
    exclude: Vec<CalendarName>,
}

#[derive(Debug, Clone)]
enum Rule {
    Local(LocalRule),
    Every(Interval),
    At(At),
    /// No instants of its own: the ends of others' runs are its starts.
    After,
    /// Has no instants of its own: each is put where the end of a run wants it.
    Delay(TimeDelta),
}

/// No run begins later than this after its instant on account of jitter.
const MOST_JITTER: Duration = Duration::from_secs(86_400);
/// The instants of a schedule with a count are gone through once, up to the last.
const MOST_COUNT: u32 = 10_000;
/// A schedule with a count that takes longer than this has no end worth knowing.
const MOST_COUNTED: TimeDelta = TimeDelta::days(200 * 365);
/// Calendars of one schedule.
const MOST_CALENDARS: usize = 10;

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
        check_bounds(spec)?;
        let rule = match &spec.when {
            When::Cron(expression) => {
                let cron = CivilCron::compile(expression, spec.dialect, spec.dom_dow)?;
                local(CivilRule::Cron(cron), &zone, spec)
            }
            When::Rrule(lines) => {
                let start = spec.start.map(|start| zone.local(start).naive_local().trunc_subsecs(0));
                let recurrence =
                    Recurrence::parse(lines, start).map_err(|message| ScheduleError::Rrule { message })?;
                local(CivilRule::Recurrence(Box::new(recurrence)), &zone, spec)
            }
            When::Every { every, phase } => Rule::Every(Interval::new(*every, *phase)?),
            When::At(at) => Rule::At(At::resolve(at, &zone, spec.dst_gap, spec.dst_fold)?),
            When::After { jobs, .. } => {
                after::check(jobs)?;
                Rule::After
            }
            When::Delay(delay) => {
                // The bounds of an interval.
                Interval::new(*delay, Duration::ZERO)?;
                Rule::Delay(TimeDelta::from_std(*delay).unwrap_or(TimeDelta::MAX))
            }
        };
        Ok(Self {
            rule,
            zone,
            start: spec.start,
            end: spec.end,
            jitter: spec.jitter,
            max_count: spec.max_count,
            exclude: spec.exclude.clone(),
        })
    }

    /// The same, ending after its greatest number of instants, if it has one: counted from its start, or else from
    /// the job's creation on.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn counted_from(mut self, created_at: DateTime<Utc>) -> Result<Self, ScheduleError> {
        let Some(count) = self.max_count else { return Ok(self) };
        let from = self.start.unwrap_or(created_at);
        let mut last = match self.start {
            Some(start) => self.next_from(start)?,
            None => self.next_after(created_at)?,
        };
        for _ in 1..count {
            match last {
                Some(instant) if instant - from <= MOST_COUNTED => last = self.next_after(instant)?,
                Some(_) | None => return Ok(self),
            }
        }
        self.end = last.map_or(self.end, |last| Some(last + TimeDelta::microseconds(1)));
        Ok(self)
    }

    /// Whether its instants follow the ends of runs.
    pub fn is_delay(&self) -> bool {
        matches!(self.rule, Rule::Delay(_))
    }

    /// Where a run's end at `ended_at` puts the next instant of a fixed delay.
    pub(crate) fn delayed_from(&self, ended_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let Rule::Delay(delay) = self.rule else { return None };
        let instant = ended_at.trunc_subsecs(6).checked_add_signed(delay)?;
        let instant = self.start.map_or(instant, |start| start.max(instant));
        Some(instant).filter(|instant| self.end.is_none_or(|end| *instant < end))
    }

    /// Whether `instant` lies in a calendar that it excludes.
    ///
    /// # Errors
    /// When a calendar is not there.
    pub fn excludes(&self, instant: DateTime<Utc>, calendars: &Calendars) -> Result<bool, ScheduleError> {
        for name in &self.exclude {
            if calendars.get(name)?.covers(instant, &self.zone)? {
                return Ok(true);
            }
        }
        Ok(false)
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
            Rule::Local(local) => local.next_from(from)?,
            Rule::Every(interval) => interval.next_from(from),
            Rule::At(at) => at.next_from(from),
            Rule::Delay(_) | Rule::After => None,
        };
        Ok(next.filter(|next| self.end.is_none_or(|end| *next < end)))
    }

    /// Whether the ends of other jobs' runs are its starts.
    pub fn follows_others(&self) -> bool {
        matches!(self.rule, Rule::After)
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

fn local(rule: CivilRule, zone: &Zone, spec: &ScheduleSpec) -> Rule {
    Rule::Local(LocalRule::new(rule, zone.clone(), spec.dst_gap, spec.dst_fold))
}

/// What can be said about the fields beside the rule, without it.
fn check_bounds(spec: &ScheduleSpec) -> Result<(), ScheduleError> {
    if !matches!(spec.when, When::Cron(_)) {
        for (field, is_given) in
            [("dialect", !spec.dialect.is_standard()), ("dom_dow", !spec.dom_dow.is_or())]
        {
            if is_given {
                return Err(ScheduleError::OnlyWithCron { field });
            }
        }
    }
    if matches!(spec.when, When::Delay(_)) {
        let given = [("max_count", spec.max_count.is_some()), ("exclude", !spec.exclude.is_empty())];
        for (field, is_given) in given {
            if is_given {
                return Err(ScheduleError::NotWithDelay { field });
            }
        }
    }
    if matches!(spec.when, When::After { .. }) {
        let given = [
            ("max_count", spec.max_count.is_some()),
            ("exclude", !spec.exclude.is_empty()),
            ("jitter", !spec.jitter.is_zero()),
        ];
        if let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            return Err(ScheduleError::NotWithAfter { field });
        }
    }
    if spec.jitter > MOST_JITTER || !spec.jitter.as_nanos().is_multiple_of(1_000_000) {
        return Err(ScheduleError::BadJitter { jitter: spec.jitter, most: MOST_JITTER });
    }
    if let Some(count) = spec.max_count
        && !(1..=MOST_COUNT).contains(&count)
    {
        return Err(ScheduleError::BadCount { count, most: MOST_COUNT });
    }
    if spec.exclude.len() > MOST_CALENDARS {
        return Err(ScheduleError::TooManyCalendars { count: spec.exclude.len(), most: MOST_CALENDARS });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
