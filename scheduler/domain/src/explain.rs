//! Why a job did, or did not, run at an instant.

mod nearest;

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::audit::{Standing, Timeline};
use crate::job::JobState;
use crate::plan::MissedRange;
use crate::schedule::{ScheduleError, ScheduleSet};

use nearest::{latest_before, rules_at};

/// What is known about a job around an instant.
#[derive(Debug)]
pub struct InstantFacts<'a> {
    /// The instant asked about.
    pub at: DateTime<Utc>,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// What was done to the job.
    pub timeline: Timeline<'a>,
    /// The schedules of the version in force then: of the first one, for an instant before it.
    pub schedule: Result<&'a ScheduleSet, &'a str>,
    /// The first instant that is not planned yet, while there is any.
    pub next_due_at: Option<DateTime<Utc>>,
    /// How many runs the instant has.
    pub runs: usize,
    /// What it was counted in, if it was.
    pub missed: Option<MissedRange>,
}

/// Why there is a run, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is one, and its state says the rest.
    Run,
    /// It was counted among those that nobody planned in time.
    Missed,
    /// The job was not made yet.
    BeforeCreation,
    /// No rule of the version in force gives this instant.
    NoRule,
    /// A rule gives it, and the job was paused.
    Paused,
    /// A rule gives it, and the job was deleted.
    Deleted,
    /// The schedule could not be evaluated.
    Errored,
    /// A rule gives it, and it will be planned.
    NotYetPlanned,
    /// A rule gives it, and it is so long ago that nothing about it need be on record any more.
    NoLongerKept,
    /// A rule gives it and nothing is on record, although it should be.
    Absent,
}

/// What became of an instant, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// Why there is a run, or none.
    pub verdict: Verdict,
    /// How the job stood; `None` before it was made.
    pub standing: Option<Standing<'a>>,
    /// Which of the version's schedules give the instant, by their place.
    pub rules: Vec<usize>,
    /// The version's nearest instant before, where there is one within a few years.
    pub before: Option<DateTime<Utc>>,
    /// The version's nearest instant after.
    pub after: Option<DateTime<Utc>>,
}

/// How long the ledger is kept: what is older may have been forgotten.
pub const LEDGER_KEPT: Duration = Duration::from_secs(8 * 86_400);

/// Decides what became of an instant.
///
/// What is on record comes first; only where there is nothing is a reason looked for, from the job's life down to its
/// rules.
pub fn explain<'a>(facts: &InstantFacts<'a>) -> Explanation<'a> {
    let standing = facts.timeline.at(facts.at);
    let around = facts
        .schedule
        .map_err(str::to_owned)
        .and_then(|set| around(set, facts.at).map_err(|error| error.to_string()));
    let (rules, before, after) = around.clone().unwrap_or_default();
    let verdict = if facts.runs > 0 {
        Verdict::Run
    } else if facts.missed.is_some() && !rules.is_empty() {
        Verdict::Missed
    } else {
        without_record(facts, standing, around.is_ok(), &rules)
    };
    Explanation { verdict, standing, rules, before, after }
}

fn without_record(
    facts: &InstantFacts<'_>,
    standing: Option<Standing<'_>>,
    is_readable: bool,
    rules: &[usize],
) -> Verdict {
    let Some(standing) = standing else { return Verdict::BeforeCreation };
    match standing.state {
        JobState::Deleted => return Verdict::Deleted,
        JobState::Errored => return Verdict::Errored,
        _ if !is_readable => return Verdict::Errored,
        _ if rules.is_empty() => return Verdict::NoRule,
        JobState::Paused => return Verdict::Paused,
        // A schedule that had ended would give no instant.
        JobState::Active | JobState::Exhausted => {}
    }
    if facts.next_due_at.is_some_and(|next| next <= facts.at) {
        return Verdict::NotYetPlanned;
    }
    let kept_from =
        chrono::TimeDelta::from_std(LEDGER_KEPT).ok().and_then(|kept| facts.now.checked_sub_signed(kept));
    if kept_from.is_some_and(|kept_from| facts.at < kept_from) {
        return Verdict::NoLongerKept;
    }
    Verdict::Absent
}

type Around = (Vec<usize>, Option<DateTime<Utc>>, Option<DateTime<Utc>>);

fn around(set: &ScheduleSet, at: DateTime<Utc>) -> Result<Around, ScheduleError> {
    Ok((rules_at(set, at)?, latest_before(set, at)?, set.next_after(at)?))
}

#[cfg(test)]
mod tests;
