//! Planning: which instants become runs, and which are only counted.

mod missed;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::missed::MissedRange;

use self::missed::Judged;
use crate::calendar::Calendars;
use crate::job::JobState;
use crate::misfire::{CatchUp, Misfire};
use crate::schedule::{ScheduleError, ScheduleSet};

/// What one job's planning depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The job's schedules.
    pub schedule: &'a ScheduleSet,
    /// The calendars that they may name.
    pub calendars: &'a Calendars,
    /// An instant besides those of the rules: where the last run's end has put a fixed delay.
    pub delayed: Option<DateTime<Utc>>,
    /// The first instant not yet planned, inclusive.
    pub cursor: DateTime<Utc>,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// How far ahead to plan: instants up to this one, inclusive; before `now` it counts as `now`.
    pub horizon: DateTime<Utc>,
    /// What becomes of missed instants.
    pub misfire: Misfire,
    /// When they are missed, and how far they are made up for.
    pub catchup: CatchUp,
    /// The most runs to plan in one call; 0 counts as 1, so that planning always moves on.
    pub limit: usize,
}

/// What planning decided. Every instant from the cursor up to `next` is in `due` or counted in `missed`, none in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// They become scheduled runs; in order.
    pub due: Vec<DateTime<Utc>>,
    /// They are only counted, by reason. Instants of `due` may lie in between.
    pub missed: Vec<MissedRange>,
    /// The new cursor; `None`: there is no further instant.
    pub next: Option<DateTime<Utc>>,
    /// The instant of a fixed delay, as long as it is not planned.
    pub delayed: Option<DateTime<Utc>>,
}

/// The most instants looked at in one call; with more missed ones the rest is left to the next call.
pub const MOST_INSTANTS: usize = 100_000;

/// Decides what becomes of the instants from the cursor up to the horizon.
///
/// An instant is missed when it is planned more than [`CatchUp::after`] past its time; until then it just runs late.
/// Of the missed ones within [`CatchUp::window`], the latest [`CatchUp::most`] run and the others are counted; so are
/// those that a calendar excludes, missed or not. One call looks at a bounded number of instants; the next one goes on
/// from [`Plan::next`], and which instants are the latest is right all the same: one is only counted when enough later
/// ones are known, and those that may yet run are left to the next call.
///
/// # Errors
/// When the schedule cannot be evaluated, or names a calendar that is not there; then nothing is planned.
pub fn plan(input: PlanInput<'_>) -> Result<Plan, ScheduleError> {
    let PlanInput { schedule, delayed, cursor, now, catchup, .. } = input;
    let instants = Instants { schedule, delayed };
    let missed_before = earlier(now, catchup.after);
    let limit = input.limit.max(1);
    let horizon = input.horizon.max(now);
    let mut judged = Judged::new(&input, earlier(now, catchup.window));
    let mut next = instants.next_from(cursor)?;
    let mut looked_at = 0;
    while let Some(instant) = next.filter(|instant| *instant <= horizon && looked_at < MOST_INSTANTS) {
        // A fixed delay has one instant at a time, without which there would be no further one: it just runs late.
        let always_runs = delayed == Some(instant);
        let excluded = !always_runs && schedule.is_excluded(instant, input.calendars)?;
        if instant < missed_before && !always_runs {
            judged.missed(instant, excluded);
        } else {
            if let Some(left) = judged.make_up(limit) {
                return Ok(instants.planned(judged, Some(left)));
            }
            if excluded {
                judged.exclude(instant);
            } else if judged.due.len() < limit {
                judged.run(instant);
            } else {
                break;
            }
        }
        looked_at += 1;
        next = instants.next_after(instant)?;
    }
    // Cut off among the missed, what may yet run is left to the next call.
    let mut left = None;
    if looked_at == MOST_INSTANTS && next.is_some_and(|next| next < missed_before) {
        left = judged.left_over();
    }
    // Where that would be no step ahead, since a calendar excludes nearly all, it runs after all.
    if left.is_none_or(|left| left <= cursor) {
        left = judged.make_up(limit);
    }
    Ok(instants.planned(judged, left.or(next)))
}

/// From where on a job is planned anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Strictly after this: what fell due before is not made up for.
    After(DateTime<Utc>),
    /// This included.
    From(DateTime<Utc>),
}

/// Where the planning of a job begins that is created, resumed or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The cursor.
    pub next: Option<DateTime<Utc>>,
    /// The instant of a fixed delay.
    pub delayed: Option<DateTime<Utc>>,
    /// Active, exhausted, or errored.
    pub state: JobState,
    /// Why it is errored.
    pub reason: String,
}

/// Begins the planning of a job at `now`. A fixed delay counts from now, unless there is an unfinished run for whose end
/// it waits.
pub fn begin(
    schedule: &Result<ScheduleSet, ScheduleError>,
    since: Since,
    now: DateTime<Utc>,
    has_unfinished: bool,
) -> Beginning {
    let next = schedule.as_ref().map_err(Clone::clone).and_then(|schedule| match since {
        Since::After(instant) => schedule.next_after(instant),
        Since::From(instant) => schedule.next_from(instant),
    });
    let (schedule, next) = match (schedule, next) {
        (Ok(schedule), Ok(next)) => (schedule, next),
        (Err(error), _) => return Beginning::errored(error),
        (_, Err(error)) => return Beginning::errored(&error),
    };
    let waits = schedule.is_delay() && has_unfinished;
    let delayed = if waits { None } else { schedule.delayed_from(now) };
    let next = next.into_iter().chain(delayed).min();
    // A job without a schedule is only ever triggered and stays active, as does one that runs after others.
    let is_over = next.is_none() && !waits && !schedule.is_empty() && !schedule.follows_others();
    let state = if is_over { JobState::Exhausted } else { JobState::Active };
    Beginning { next, delayed, state, reason: String::new() }
}

impl Beginning {
    fn errored(error: &ScheduleError) -> Self {
        Self { next: None, delayed: None, state: JobState::Errored, reason: error.to_string() }
    }
}

/// The instants of the rules, and the one of a fixed delay.
#[derive(Debug, Clone, Copy)]
struct Instants<'a> {
    schedule: &'a ScheduleSet,
    delayed: Option<DateTime<Utc>>,
}

impl Instants<'_> {
    fn next_from(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        let delayed = self.delayed.filter(|delayed| *delayed >= t);
        Ok(self.schedule.next_from(t)?.into_iter().chain(delayed).min())
    }

    fn next_after(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        let delayed = self.delayed.filter(|delayed| *delayed > t);
        Ok(self.schedule.next_after(t)?.into_iter().chain(delayed).min())
    }

    /// What was decided, up to `next`.
    fn planned(&self, judged: Judged, next: Option<DateTime<Utc>>) -> Plan {
        let delayed = self.delayed.filter(|delayed| next.is_some_and(|next| *delayed >= next));
        Plan { due: judged.due, missed: judged.counted, next, delayed }
    }
}

fn earlier(now: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| now.checked_sub_signed(by)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests;
