//! Writing down what became of live runs: they leave for the history, or are scheduled again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::run::RunState;
use sqlx::{Postgres, Transaction};

use super::live::LiveRun;
use super::unblock::{self, Freed};
use super::{PostgresStore, millis};
use crate::store::StoreError;

type Tx = Transaction<'static, Postgres>;

/// A run that becomes final.
#[derive(Debug, Clone)]
pub(super) struct Conclusion {
    pub(super) run: RunId,
    /// What the statement guards by.
    pub(super) from: RunState,
    pub(super) attempt: u32,
    pub(super) to: RunState,
    pub(super) reason: String,
    pub(super) tries_used: u32,
    /// How its attempt ended, where one was running.
    pub(super) outcome: Option<AttemptOutcome>,
    pub(super) report: AttemptReport,
}

/// A run that is scheduled again.
#[derive(Debug, Clone)]
pub(super) struct Rescheduled {
    pub(super) run: RunId,
    pub(super) from: RunState,
    pub(super) attempt: u32,
    pub(super) delay: Duration,
    pub(super) tries_used: u32,
    /// It was published and nobody started it in time.
    pub(super) unanswered: bool,
    pub(super) outcome: Option<AttemptOutcome>,
    pub(super) report: AttemptReport,
}

impl Conclusion {
    pub(super) fn of(run: &LiveRun, to: RunState, reason: &str) -> Self {
        Self {
            run: run.id,
            from: run.state,
            attempt: run.attempt_number(),
            to,
            reason: reason.to_owned(),
            tries_used: run.tries_used,
            outcome: None,
            report: AttemptReport::default(),
        }
    }
}

impl Rescheduled {
    /// Taken back from its queue: its dispatch is lost, no attempt was made.
    pub(super) fn requeue(run: &LiveRun) -> Self {
        Self {
            run: run.id,
            from: run.state,
            attempt: run.attempt_number(),
            delay: Duration::ZERO,
            tries_used: run.tries_used,
            unanswered: false,
            outcome: None,
            report: AttemptReport::default(),
        }
    }
}

/// Moves runs to the history, each guarded by state and attempt, and lets go who waited for that. Answers how many moved. They end when this is asked,
/// which is after the caller has locked them.
pub(super) async fn conclude(
    store: &PostgresStore,
    tx: &mut Tx,
    ends: &[Conclusion],
) -> Result<u32, StoreError> {
    if ends.is_empty() {
        return Ok(0);
    }
    let ended = sqlx::query_file!(
        "src/store/postgres/conclude_runs.sql",
        &ends.iter().map(|end| end.run.0).collect::<Vec<_>>(),
        &texts(ends, |end| end.from.as_str()),
        &ends.iter().map(|end| number(end.attempt)).collect::<Vec<_>>(),
        &texts(ends, |end| end.to.as_str()),
        &texts(ends, |end| &end.reason),
        &texts(ends, |end| &end.report.error),
        &texts(ends, |end| &end.report.error_kind),
        &texts(ends, |end| &end.report.result),
        &texts(ends, |end| &end.report.output_tail),
        &outcomes(ends, |end| end.outcome) as &[Option<String>],
        &ends.iter().map(|end| number(end.tries_used)).collect::<Vec<_>>(),
        store.now()
    )
    .fetch_all(&mut **tx)
    .await?;
    let moved = u32::try_from(ended.len()).unwrap_or(u32::MAX);
    let mut freed = Freed::default();
    for row in ended {
        freed.jobs.extend(row.waited_for);
        freed.keys.extend(row.key_path);
    }
    unblock::after_ends(store, tx, &freed).await?;
    Ok(moved)
}

/// Schedules runs again, each guarded by state and attempt.
pub(super) async fn reschedule(
    tx: &mut Tx,
    ends: &[Rescheduled],
    now: DateTime<Utc>,
) -> Result<u32, StoreError> {
    if ends.is_empty() {
        return Ok(0);
    }
    sqlx::query_file!(
        "src/store/postgres/reschedule_runs.sql",
        &ends.iter().map(|end| end.run.0).collect::<Vec<_>>(),
        &texts(ends, |end| end.from.as_str()),
        &ends.iter().map(|end| number(end.attempt)).collect::<Vec<_>>(),
        &ends.iter().map(|end| millis(end.delay)).collect::<Vec<_>>(),
        &texts(ends, |end| &end.report.error),
        &texts(ends, |end| &end.report.error_kind),
        &texts(ends, |end| &end.report.output_tail),
        &outcomes(ends, |end| end.outcome) as &[Option<String>],
        &ends.iter().map(|end| number(end.tries_used)).collect::<Vec<_>>(),
        now,
        &ends.iter().map(|end| end.unanswered).collect::<Vec<_>>()
    )
    .execute(&mut **tx)
    .await?;
    Ok(u32::try_from(ends.len()).unwrap_or(u32::MAX))
}

fn texts<T>(items: &[T], text: impl Fn(&T) -> &str) -> Vec<String> {
    items.iter().map(|item| text(item).to_owned()).collect()
}

fn outcomes<T>(items: &[T], outcome: impl Fn(&T) -> Option<AttemptOutcome>) -> Vec<Option<String>> {
    items.iter().map(|item| outcome(item).map(|outcome| outcome.as_str().to_owned())).collect()
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
