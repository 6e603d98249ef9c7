//! Whether the ledger holds what a job's versions ask for.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{PlannedSpan, Timeline};
use crate::job::JobState;
use crate::plan::MissedRange;
use crate::schedule::{ScheduleError, ScheduleSet};

/// What a reconciliation of one job looks at.
#[derive(Debug)]
pub struct ReconcileInput<'a> {
    /// What was in force when.
    pub timeline: Timeline<'a>,
    /// The first instant to look at.
    pub from: DateTime<Utc>,
    /// The first not to look at any more.
    pub until: DateTime<Utc>,
    /// The instants in the ledger.
    pub ledger: &'a BTreeSet<DateTime<Utc>>,
    /// Those that were counted instead.
    pub missed: &'a [MissedRange],
    /// Instants to look at most; beyond them the rest is left, and said to be.
    pub limit: usize,
}

/// What a reconciliation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Instants that the versions ask for.
    pub expected: u64,
    /// Those of them that are on record, as a run or as missed.
    pub found: u64,
    /// Those that are not.
    pub absent: Vec<DateTime<Utc>>,
    /// Instants in the ledger that no version in force asks for.
    pub unexpected: Vec<DateTime<Utc>>,
    /// Versions whose schedules cannot be evaluated, so that nothing is expected of them.
    pub unreadable: Vec<u32>,
    /// From when on nothing was looked at, where there was too much.
    pub cut_at: Option<DateTime<Utc>>,
}

/// A run that was admitted a moment ahead keeps its place in the ledger when its job is changed before it is due.
const ADMITTED_AHEAD: TimeDelta = TimeDelta::seconds(1);

/// Compares what is on record with what the versions in force ask for. `schedule` gives a version's schedules; `None`
/// where they cannot be evaluated or depend on more than the clock, in which case nothing is asked of it.
pub fn reconcile<'s>(
    input: &ReconcileInput<'_>,
    schedule: impl Fn(u32) -> Option<&'s ScheduleSet>,
) -> Reconciled {
    let mut result = Reconciled::default();
    let mut expected = BTreeSet::new();
    let spans = input.timeline.planned(input.from, input.until);
    for span in &spans {
        let room = input.limit.saturating_sub(expected.len());
        let walked = schedule(span.version).map(|set| instants(set, span, room));
        match walked {
            Some(Ok((instants, cut_at))) => {
                expected.extend(instants);
                if cut_at.is_some() {
                    result.cut_at = cut_at;
                    break;
                }
            }
            Some(Err(_)) | None => result.unreadable.push(span.version),
        }
    }
    result.expected = expected.len() as u64;
    let is_missed = |instant: &DateTime<Utc>| {
        input.missed.iter().any(|range| range.from <= *instant && *instant <= range.to)
    };
    result.absent =
        expected.iter().filter(|at| !input.ledger.contains(at) && !is_missed(at)).copied().collect();
    result.found = result.expected - result.absent.len() as u64;
    result.unexpected = input
        .ledger
        .iter()
        .filter(|at| result.cut_at.is_none_or(|cut_at| **at < cut_at) && !expected.contains(at))
        .filter(|at| !is_excused(input, &spans, &result.unreadable, **at))
        .copied()
        .collect();
    result
}

/// The instants of a span, at most `limit`, and the first beyond those.
#[expect(clippy::type_complexity, reason = "two results of one walk, used once")]
fn instants(
    set: &ScheduleSet,
    span: &PlannedSpan,
    limit: usize,
) -> Result<(Vec<DateTime<Utc>>, Option<DateTime<Utc>>), ScheduleError> {
    let mut found = Vec::new();
    for instant in set.occurrences(span.from, span.until) {
        let instant = instant?;
        if found.len() == limit {
            return Ok((found, Some(instant)));
        }
        found.push(instant);
    }
    Ok((found, None))
}

/// Whether an instant that is not expected is in the ledger for a good reason.
fn is_excused(
    input: &ReconcileInput<'_>,
    spans: &[PlannedSpan],
    unreadable: &[u32],
    at: DateTime<Utc>,
) -> bool {
    let just_changed =
        input.timeline.events().iter().any(|event| event.at < at && at - event.at <= ADMITTED_AHEAD);
    // What had been planned ahead when the schedule could not be evaluated any more still stands.
    let errored = input.timeline.at(at).is_some_and(|standing| standing.state == JobState::Errored);
    let of_unreadable =
        spans.iter().any(|span| span.from <= at && at < span.until && unreadable.contains(&span.version));
    just_changed || errored || of_unreadable || at < input.from || at >= input.until
}

#[cfg(test)]
mod tests;
