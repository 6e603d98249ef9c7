//! Planning: which instants become runs, and which are only counted because nobody was there to plan them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::Misfire;
use crate::schedule::{ScheduleError, ScheduleSet};

/// What one job's planning depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The job's schedules.
    pub schedule: &'a ScheduleSet,
    /// The first instant not yet planned, inclusive.
    pub cursor: DateTime<Utc>,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// How far ahead to plan: instants up to this one, inclusive; before `now` it counts as `now`.
    pub horizon: DateTime<Utc>,
    /// What becomes of missed instants.
    pub misfire: Misfire,
    /// The most runs to plan in one call; 0 counts as 1, so that planning always moves on.
    pub limit: usize,
}

/// What planning decided. Every instant from the cursor up to `next` is in `due` or in `missed`, none in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// They become scheduled runs; in order.
    pub due: Vec<DateTime<Utc>>,
    /// They are only counted.
    pub missed: Option<MissedRange>,
    /// The new cursor; `None`: the schedule has no further instant.
    pub next: Option<DateTime<Utc>>,
}

/// Instants that become no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedRange {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub to: DateTime<Utc>,
    /// How many.
    pub count: u64,
}

/// The most instants looked at in one call; with more missed ones the rest is left to the next call.
pub const MOST_INSTANTS: usize = 100_000;

/// Decides what becomes of the instants from the cursor up to the horizon.
///
/// An instant is missed when it is planned more than [`Misfire::AFTER`] past its time; until then it just runs late.
/// Under [`Misfire::Latest`] the latest missed instant runs, if it lies within [`Misfire::CATCHUP_WINDOW`], and the
/// others are counted. One call looks at a bounded number of instants; the next one goes on from [`Plan::next`], and
/// which instant is the latest missed one is right all the same: an instant is only counted once a later missed one
/// is known.
///
/// # Errors
/// When the schedule cannot be evaluated; then nothing is planned.
pub fn plan(input: PlanInput<'_>) -> Result<Plan, ScheduleError> {
    let PlanInput { schedule, cursor, now, horizon, misfire, limit } = input;
    let missed_before = earlier(now, Misfire::AFTER);
    let limit = limit.max(1);
    let mut due = Vec::new();
    let mut missed = Missed::default();
    let mut next = schedule.next_from(cursor)?;
    let mut looked_at = 0;
    let horizon = horizon.max(now);
    while let Some(instant) = next.filter(|instant| *instant <= horizon) {
        if instant < missed_before {
            if looked_at == MOST_INSTANTS {
                // There is a later missed instant than any seen so far: none of them is the latest.
                return Ok(Plan { due, missed: missed.all(), next });
            }
            missed.add(instant);
        } else {
            due.extend(missed.take_latest(misfire, now));
            if due.len() >= limit {
                break;
            }
            due.push(instant);
        }
        looked_at += 1;
        next = schedule.next_after(instant)?;
    }
    due.extend(missed.take_latest(misfire, now));
    Ok(Plan { due, missed: missed.all(), next })
}

/// The first instant of a job that is created, resumed or changed at `now`: strictly after it, so that nothing which
/// fell due before is made up for.
///
/// # Errors
/// When the schedule cannot be evaluated.
pub fn first_after(
    schedule: &ScheduleSet,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ScheduleError> {
    schedule.next_after(now)
}

/// The missed instants of one call, in order.
#[derive(Debug, Default)]
struct Missed {
    counted: Option<MissedRange>,
    latest: Option<DateTime<Utc>>,
}

impl Missed {
    /// Adds a later one than all before.
    fn add(&mut self, instant: DateTime<Utc>) {
        if let Some(before) = self.latest.replace(instant) {
            self.count(before);
        }
    }

    /// The latest, if it is to run; once only.
    fn take_latest(&mut self, misfire: Misfire, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let latest = self.latest.take()?;
        let runs = match misfire {
            Misfire::Latest => latest >= earlier(now, Misfire::CATCHUP_WINDOW),
        };
        if runs {
            return Some(latest);
        }
        self.count(latest);
        None
    }

    /// All those that do not run.
    fn all(mut self) -> Option<MissedRange> {
        if let Some(latest) = self.latest.take() {
            self.count(latest);
        }
        self.counted
    }

    fn count(&mut self, instant: DateTime<Utc>) {
        let range = self.counted.get_or_insert(MissedRange { from: instant, to: instant, count: 0 });
        range.to = instant;
        range.count += 1;
    }
}

fn earlier(now: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| now.checked_sub_signed(by)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests;
