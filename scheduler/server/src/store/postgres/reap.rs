//! Taking back what fell silent.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::Shard;
use punctual_scheduler_domain::run::RunState;

use super::conclude::{Conclusion, Rescheduled, conclude, reschedule};
use super::finish::{Ended, apply_ends};
use super::live::{LiveRow, LiveRun};
use super::{PostgresStore, shard_numbers};
use crate::store::{NodeId, Reaped, StoreError};

pub(super) async fn sessions(store: &PostgresStore, limit: u32) -> Result<Reaped, StoreError> {
    let limit = i64::from(limit);
    // The lease goes first and in a statement of its own: from here on the session is granted nothing, so the
    // attempts found below are all it ever held.
    let sessions = sqlx::query_file_scalar!("src/store/postgres/end_sessions.sql", store.now(), limit)
        .fetch_one(&store.pool)
        .await?;
    let mut tx = store.pool.begin().await?;
    let orphans =
        sqlx::query_file_as!(LiveRow, "src/store/postgres/lock_orphaned_runs.sql", store.now(), limit)
            .fetch_all(&mut *tx)
            .await?;
    let orphans = LiveRow::into_runs(orphans)?;
    let ends = orphans.iter().filter_map(|run| run.attempt).zip(&orphans).map(|(attempt, run)| {
        let report =
            AttemptReport { error: format!("worker {} fell silent", run.worker), ..Default::default() };
        Ended { report, ..Ended::of(run.id, attempt, AttemptOutcome::Lost) }
    });
    let ends: Vec<_> = ends.collect();
    let moved = apply_ends(store, &mut tx, &orphans, ends).await?;
    tx.commit().await?;
    Ok(Reaped { sessions: u32::try_from(sessions).unwrap_or(u32::MAX), runs: moved })
}

pub(super) async fn runs(store: &PostgresStore, limit: u32) -> Result<Reaped, StoreError> {
    let mut tx = store.pool.begin().await?;
    let overdue = sqlx::query_file_as!(
        LiveRow,
        "src/store/postgres/lock_overdue_runs.sql",
        store.now(),
        i64::from(limit)
    )
    .fetch_all(&mut *tx)
    .await?;
    let overdue = LiveRow::into_runs(overdue)?;
    let Some(now) = overdue.first().map(|run| run.now) else {
        tx.rollback().await?;
        return Ok(Reaped::default());
    };
    let (mut conclusions, mut requeued, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for run in &overdue {
        match overdue_end(run, now) {
            Overdue::Final(conclusion) => conclusions.push(*conclusion),
            Overdue::Requeue => {
                requeued.push(Rescheduled { unanswered: true, ..Rescheduled::requeue(run) });
            }
            Overdue::TimedOut => {
                let report = AttemptReport {
                    error: format!(
                        "still running {} after its start",
                        humantime::format_duration(run.start_to_close)
                    ),
                    ..Default::default()
                };
                ends.extend(
                    run.attempt.map(|attempt| Ended {
                        report,
                        ..Ended::of(run.id, attempt, AttemptOutcome::TimedOut)
                    }),
                );
            }
        }
    }
    let mut moved = conclude(store, &mut tx, &conclusions).await?;
    moved += reschedule(&mut tx, &requeued, now).await?;
    moved += apply_ends(store, &mut tx, &overdue, ends).await?;
    tx.commit().await?;
    Ok(Reaped { sessions: 0, runs: moved })
}

/// What became overdue about a run.
enum Overdue {
    Final(Box<Conclusion>),
    Requeue,
    TimedOut,
}

/// Which of a run's deadlines has passed. Later ones in the list matter only when the earlier ones have not.
fn overdue_end(run: &LiveRun, now: DateTime<Utc>) -> Overdue {
    let passed = |deadline: Option<DateTime<Utc>>| deadline.is_some_and(|deadline| deadline <= now);
    let running = run.state == RunState::Running;
    if running && passed(run.cancel_deadline()) {
        return Overdue::Final(Box::new(ended(
            run,
            RunState::Cancelled,
            &run.cancel_reason,
            AttemptOutcome::Cancelled,
        )));
    }
    if passed(run.close_deadline) {
        let state = if run.cancel_requested_at.is_some() { RunState::Cancelled } else { RunState::Expired };
        return Overdue::Final(Box::new(ended(
            run,
            state,
            "schedule_to_close passed",
            AttemptOutcome::TimedOut,
        )));
    }
    if !running && run.attempt.is_none() && passed(run.start_deadline) {
        return Overdue::Final(Box::new(ended(
            run,
            RunState::Expired,
            "schedule_to_start passed",
            AttemptOutcome::TimedOut,
        )));
    }
    if running { Overdue::TimedOut } else { Overdue::Requeue }
}

/// The end of a run by its deadline; an attempt that was running ends with it.
fn ended(run: &LiveRun, to: RunState, reason: &str, outcome: AttemptOutcome) -> Conclusion {
    let outcome = (run.state == RunState::Running).then_some(outcome);
    Conclusion { outcome, ..Conclusion::of(run, to, reason) }
}

pub(super) async fn requeue_lost(
    store: &PostgresStore,
    unreachable: &[NodeId],
    shards: &[Shard],
    limit: u32,
) -> Result<Reaped, StoreError> {
    let unreachable: Vec<_> = unreachable.iter().map(|node| node.0).collect();
    let mut tx = store.pool.begin().await?;
    let lost = sqlx::query_file_as!(
        LiveRow,
        "src/store/postgres/lock_lost_runs.sql",
        store.now(),
        i64::from(limit),
        &unreachable,
        &shard_numbers(shards)
    )
    .fetch_all(&mut *tx)
    .await?;
    let lost = LiveRow::into_runs(lost)?;
    let Some(now) = lost.first().map(|run| run.now) else {
        tx.rollback().await?;
        return Ok(Reaped::default());
    };
    let moved = reschedule(&mut tx, &lost.iter().map(Rescheduled::requeue).collect::<Vec<_>>(), now).await?;
    tx.commit().await?;
    Ok(Reaped { sessions: 0, runs: moved })
}
