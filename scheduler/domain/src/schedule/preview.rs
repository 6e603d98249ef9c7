//! What a schedule will do, for people, before anything is saved.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

use super::local::{ClockChange, LocalRule, Missing};
use super::spec::{DstFold, DstGap, ScheduleSpec};
use super::{Rule, Schedule, ScheduleError};
use crate::calendar::Calendars;

/// One instant of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub at: DateTime<Utc>,
    /// The same in the zone of the schedule that gives it.
    pub local: DateTime<FixedOffset>,
    /// What a clock change, a calendar or jitter does to it.
    pub note: Option<String>,
    /// It does not run: a calendar excludes it.
    pub excluded: bool,
}

/// The first `count` instants of `specs` together in `[from, until)`; without `until` there is no end. A greatest number
/// of instants counts from `from` on, where a schedule has no start; a fixed delay has its first instant only.
///
/// # Errors
/// The first spec's that cannot be used, or a calendar's that is not there.
pub fn preview(
    specs: &[ScheduleSpec],
    calendars: &Calendars,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    count: usize,
) -> Result<Vec<Occurrence>, ScheduleError> {
    // A job counts from right after its creation, a preview shows its first instant too.
    let before = from.checked_sub_signed(TimeDelta::microseconds(1)).unwrap_or(from);
    let compile = |spec| Schedule::compile(spec)?.counted_from(before);
    let schedules = specs.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
    let mut upcoming = Vec::with_capacity(schedules.len());
    for schedule in &schedules {
        upcoming.push((schedule.next_from(from)?.or(schedule.delayed_from(from)), schedule));
    }
    let mut occurrences = Vec::new();
    while occurrences.len() < count {
        let Some(at) = upcoming.iter().filter_map(|(next, _)| *next).min() else { break };
        if until.is_some_and(|until| at >= until) {
            break;
        }
        let mut occurrence: Option<Occurrence> = None;
        for (next, schedule) in &mut upcoming {
            if *next == Some(at) {
                let excluded = schedule.excludes(at, calendars)?;
                if occurrence.as_ref().is_none_or(|found| found.excluded && !excluded) {
                    let (local, note) = (schedule.local(at), schedule.remark(at, excluded)?);
                    occurrence = Some(Occurrence { at, local, note, excluded });
                }
                *next = schedule.next_after(at)?;
            }
        }
        occurrences.extend(occurrence);
    }
    Ok(occurrences)
}

/// What the zone's next clock changes will do to a fixed time; empty if they leave it alone, or if `spec` cannot be
/// used at all.
pub fn warnings(spec: &ScheduleSpec, now: DateTime<Utc>) -> Vec<String> {
    Schedule::compile(spec).and_then(|schedule| schedule.warnings(now)).unwrap_or_default()
}

impl Schedule {
    /// What a clock change did to the occurrence at `at`, if it is this schedule's and something did.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn note(&self, at: DateTime<Utc>) -> Result<Option<String>, ScheduleError> {
        match &self.rule {
            Rule::Local(local) => Ok(local.clock_change(at)?.map(|change| note(local, &change))),
            Rule::Every(_) | Rule::Delay(_) | Rule::After => Ok(None),
            Rule::At(at) => Ok(at.note().map(str::to_owned)),
        }
    }

    /// All there is to say about the occurrence at `at`.
    fn remark(&self, at: DateTime<Utc>, excluded: bool) -> Result<Option<String>, ScheduleError> {
        let mut remarks = Vec::from_iter(self.note(at)?);
        if excluded {
            let names: Vec<_> = self.exclude.iter().map(|name| name.as_str()).collect();
            remarks.push(format!("does not run: excluded by {}", names.join(" or ")));
        } else if !self.jitter.is_zero() {
            remarks.push(format!("begins up to {:?} later (jitter)", self.jitter));
        }
        if let Rule::Delay(delay) = &self.rule {
            let delay = delay.to_std().unwrap_or_default();
            remarks.push(format!("the next follows {delay:?} after the end of its run"));
        }
        Ok((!remarks.is_empty()).then(|| remarks.join("; ")))
    }

    fn warnings(&self, now: DateTime<Utc>) -> Result<Vec<String>, ScheduleError> {
        match &self.rule {
            Rule::Local(local) => {
                Ok(local.coming_changes(now)?.iter().map(|change| warning(local, change)).collect())
            }
            Rule::Every(_) | Rule::Delay(_) | Rule::After => Ok(Vec::new()),
            Rule::At(at) => Ok(at.note().map(str::to_owned).into_iter().collect()),
        }
    }
}

/// What happened at one instant.
fn note(local: &LocalRule, change: &ClockChange) -> String {
    let zone = local.zone().name();
    match change {
        ClockChange::Missing(missing) => describe(local, missing),
        ClockChange::Twice { civil, second } => {
            let pass = if *second { "second" } else { "first" };
            // A cadence runs in both passes, so which of them this is has nothing to do with a policy.
            let runs =
                if local.is_fixed_time() && local.fold() != DstFold::Both { "runs on" } else { "this is" };
            format!("{} happens twice in {zone}: {runs} the {pass} pass", civil.format("%Y-%m-%d %H:%M"))
        }
    }
}

/// What will happen.
fn warning(local: &LocalRule, change: &ClockChange) -> String {
    let zone = local.zone().name();
    match change {
        ClockChange::Missing(missing) => format!("{} (dst_gap)", describe(local, missing)),
        ClockChange::Twice { civil, .. } => {
            let passes = match local.fold() {
                DstFold::First => "the first pass",
                DstFold::Last => "the second pass",
                DstFold::Both => "both passes",
            };
            let civil = civil.format("%Y-%m-%d %H:%M");
            format!("{civil} happens twice in {zone}: runs on {passes} (dst_fold)")
        }
    }
}

fn describe(local: &LocalRule, missing: &Missing) -> String {
    let Missing { first, more, resumes } = missing;
    let (others, verb) = match more {
        0 => (String::new(), "does"),
        more => (format!(" and {more} more"), "do"),
    };
    let runs = match local.gap() {
        DstGap::Skip => "does not run".to_owned(),
        // A whole day may be missing.
        DstGap::Shift if resumes.date() != first.date() => {
            format!("runs {}", resumes.format("%Y-%m-%d %H:%M"))
        }
        DstGap::Shift => format!("runs {}", resumes.format("%H:%M")),
    };
    format!("{}{others} {verb} not exist in {}: {runs}", first.format("%Y-%m-%d %H:%M"), local.zone().name())
}
