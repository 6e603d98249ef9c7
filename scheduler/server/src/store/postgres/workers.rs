//! Sessions of workers: their leases, their heartbeats, and what they add up to.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};

use super::finish::{self, Ended};
use super::live::lock_runs;
use super::{PostgresStore, interval, rows};
use crate::store::{Beat, BeatAnswer, Fleet, HeldAttempt, NewSession, Registered, StoreError, WORKER_LEASE};

pub(super) async fn register(store: &PostgresStore, session: NewSession) -> Result<Registered, StoreError> {
    let kinds: Vec<_> = session.kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let mut tx = store.pool.begin().await?;
    let stored = sqlx::query_file!(
        "src/store/postgres/register_worker.sql",
        session.session.0,
        session.name,
        session.namespace.as_ref(),
        session.task_queue.as_ref(),
        &kinds,
        i32::try_from(session.places).unwrap_or(i32::MAX),
        store.now(),
        interval(WORKER_LEASE)
    )
    .execute(&mut *tx)
    .await?;
    // A statement of its own: the insert may have waited for the end of the session, and this one sees that.
    let has_ended = sqlx::query_scalar!(
        r#"select exists (select from punctual.ended_session where session = $1) as "ended!""#,
        session.session.0
    )
    .fetch_one(&mut *tx)
    .await?;
    if stored.rows_affected() == 0 || has_ended {
        tx.rollback().await?;
        return Ok(Registered::SessionLost);
    }
    tx.commit().await?;
    Ok(Registered::Opened)
}

pub(super) async fn unregister(store: &PostgresStore, session: SessionId) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    sqlx::query_file!("src/store/postgres/close_session.sql", session.0, store.now())
        .execute(&mut *tx)
        .await?;
    // With the row gone nothing more is granted to it; what it still holds is given back before others see that.
    let held =
        sqlx::query_file!("src/store/postgres/running_of_session.sql", session.0).fetch_all(&mut *tx).await?;
    let held: Vec<_> = held.into_iter().map(|row| row.id).collect();
    let runs = lock_runs(store, &mut tx, &held).await?;
    let ends = runs
        .iter()
        .filter(|run| run.session == Some(session))
        .filter_map(|run| Some(Ended::of(run.id, run.attempt?, AttemptOutcome::Released)))
        .collect();
    finish::apply_ends(store, &mut tx, &runs, ends).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn heartbeat(store: &PostgresStore, beat: &Beat) -> Result<Option<BeatAnswer>, StoreError> {
    let stored = sqlx::query_file!(
        "src/store/postgres/heartbeat.sql",
        beat.session.0,
        store.now(),
        interval(WORKER_LEASE),
        // A list of ids and numbers always serialises.
        serde_json::to_value(&beat.held).unwrap_or_default(),
        beat.draining
    )
    .fetch_optional(&store.pool)
    .await?;
    let Some(stored) = stored else { return Ok(None) };
    let previous: Vec<HeldAttempt> = rows::definition("heartbeat", stored.previous_held)?;
    let running = running(store, beat.session).await?;
    let compared = compare(&running, beat, &previous, stored.previous_beat_at);
    release_all(store, compared.unlisted).await?;
    Ok(Some(compared.answer))
}

/// A running attempt as the database has it.
struct Running {
    run: RunId,
    attempt: AttemptNumber,
    started_at: DateTime<Utc>,
    cancel_requested: bool,
}

async fn running(store: &PostgresStore, session: SessionId) -> Result<Vec<Running>, StoreError> {
    let rows = sqlx::query_file!("src/store/postgres/running_of_session.sql", session.0)
        .fetch_all(&store.pool)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Running {
                run: RunId(row.id),
                attempt: AttemptNumber::new(rows::count(row.attempt))?,
                started_at: row.started_at,
                cancel_requested: row.cancel_requested_at.is_some(),
            })
        })
        .collect())
}

struct Compared {
    answer: BeatAnswer,
    unlisted: Vec<(RunId, AttemptNumber)>,
}

/// Holds what the worker says it holds against what it was granted.
///
/// An attempt whose grant never arrived is listed in no heartbeat. One list may have been drawn up before the worker
/// asked, so it takes two lists without it, and a grant a good while before the first.
fn compare(
    running: &[Running],
    beat: &Beat,
    previous: &[HeldAttempt],
    previous_beat_at: DateTime<Utc>,
) -> Compared {
    let held: HashSet<_> = running.iter().map(|run| (run.run, run.attempt.get())).collect();
    let listed: HashSet<_> = beat.held.iter().chain(previous).map(|attempt| attempt.run_id).collect();
    let mut compared = Compared { answer: BeatAnswer::default(), unlisted: Vec::new() };
    for run in running {
        if !listed.contains(&run.run) {
            if run.started_at + TimeDelta::seconds(1) < previous_beat_at {
                compared.unlisted.push((run.run, run.attempt));
            }
        } else if run.cancel_requested {
            compared.answer.cancel.push((run.run, run.attempt));
        }
    }
    compared.answer.lost = beat
        .held
        .iter()
        .filter(|attempt| !held.contains(&(attempt.run_id, attempt.attempt)))
        .filter_map(|attempt| Some((attempt.run_id, AttemptNumber::new(attempt.attempt)?)))
        .collect();
    compared
}

async fn release_all(store: &PostgresStore, attempts: Vec<(RunId, AttemptNumber)>) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    let ended = attempts
        .into_iter()
        .map(|(run, attempt)| Ended::of(run, attempt, AttemptOutcome::Released))
        .collect();
    finish::end_attempts(store, ended).await?;
    Ok(())
}

pub(super) async fn fleets(store: &PostgresStore) -> Result<Vec<Fleet>, StoreError> {
    sqlx::query_file!("src/store/postgres/fleets.sql", store.now())
        .fetch_all(&store.steady)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Fleet {
                namespace: rows::parsed("namespace", &row.namespace)?,
                task_queue: rows::parsed("task queue", &row.task_queue)?,
                places: u32::try_from(row.places).unwrap_or(u32::MAX),
                kinds: row.kinds.iter().map(|kind| rows::parsed("kind", kind)).collect::<Result<_, _>>()?,
            })
        })
        .collect()
}
