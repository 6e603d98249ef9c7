//! Several schedules of one job, OR-ed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Schedule, ScheduleError, ScheduleSpec, jitter};
use crate::calendar::Calendars;
use crate::id::JobId;

/// The schedules of one job: an instant that several of them give is one instant. Empty, it gives none.
#[derive(Debug, Clone, Default)]
pub struct ScheduleSet {
    schedules: Vec<Schedule>,
}

impl ScheduleSet {
    /// Compiles them all.
    ///
    /// # Errors
    /// The first one's that cannot be used.
    pub fn compile(specs: &[ScheduleSpec]) -> Result<Self, ScheduleError> {
        let schedules = specs.iter().map(Schedule::compile).collect::<Result<_, _>>()?;
        Ok(Self { schedules })
    }

    /// Compiles them all for a job that was created then: those with a greatest number of instants count from there.
    ///
    /// # Errors
    /// The first one's that cannot be used.
    pub fn compile_for(specs: &[ScheduleSpec], created_at: DateTime<Utc>) -> Result<Self, ScheduleError> {
        let compile = |spec| Schedule::compile(spec)?.counted_from(created_at);
        Ok(Self { schedules: specs.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Whether its instants follow the ends of runs, so that having none at the moment is not its end.
    pub fn is_delay(&self) -> bool {
        self.schedules.iter().any(Schedule::is_delay)
    }

    /// Where a run's end at `ended_at` puts the next instant of a fixed delay.
    pub fn delayed_from(&self, ended_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedules.iter().filter_map(|schedule| schedule.delayed_from(ended_at)).min()
    }

    /// Whether `instant`, which is one of its own, is excluded by calendars: in every schedule that gives it.
    ///
    /// # Errors
    /// When a calendar is not there, or as [`Schedule::next_after`].
    pub fn is_excluded(&self, instant: DateTime<Utc>, calendars: &Calendars) -> Result<bool, ScheduleError> {
        if self.schedules.iter().all(|schedule| schedule.exclude.is_empty()) {
            return Ok(false);
        }
        let mut excluded = false;
        for schedule in &self.schedules {
            if schedule.next_from(instant)? == Some(instant) {
                if !schedule.excludes(instant, calendars)? {
                    return Ok(false);
                }
                excluded = true;
            }
        }
        Ok(excluded)
    }

    /// When the run of `due_at` may begin: with jitter a little later, the same on every look, and before the next
    /// instant. Where several schedules give the instant, the least jitter counts.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn run_at(&self, job: JobId, due_at: DateTime<Utc>) -> Result<DateTime<Utc>, ScheduleError> {
        if self.schedules.iter().all(|schedule| schedule.jitter.is_zero()) {
            return Ok(due_at);
        }
        let mut least = None;
        for schedule in &self.schedules {
            if schedule.is_delay() || schedule.next_from(due_at)? == Some(due_at) {
                least = Some(least.map_or(schedule.jitter, |least| schedule.jitter.min(least)));
            }
        }
        let room = self.next_after(due_at)?.map(|next| next - due_at);
        Ok(due_at + jitter::delay(job, due_at, least.unwrap_or_default(), room))
    }

    /// Whether it holds no schedule at all, so that its job runs only when triggered.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }

    /// Whether the ends of other jobs' runs are among its starts, of which there may always be another.
    pub fn follows_others(&self) -> bool {
        self.schedules.iter().any(Schedule::follows_others)
    }

    /// Whether a job that has been planned up to here, with this instant next, has come to its end. A job without a
    /// schedule is only ever triggered and has none; one that waits for the end of a run, its own or others', goes on.
    pub fn is_over(&self, next: Option<DateTime<Utc>>) -> bool {
        next.is_none() && !self.is_empty() && !self.is_delay() && !self.follows_others()
    }

    /// The schedules, in the order given.
    pub fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// The first instant after `t`, strictly; `None` when there is none.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn next_after(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        self.earliest(|schedule| schedule.next_after(t))
    }

    /// The first instant at or after `t`; `None` when there is none.
    ///
    /// # Errors
    /// As [`Schedule::next_after`].
    pub fn next_from(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        self.earliest(|schedule| schedule.next_from(t))
    }

    /// The instants in `[from, until)`, in order, each once. After an error it ends.
    pub fn occurrences(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Result<DateTime<Utc>, ScheduleError>> + '_ {
        walk(move |t| self.next_from(t), from, until)
    }

    fn earliest(
        &self,
        next: impl Fn(&Schedule) -> Result<Option<DateTime<Utc>>, ScheduleError>,
    ) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        let mut earliest = None;
        for schedule in &self.schedules {
            let next = next(schedule)?;
            earliest = match (earliest, next) {
                (Some(one), Some(other)) => Some(std::cmp::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        Ok(earliest)
    }
}

/// Iterates over the instants that `next_from` gives in `[from, until)`.
pub(super) fn walk(
    next_from: impl Fn(DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = Result<DateTime<Utc>, ScheduleError>> {
    let mut from = Some(from);
    std::iter::from_fn(move || {
        // Taken, so that the walk has ended unless an instant is found.
        match next_from(from.take()?) {
            Ok(Some(next)) if next < until => {
                from = next.checked_add_signed(TimeDelta::microseconds(1));
                Some(Ok(next))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    })
}
