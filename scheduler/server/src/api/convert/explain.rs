//! Why there is a run at an instant, or none.

use chrono::{DateTime, SecondsFormat, Utc};
use punctual_proto::v1;
use punctual_scheduler_domain::audit::JobEvent;
use punctual_scheduler_domain::explain::{Explanation, Verdict};
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::misfire::MissedReason;
use punctual_scheduler_domain::run::RunState;

use super::audit::{definition_to_proto, event_to_proto};
use super::job::{JobKey, state_to_proto};
use super::run::run_to_proto;
use super::time::timestamp_to_proto;
use crate::store::{Attempt, JobRecord, Run};

/// An instant with all that was found out about it.
pub(in crate::api) struct Explained<'a> {
    pub(in crate::api) at: DateTime<Utc>,
    pub(in crate::api) record: &'a JobRecord,
    pub(in crate::api) spec: Option<&'a JobSpec>,
    pub(in crate::api) explanation: Explanation<'a>,
    pub(in crate::api) runs: Vec<ExplainedRun>,
}

/// A run of the instant.
pub(in crate::api) struct ExplainedRun {
    pub(in crate::api) run: Run,
    pub(in crate::api) attempts: Vec<Attempt>,
    /// Where it waits.
    pub(in crate::api) node: Option<String>,
}

pub(in crate::api) fn explained_to_proto(explained: Explained<'_>) -> v1::ExplainInstantResponse {
    let because = because(&explained);
    let Explained { at, record, spec, explanation, runs } = explained;
    let Explanation { verdict, standing, rules, before, after } = explanation;
    let key = JobKey { namespace: record.namespace.clone(), name: record.name.clone() };
    let version = standing.map(|standing| v1::JobVersion {
        version: standing.version,
        author: standing.defined_by.actor.clone(),
        created_at: Some(timestamp_to_proto(standing.defined_by.at)),
        definition: spec.map(|spec| definition_to_proto(&key, spec)),
        changes: Vec::new(),
    });
    let missed = record.missed.first().filter(|_| verdict == Verdict::Missed);
    v1::ExplainInstantResponse {
        at: Some(timestamp_to_proto(at)),
        verdict: verdict_to_proto(verdict).into(),
        because,
        version,
        state: standing.map_or(v1::JobState::Unspecified, |standing| state_to_proto(standing.state)).into(),
        state_by: standing.map(|standing| event_to_proto(standing.state_by)),
        rules: rules.into_iter().filter_map(|place| u32::try_from(place).ok()).collect(),
        before: before.map(timestamp_to_proto),
        after: after.map(timestamp_to_proto),
        runs: runs.into_iter().map(|found| run_to_proto(found.run, found.attempts)).collect(),
        missed: missed.map(|range| v1::MissedRange {
            from: Some(timestamp_to_proto(range.from)),
            to: Some(timestamp_to_proto(range.to)),
            instants: range.count,
            reason: range.reason.to_string(),
        }),
        next_due_at: record.next_due_at.map(timestamp_to_proto),
    }
}

fn verdict_to_proto(verdict: Verdict) -> v1::InstantVerdict {
    match verdict {
        Verdict::Run => v1::InstantVerdict::Run,
        Verdict::Missed => v1::InstantVerdict::Missed,
        Verdict::BeforeCreation => v1::InstantVerdict::BeforeCreation,
        Verdict::NoRule => v1::InstantVerdict::NoRule,
        Verdict::Paused => v1::InstantVerdict::Paused,
        Verdict::Deleted => v1::InstantVerdict::Deleted,
        Verdict::Errored => v1::InstantVerdict::Errored,
        Verdict::NotYetPlanned => v1::InstantVerdict::NotYetPlanned,
        Verdict::NoLongerKept => v1::InstantVerdict::NoLongerKept,
        Verdict::Absent => v1::InstantVerdict::Absent,
    }
}

/// The verdict as a sentence.
fn because(explained: &Explained<'_>) -> String {
    let Explained { record, explanation, runs, .. } = explained;
    let standing = explanation.standing;
    let state_by = standing.map(|standing| by(standing.state_by)).unwrap_or_default();
    match explanation.verdict {
        Verdict::Run => runs.iter().map(run_sentence).collect::<Vec<_>>().join("; "),
        Verdict::Missed => match record.missed.first() {
            Some(range) => format!(
                "{}: one of {} instants from {} to {}",
                missed_words(range.reason),
                range.count,
                text(range.from),
                text(range.to)
            ),
            None => "it was missed".to_owned(),
        },
        Verdict::BeforeCreation => {
            let made = record.events.first().map(by).unwrap_or_default();
            format!("the job did not exist yet: it was made{made}")
        }
        Verdict::NoRule => match standing {
            Some(standing) => format!("no rule of version {} gives this instant", standing.version),
            None => "no rule gives this instant".to_owned(),
        },
        Verdict::Paused => format!("the job was paused{state_by}"),
        Verdict::Deleted => format!("the job had been deleted{state_by}"),
        Verdict::Errored => format!("the schedule could not be evaluated{state_by}"),
        Verdict::NotYetPlanned => {
            let next = record.next_due_at.map(text).unwrap_or_default();
            format!("it is not planned yet: the first instant that is not is {next}")
        }
        Verdict::NoLongerKept => {
            "it is more than 8 days ago, and nothing about it is on record any more".to_owned()
        }
        Verdict::Absent => {
            "a rule gives it and nothing is on record, which should not be: `punctual job reconcile` looks for more"
                .to_owned()
        }
    }
}

fn missed_words(reason: MissedReason) -> &'static str {
    match reason {
        MissedReason::Misfire => "nobody planned it in time, and the misfire policy does not make up for it",
        MissedReason::CatchupWindow => "nobody planned it in time, and it is older than the catch-up window",
        MissedReason::CatchupLimit => "nobody planned it in time, and later ones took the catch-up limit",
        MissedReason::Calendar => "a calendar excludes it",
    }
}

/// ` at TIME by WHO: NOTE`, as far as it is known.
fn by(event: &JobEvent) -> String {
    let mut words = format!(" at {}", text(event.at));
    if !event.actor.is_empty() {
        words.push_str(&format!(" by {}", event.actor));
    }
    if !event.note.is_empty() {
        words.push_str(&format!(": {}", event.note));
    }
    words
}

fn run_sentence(ExplainedRun { run, node, .. }: &ExplainedRun) -> String {
    let id = run.id;
    let why = if run.reason.is_empty() { String::new() } else { format!(": {}", run.reason) };
    let tries = match run.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    match run.state {
        RunState::Scheduled if run.attempts > 0 => {
            format!("its run {id} waits for another try, at {}, after {tries}", text(run.run_at))
        }
        RunState::Scheduled => format!("its run {id} is planned for {}", text(run.run_at)),
        RunState::Blocked => format!("its run {id} waits for something else to end{why}"),
        RunState::Queued => {
            let at = node.as_ref().map(|node| format!(" at {node}")).unwrap_or_default();
            format!("its run {id} is queued{at} and waits for a worker")
        }
        RunState::Running => format!("its run {id} is running, attempt {}", run.attempts),
        RunState::Succeeded => format!("its run {id} succeeded after {tries}"),
        RunState::Failed => format!("its run {id} failed after {tries}{why}"),
        RunState::Cancelled => format!("its run {id} was cancelled{why}"),
        RunState::Expired => format!("its run {id} expired{why}"),
        RunState::Skipped => format!("its run {id} was skipped{why}"),
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
