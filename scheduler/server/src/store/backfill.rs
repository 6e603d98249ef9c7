//! What the store takes and gives about backfills.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::backfill::BackfillState;
use punctual_scheduler_domain::id::{BackfillId, JobId};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::run::RunState;

use super::{RequestId, StoreError};

/// A backfill to be written down.
#[derive(Debug, Clone)]
pub struct NewBackfill {
    /// Its id, made by the caller.
    pub id: BackfillId,
    /// Of which job.
    pub job: JobId,
    /// The version that the instants were counted of, and that the runs will be of.
    pub version: u32,
    /// The first instant that may run.
    pub from: DateTime<Utc>,
    /// No instants at or after this one.
    pub until: DateTime<Utc>,
    /// What happens when a run of it is due while another of the job is unfinished.
    pub overlap: Overlap,
    /// How many instants the range has.
    pub instants: u64,
    /// Who asked for it.
    pub author: String,
}

/// A backfill as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Which.
    pub id: BackfillId,
    /// Where.
    pub namespace: Namespace,
    /// Of which job.
    pub job: String,
    /// Of which version of it.
    pub job_version: u32,
    /// The first instant that may run.
    pub from: DateTime<Utc>,
    /// No instants at or after this one.
    pub until: DateTime<Utc>,
    /// The policy of its runs.
    pub overlap: Overlap,
    /// Where it stands.
    pub state: BackfillState,
    /// Why it was cancelled or cannot go on.
    pub state_reason: String,
    /// How many instants the range has.
    pub instants: u64,
    /// How many of them have a run.
    pub planned: u64,
    /// How many of those are not final.
    pub live: u64,
    /// How many ended in each state.
    pub ended: BTreeMap<RunState, u64>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// A page of backfills, newest first.
#[derive(Debug, Clone)]
pub struct BackfillSelection {
    /// Where.
    pub namespace: Namespace,
    /// Only of this job, deleted ones included.
    pub job: Option<JobName>,
    /// Only older than this one.
    pub before: Option<BackfillId>,
    /// At most.
    pub limit: u32,
}

/// What one call planned of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackfillPlanned {
    /// Which.
    pub backfill: BackfillId,
    /// How many runs were written down.
    pub runs: u32,
}

/// The part of the ledger that is about backfills.
#[async_trait]
pub trait BackfillStore: Send + Sync + 'static {
    /// Writes a backfill down. A repeated `request` answers with the first call's. `None`: the job is not of that
    /// version any more, or is deleted.
    ///
    /// # Errors
    /// [`StoreError::RequestReused`].
    async fn create_backfill(
        &self,
        new: NewBackfill,
        request: Option<RequestId>,
    ) -> Result<Option<Backfill>, StoreError>;
    /// One backfill with its progress.
    async fn get_backfill(&self, backfill: BackfillId) -> Result<Option<Backfill>, StoreError>;
    /// Backfills, newest first.
    ///
    /// # Errors
    /// [`StoreError::UnknownNamespace`].
    async fn list_backfills(&self, selection: &BackfillSelection) -> Result<Vec<Backfill>, StoreError>;
    /// Stops planning and cancels what has not started. Of one that is done, or was cancelled before, nothing
    /// changes. `None`: no such backfill.
    async fn cancel_backfill(
        &self,
        backfill: BackfillId,
        reason: &str,
    ) -> Result<Option<Backfill>, StoreError>;
    /// Writes the next runs of one backfill down that has room for them, and moves its cursor, in one transaction.
    /// `None`: none has, or others are at it.
    async fn plan_backfill(&self) -> Result<Option<BackfillPlanned>, StoreError>;
}
