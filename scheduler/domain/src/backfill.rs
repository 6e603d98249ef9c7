//! Backfills: the instants of a range run again on request, a chunk at a time so that they flood nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendars;
use crate::schedule::{ScheduleError, ScheduleSet};
use crate::word::words;

/// The most runs of one backfill that are live at a time.
pub const MOST_LIVE: usize = 1_000;
/// More are planned once no more than this many are live.
pub const REFILL_AT: usize = MOST_LIVE / 2;
/// The most instants of one backfill; a longer range is to be split.
pub const MOST_INSTANTS: u64 = 1_000_000;

/// Where a backfill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Instants are left that have no run yet.
    Planning,
    /// Every instant has its run; some are not final.
    Running,
    /// Every run is final.
    Done,
    /// Stopped on request, or because its job was deleted: instants may be left without a run.
    Cancelled,
    /// The schedule could not be evaluated.
    Errored,
}

words!(
    BackfillState, "state of a backfill",
    Planning => "planning",
    Running => "running",
    Done => "done",
    Cancelled => "cancelled",
    Errored => "errored",
);

impl BackfillState {
    /// As people see it: what is planned to the end is done once nothing of it is live.
    #[must_use]
    pub fn with_live(self, live: u64) -> Self {
        match self {
            Self::Running if live == 0 => Self::Done,
            Self::Planning | Self::Running | Self::Done | Self::Cancelled | Self::Errored => self,
        }
    }
}

/// What a range holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many instants, counted up to [`MOST_INSTANTS`] and one more.
    pub instants: u64,
    /// The first of them.
    pub first: Vec<DateTime<Utc>>,
}

/// Counts the instants in `[from, until)` that no calendar excludes, and keeps the first `keep` of them.
///
/// # Errors
/// When the schedule cannot be evaluated.
pub fn survey(
    schedule: &ScheduleSet,
    calendars: &Calendars,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    keep: usize,
) -> Result<Survey, ScheduleError> {
    let mut found = Survey::default();
    for instant in schedule.occurrences(from, until) {
        let instant = instant?;
        if schedule.is_excluded(instant, calendars)? {
            continue;
        }
        if found.first.len() < keep {
            found.first.push(instant);
        }
        found.instants += 1;
        if found.instants > MOST_INSTANTS {
            break;
        }
    }
    Ok(found)
}

/// The next runs of a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// They become runs; in order.
    pub due: Vec<DateTime<Utc>>,
    /// Where to go on; `None`: every instant has its run.
    pub next: Option<DateTime<Utc>>,
}

/// Plans from the cursor on, as much as there is room for beside `live` runs.
///
/// # Errors
/// When the schedule cannot be evaluated.
pub fn next_chunk(
    schedule: &ScheduleSet,
    calendars: &Calendars,
    cursor: DateTime<Utc>,
    until: DateTime<Utc>,
    live: usize,
) -> Result<Chunk, ScheduleError> {
    let room = MOST_LIVE.saturating_sub(live);
    let mut due = Vec::new();
    for instant in schedule.occurrences(cursor, until) {
        let instant = instant?;
        if schedule.is_excluded(instant, calendars)? {
            continue;
        }
        if due.len() == room {
            return Ok(Chunk { due, next: Some(instant) });
        }
        due.push(instant);
    }
    Ok(Chunk { due, next: None })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::*;
    use crate::schedule::ScheduleSpec;

    fn minutes() -> ScheduleSet {
        ScheduleSet::compile(&[ScheduleSpec::every(Duration::from_secs(60))]).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_survey_counts_the_range_without_its_end() {
        let (from, until) = (at("2026-03-01T00:00:00Z"), at("2026-03-01T00:03:00Z"));
        let found = survey(&minutes(), &Calendars::default(), from, until, 2).unwrap();
        assert_eq!(found.instants, 3);
        assert_eq!(found.first, [from, from + TimeDelta::minutes(1)]);
        assert_eq!(survey(&minutes(), &Calendars::default(), until, until, 2).unwrap(), Survey::default());
    }

    #[test]
    fn a_survey_stops_counting_just_beyond_the_most() {
        let found = survey(
            &minutes(),
            &Calendars::default(),
            at("2020-01-01T00:00:00Z"),
            at("2026-01-01T00:00:00Z"),
            0,
        )
        .unwrap();
        assert_eq!(found.instants, MOST_INSTANTS + 1);
    }

    #[test]
    fn chunks_give_every_instant_once_and_never_more_than_there_is_room_for() {
        let (from, until) = (at("2026-03-01T00:00:00Z"), at("2026-03-03T00:00:00Z"));
        let (mut cursor, mut all) = (Some(from), Vec::new());
        for live in [0, 400, 999, 1_000, 5_000, 500].into_iter().cycle() {
            let Some(at) = cursor else { break };
            let chunk = next_chunk(&minutes(), &Calendars::default(), at, until, live).unwrap();
            assert!(chunk.due.len() + live.min(MOST_LIVE) <= MOST_LIVE);
            all.extend(chunk.due);
            cursor = chunk.next;
        }
        assert_eq!(all.len(), 2 * 24 * 60);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(1)));
        assert_eq!((all[0], all[all.len() - 1]), (from, until - TimeDelta::minutes(1)));
    }

    #[test]
    fn what_is_planned_to_the_end_is_done_once_nothing_is_live() {
        assert_eq!(BackfillState::Running.with_live(1), BackfillState::Running);
        assert_eq!(BackfillState::Running.with_live(0), BackfillState::Done);
        for state in [BackfillState::Planning, BackfillState::Cancelled, BackfillState::Errored] {
            assert_eq!(state.with_live(0), state);
        }
    }
}
