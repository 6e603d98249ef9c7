//! What a schedule will do, for people, before anything is saved.

use chrono::{DateTime, FixedOffset, Utc};

use super::local::{ClockChange, LocalCron, Missing};
use super::spec::{DstFold, DstGap, ScheduleSpec};
use super::{Rule, Schedule, ScheduleError};

/// One instant of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub at: DateTime<Utc>,
    /// The same in the zone of the schedule that gives it.
    pub local: DateTime<FixedOffset>,
    /// What a clock change did to it.
    pub note: Option<String>,
}

/// The first `count` instants of `specs` together in `[from, until)`; without `until` there is no end.
///
/// # Errors
/// The first spec's that cannot be used.
pub fn preview(
    specs: &[ScheduleSpec],
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    count: usize,
) -> Result<Vec<Occurrence>, ScheduleError> {
    let schedules = specs.iter().map(Schedule::compile).collect::<Result<Vec<_>, _>>()?;
    let mut upcoming = Vec::with_capacity(schedules.len());
    for schedule in &schedules {
        upcoming.push((schedule.next_from(from)?, schedule));
    }
    let mut occurrences = Vec::new();
    while occurrences.len() < count {
        let Some(at) = upcoming.iter().filter_map(|(next, _)| *next).min() else { break };
        if until.is_some_and(|until| at >= until) {
            break;
        }
        let mut occurrence = None;
        for (next, schedule) in &mut upcoming {
            if *next == Some(at) {
                if occurrence.is_none() {
                    occurrence = Some(Occurrence { at, local: schedule.local(at), note: schedule.note(at)? });
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
            Rule::Cron(cron) => Ok(cron.clock_change(at)?.map(|change| note(cron, &change))),
            Rule::Every(_) | Rule::After => Ok(None),
            Rule::At(at) => Ok(at.note().map(str::to_owned)),
        }
    }

    fn warnings(&self, now: DateTime<Utc>) -> Result<Vec<String>, ScheduleError> {
        match &self.rule {
            Rule::Cron(cron) => {
                Ok(cron.coming_changes(now)?.iter().map(|change| warning(cron, change)).collect())
            }
            Rule::Every(_) | Rule::After => Ok(Vec::new()),
            Rule::At(at) => Ok(at.note().map(str::to_owned).into_iter().collect()),
        }
    }
}

/// What happened at one instant.
fn note(cron: &LocalCron, change: &ClockChange) -> String {
    let zone = cron.zone().name();
    match change {
        ClockChange::Missing(missing) => describe(cron, missing),
        ClockChange::Twice { civil, second } => {
            let pass = if *second { "second" } else { "first" };
            // A cadence runs in both passes, so which of them this is has nothing to do with a policy.
            let runs =
                if cron.is_fixed_time() && cron.fold() != DstFold::Both { "runs on" } else { "this is" };
            format!("{} happens twice in {zone}: {runs} the {pass} pass", civil.format("%Y-%m-%d %H:%M"))
        }
    }
}

/// What will happen.
fn warning(cron: &LocalCron, change: &ClockChange) -> String {
    let zone = cron.zone().name();
    match change {
        ClockChange::Missing(missing) => format!("{} (dst_gap)", describe(cron, missing)),
        ClockChange::Twice { civil, .. } => {
            let passes = match cron.fold() {
                DstFold::First => "the first pass",
                DstFold::Last => "the second pass",
                DstFold::Both => "both passes",
            };
            let civil = civil.format("%Y-%m-%d %H:%M");
            format!("{civil} happens twice in {zone}: runs on {passes} (dst_fold)")
        }
    }
}

fn describe(cron: &LocalCron, missing: &Missing) -> String {
    let Missing { first, more, resumes } = missing;
    let (others, verb) = match more {
        0 => (String::new(), "does"),
        more => (format!(" and {more} more"), "do"),
    };
    let runs = match cron.gap() {
        DstGap::Skip => "does not run".to_owned(),
        // A whole day may be missing.
        DstGap::Shift if resumes.date() != first.date() => {
            format!("runs {}", resumes.format("%Y-%m-%d %H:%M"))
        }
        DstGap::Shift => format!("runs {}", resumes.format("%H:%M")),
    };
    format!("{}{others} {verb} not exist in {}: {runs}", first.format("%Y-%m-%d %H:%M"), cron.zone().name())
}
