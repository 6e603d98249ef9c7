//! Several schedules of one job, OR-ed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Schedule, ScheduleError, ScheduleSpec};

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

    /// Whether it holds no schedule at all, so that its job runs only when triggered.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }

    /// Whether a job with no instant after this one has come to its end: none that is only triggered has, and none that
    /// waits for others.
    pub fn is_over(&self, next: Option<DateTime<Utc>>) -> bool {
        next.is_none() && !self.is_empty() && !self.schedules.iter().any(Schedule::is_open_ended)
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
