//! A live run under lock, with all that deciding its next state takes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::id::{AttemptNumber, JobId, RunId, SessionId};
use punctual_scheduler_domain::run::{RunFacts, RunState};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::definitions::Version;
use super::{PostgresStore, rows};
use crate::store::{CANCEL_MARGIN, StoreError};

/// A row of the statements named `lock_…`.
pub(super) struct LiveRow {
    pub(super) id: Uuid,
    pub(super) state: String,
    pub(super) attempt: i32,
    pub(super) tries_used: i32,
    pub(super) dispatch_seq: i32,
    pub(super) job_id: Option<Uuid>,
    pub(super) job_version: Option<i32>,
    pub(super) session: Option<Uuid>,
    pub(super) worker: String,
    pub(super) start_deadline: Option<DateTime<Utc>>,
    pub(super) close_deadline: Option<DateTime<Utc>>,
    pub(super) start_to_close_ms: i64,
    pub(super) cancel_grace_ms: i64,
    pub(super) cancel_requested_at: Option<DateTime<Utc>>,
    pub(super) cancel_reason: String,
    pub(super) now: DateTime<Utc>,
}

/// The same in our own types.
pub(super) struct LiveRun {
    pub(super) id: RunId,
    pub(super) state: RunState,
    pub(super) attempt: Option<AttemptNumber>,
    pub(super) tries_used: u32,
    pub(super) dispatch_seq: u32,
    pub(super) version: Option<Version>,
    pub(super) session: Option<SessionId>,
    pub(super) worker: String,
    pub(super) start_deadline: Option<DateTime<Utc>>,
    pub(super) close_deadline: Option<DateTime<Utc>>,
    pub(super) start_to_close: Duration,
    pub(super) cancel_grace: Duration,
    pub(super) cancel_requested_at: Option<DateTime<Utc>>,
    pub(super) cancel_reason: String,
    pub(super) now: DateTime<Utc>,
}

impl LiveRow {
    pub(super) fn into_run(self) -> Result<LiveRun, StoreError> {
        Ok(LiveRun {
            id: RunId(self.id),
            state: rows::parsed("run state", &self.state)?,
            attempt: AttemptNumber::new(rows::count(self.attempt)),
            tries_used: rows::count(self.tries_used),
            dispatch_seq: rows::count(self.dispatch_seq),
            version: self.job_id.map(JobId).zip(self.job_version),
            session: self.session.map(SessionId),
            worker: self.worker,
            start_deadline: self.start_deadline,
            close_deadline: self.close_deadline,
            start_to_close: duration(self.start_to_close_ms),
            cancel_grace: duration(self.cancel_grace_ms),
            cancel_requested_at: self.cancel_requested_at,
            cancel_reason: self.cancel_reason,
            now: self.now,
        })
    }

    pub(super) fn into_runs(rows: Vec<Self>) -> Result<Vec<LiveRun>, StoreError> {
        rows.into_iter().map(Self::into_run).collect()
    }
}

impl LiveRun {
    /// What the state machine decides by.
    pub(super) fn facts(&self) -> RunFacts {
        RunFacts {
            state: self.state,
            attempt: self.attempt,
            dispatch_seq: self.dispatch_seq,
            cancel_requested: self.cancel_requested_at.is_some(),
        }
    }

    /// The attempt's number as the guards compare it; 0 before the first.
    pub(super) fn attempt_number(&self) -> u32 {
        self.attempt.map_or(0, AttemptNumber::get)
    }

    /// When an attempt that was asked to stop is given up.
    pub(super) fn cancel_deadline(&self) -> Option<DateTime<Utc>> {
        let grace = TimeDelta::from_std(self.cancel_grace + CANCEL_MARGIN).unwrap_or(TimeDelta::MAX);
        self.cancel_requested_at.map(|at| at + grace)
    }
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Locks these runs in id order, waiting for whoever holds one. Those that are final are not among the answers.
pub(super) async fn lock_runs(
    store: &PostgresStore,
    tx: &mut Transaction<'static, Postgres>,
    runs: &[Uuid],
) -> Result<Vec<LiveRun>, StoreError> {
    let rows = sqlx::query_file_as!(LiveRow, "src/store/postgres/lock_runs.sql", runs, store.now())
        .fetch_all(&mut **tx)
        .await?;
    LiveRow::into_runs(rows)
}
