//! What was in force when.

use chrono::{DateTime, Utc};

use super::{JobEvent, JobEventKind};
use crate::job::JobState;

/// A job's events, in the order in which they were written.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    events: &'a [JobEvent],
}

/// How a job stood at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Which version was in force.
    pub version: u32,
    /// In which state the job was.
    pub state: JobState,
    /// What put the version into force.
    pub defined_by: &'a JobEvent,
    /// What put the job into its state.
    pub state_by: &'a JobEvent,
}

/// A time over which a job was planned under one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedSpan {
    /// The version.
    pub version: u32,
    /// The first instant that belongs to it.
    pub from: DateTime<Utc>,
    /// The first that does not any more.
    pub until: DateTime<Utc>,
}

impl<'a> Timeline<'a> {
    /// Of these events, oldest first.
    pub fn new(events: &'a [JobEvent]) -> Self {
        Self { events }
    }

    /// How the job stood at `instant`; `None` before it was made. An instant that is due when something is done is due as
    /// before: it is planned under the old version, and before a pause.
    pub fn at(&self, instant: DateTime<Utc>) -> Option<Standing<'a>> {
        let mut standing: Option<Standing<'a>> = None;
        for event in self.events.iter().filter(|event| event.holds_from() <= instant) {
            standing = Some(after(standing, event));
        }
        standing
    }

    /// The events, oldest first.
    pub fn events(&self) -> &'a [JobEvent] {
        self.events
    }

    /// The times within `[from, until)` over which the job was planned. A job whose schedule had ended counts as planned: it
    /// is found out to have ended up to ten seconds ahead.
    pub fn planned(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<PlannedSpan> {
        let mut spans: Vec<PlannedSpan> = Vec::new();
        let mut standing = None;
        for (place, event) in self.events.iter().enumerate() {
            let now = after(standing, event);
            standing = Some(now);
            // Until the next that holds; one that makes up for a pause leaves nothing of it.
            let next = self.events[place + 1..].iter().map(JobEvent::holds_from).min();
            let (start, end) = (event.holds_from().max(from), next.map_or(until, |next| next.min(until)));
            let is_planned = match now.state {
                JobState::Active | JobState::Exhausted => true,
                JobState::Paused | JobState::Errored | JobState::Deleted => false,
            };
            if is_planned && start < end {
                match spans.last_mut() {
                    Some(last) if last.version == now.version && last.until == start => last.until = end,
                    _ => spans.push(PlannedSpan { version: now.version, from: start, until: end }),
                }
            }
        }
        spans
    }
}

fn after<'a>(before: Option<Standing<'a>>, event: &'a JobEvent) -> Standing<'a> {
    let Some(before) = before else {
        // The first on record; of a job older than the record it may be any.
        let state = event.kind.leads_to(JobState::Active);
        return Standing { version: event.version, state, defined_by: event, state_by: event };
    };
    let state = event.kind.leads_to(before.state);
    // A pause that is renewed may have another reason.
    let keeps = state == before.state && event.kind != JobEventKind::Paused;
    let state_by = if keeps { before.state_by } else { event };
    let defines =
        matches!(event.kind, JobEventKind::Created | JobEventKind::Updated | JobEventKind::RolledBack);
    let defined_by = if defines { event } else { before.defined_by };
    Standing { version: event.version, state, defined_by, state_by }
}

#[cfg(test)]
mod tests;
