//! The end of attempts, whoever reports it: the worker, the reaper, or a session that closes.

use std::collections::HashMap;

use punctual_scheduler_domain::attempt::{AttemptEnd, AttemptOutcome, AttemptReport, EndInput, attempt_end};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::RunState;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::conclude::{Conclusion, Rescheduled, conclude, reschedule};
use super::definitions::{OwnDefinition, Version};
use super::live::{LiveRun, lock_runs};
use super::{PostgresStore, rows};
use crate::store::{FinishAnswer, Release, Report, StoreError};

type Tx = Transaction<'static, Postgres>;

/// An attempt that has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// Who says so, where it is a worker: it must be the holder.
    pub(super) by: Option<SessionId>,
    pub(super) run: RunId,
    pub(super) attempt: AttemptNumber,
    pub(super) outcome: AttemptOutcome,
    pub(super) report: AttemptReport,
}

impl Ended {
    pub(super) fn of(run: RunId, attempt: AttemptNumber, outcome: AttemptOutcome) -> Self {
        Self { by: None, run, attempt, outcome, report: AttemptReport::default() }
    }
}

pub(super) async fn finish_attempts(
    store: &PostgresStore,
    reports: &[Report],
) -> Result<Vec<FinishAnswer>, StoreError> {
    let ends = reports
        .iter()
        .map(|report| Ended {
            by: Some(report.session),
            run: report.run,
            attempt: report.attempt,
            outcome: report.outcome,
            report: report.report.clone(),
        })
        .collect();
    let moved = end_attempts(store, ends).await?;
    // A batch holds reports of many workers: another one on a run that moved is judged by what is on record now.
    let is_stored = |report: &Report| {
        let stored = Some(&(Some(report.session), report.attempt, report.outcome));
        moved.get(&report.run) == stored
    };
    let mut answers: Vec<_> =
        reports.iter().map(|report| if is_stored(report) { Answer::Stored } else { Answer::Open }).collect();
    explain(store, reports, &mut answers).await?;
    Ok(answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Stored => FinishAnswer::Stored,
            Answer::Stale => FinishAnswer::StaleAttempt,
            Answer::Open => FinishAnswer::UnknownRun,
        })
        .collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stored,
    Stale,
    Open,
}

/// For reports that moved nothing: a repeat of one that is on record gets the same answer.
async fn explain(
    store: &PostgresStore,
    reports: &[Report],
    answers: &mut [Answer],
) -> Result<(), StoreError> {
    let open: Vec<_> =
        reports.iter().zip(&*answers).filter(|(_, a)| **a == Answer::Open).map(|(r, _)| r).collect();
    if open.is_empty() {
        return Ok(());
    }
    let runs: Vec<_> = open.iter().map(|report| report.run.0).collect();
    let attempts: Vec<_> = open.iter().map(|report| number(report.attempt)).collect();
    let recorded = sqlx::query_file!("src/store/postgres/ended_attempt.sql", &runs, &attempts)
        .fetch_all(&store.pool)
        .await?;
    let known = sqlx::query_scalar!(
        r#"select id as "id!" from punctual.run_live where id = any($1)
           union select id from punctual.run_history where id = any($1)"#,
        &runs
    )
    .fetch_all(&store.pool)
    .await?;
    for (report, answer) in
        reports.iter().zip(answers.iter_mut()).filter(|(_, answer)| **answer == Answer::Open)
    {
        let same = |row: &&_| same_report(row, report);
        if recorded
            .iter()
            .map(|row| (row.run_id, row.attempt, row.outcome.as_str(), row.session))
            .any(|row| same(&&row))
        {
            *answer = Answer::Stored;
        } else if known.contains(&report.run.0) {
            *answer = Answer::Stale;
        }
    }
    Ok(())
}

fn same_report(row: &(Uuid, i32, &str, Uuid), report: &Report) -> bool {
    let (run, attempt, outcome, session) = *row;
    run == report.run.0
        && attempt == number(report.attempt)
        && outcome == report.outcome.as_str()
        && SessionId(session) == report.session
}

pub(super) async fn release_attempt(
    store: &PostgresStore,
    release: &Release,
) -> Result<FinishAnswer, StoreError> {
    let report = Report {
        session: release.session,
        run: release.run,
        attempt: release.attempt,
        outcome: AttemptOutcome::Released,
        report: AttemptReport { retry_after: Some(release.delay), ..Default::default() },
    };
    Ok(finish_attempts(store, &[report]).await?.pop().unwrap_or(FinishAnswer::UnknownRun))
}

/// What moved a run: who said it of which attempt, and what.
type Moved = (Option<SessionId>, AttemptNumber, AttemptOutcome);

/// Ends attempts in a transaction of their own. Answers what moved, by run.
pub(super) async fn end_attempts(
    store: &PostgresStore,
    ends: Vec<Ended>,
) -> Result<HashMap<RunId, Moved>, StoreError> {
    let runs: Vec<_> = ends.iter().map(|end| end.run.0).collect();
    let mut tx = store.pool.begin().await?;
    let live = lock_runs(store, &mut tx, &runs).await?;
    let current: HashMap<_, _> = live.iter().map(|run| (run.id, run)).collect();
    let mut moved = HashMap::new();
    let mut due = Vec::new();
    for end in ends {
        // The first report of a batch wins; a second one for the same attempt is found on record.
        if current.get(&end.run).is_some_and(|run| is_current(run, &end)) && !moved.contains_key(&end.run) {
            moved.insert(end.run, (end.by, end.attempt, end.outcome));
            due.push(end);
        }
    }
    apply_ends(store, &mut tx, &live, due).await?;
    tx.commit().await?;
    Ok(moved)
}

/// Whether the attempt is the run's current one, and the reporter its holder.
fn is_current(run: &LiveRun, end: &Ended) -> bool {
    run.state == RunState::Running
        && run.attempt == Some(end.attempt)
        && (end.by.is_none() || end.by == run.session)
}

/// Decides what becomes of each run whose attempt ended, and writes it down. The caller holds the runs' locks.
pub(super) async fn apply_ends(
    store: &PostgresStore,
    tx: &mut Tx,
    live: &[LiveRun],
    ends: Vec<Ended>,
) -> Result<u32, StoreError> {
    let runs: HashMap<_, _> = live.iter().map(|run| (run.id, run)).collect();
    let policies = retry_policies(store, tx, &runs, &ends).await?;
    let (mut conclusions, mut rescheduled) = (Vec::new(), Vec::new());
    let default_policy = RetryPolicy::default();
    let mut now = None;
    for end in ends {
        let Some(run) = runs.get(&end.run) else { continue };
        now = Some(run.now);
        let decided = attempt_end(EndInput {
            outcome: end.outcome,
            report: &end.report,
            policy: policies.get(&end.run).unwrap_or(&default_policy),
            tries_used: run.tries_used,
            cancel_requested: run.cancel_requested_at.is_some(),
            random: rand::random(),
        });
        let tries_used = run.tries_used + u32::from(end.outcome.uses_try());
        match decided {
            AttemptEnd::Final { state, reason } => {
                let reason = match reason {
                    Some(reason) => reason.to_string(),
                    None if state == RunState::Cancelled => run.cancel_reason.clone(),
                    None => String::new(),
                };
                conclusions.push(Conclusion {
                    tries_used,
                    outcome: Some(end.outcome),
                    report: end.report,
                    ..Conclusion::of(run, state, &reason)
                });
            }
            AttemptEnd::Again { delay, counts_try } => rescheduled.push(Rescheduled {
                delay,
                tries_used: if counts_try { tries_used } else { run.tries_used },
                outcome: Some(end.outcome),
                report: end.report,
                ..Rescheduled::requeue(run)
            }),
        }
    }
    let Some(now) = now else { return Ok(0) };
    Ok(conclude(store, tx, &conclusions).await? + reschedule(tx, &rescheduled, now).await?)
}

/// The retry policies of runs whose attempts did not succeed.
async fn retry_policies(
    store: &PostgresStore,
    tx: &mut Tx,
    runs: &HashMap<RunId, &LiveRun>,
    ends: &[Ended],
) -> Result<HashMap<RunId, RetryPolicy>, StoreError> {
    let failed: Vec<&LiveRun> = ends
        .iter()
        .filter(|end| end.outcome != AttemptOutcome::Succeeded)
        .filter_map(|end| runs.get(&end.run).copied())
        .collect();
    if failed.is_empty() {
        return Ok(HashMap::new());
    }
    let versions: Vec<Version> = failed.iter().filter_map(|run| run.version).collect();
    let definitions = store.definitions.get(&mut **tx, versions).await?;
    let own: Vec<_> = failed.iter().filter(|run| run.version.is_none()).map(|run| run.id.0).collect();
    let mut policies: HashMap<_, _> = failed
        .iter()
        .filter_map(|run| Some((run.id, definitions.get(&run.version?)?.spec.retry.clone())))
        .collect();
    if !own.is_empty() {
        let rows = sqlx::query!("select run_id, spec from punctual.run_spec where run_id = any($1)", &own)
            .fetch_all(&mut **tx)
            .await?;
        for row in rows {
            let own: OwnDefinition = rows::definition(&format!("run {}", row.run_id), row.spec)?;
            policies.insert(RunId(row.run_id), own.retry);
        }
    }
    Ok(policies)
}

fn number(attempt: AttemptNumber) -> i32 {
    i32::try_from(attempt.get()).unwrap_or(i32::MAX)
}
