//! What the API answers instead of what was asked for.

use std::sync::Arc;

use punctual_scheduler_domain::field::FieldError;
use punctual_scheduler_domain::id::{AttemptNumber, BackfillId, RunId, SessionId};
use punctual_scheduler_domain::name::JobName;

use super::batch::BatcherStopped;
use crate::store::StoreError;

/// Why a call was not answered as asked. `status` turns it into gRPC's terms and HTTP's.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request cannot be understood; every field that is wrong is named.
    #[error("{}", describe(.0))]
    Invalid(Vec<FieldError>),
    /// The store said no. Shared, since one statement serves many callers.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The job has no version of that number.
    #[error("job {job} has no version {version}")]
    NoSuchVersion { job: JobName, version: u32 },
    /// Its events do not tell all that was done to it.
    #[error(
        "job {0} was last changed by a release that kept no record of it: change it again, and ask for what comes after"
    )]
    NoWholeRecord(JobName),
    /// No such run, or it ended longer ago than history is kept.
    #[error("run {0} does not exist")]
    NoSuchRun(RunId),
    /// No such backfill, or it ended longer ago than it is kept.
    #[error("backfill {0} does not exist")]
    NoSuchBackfill(BackfillId),
    /// The job changes faster than its instants can be counted.
    #[error("job {0} is being changed: repeat the call")]
    JobKeepsChanging(JobName),
    /// The attempt is not the run's current one.
    #[error("attempt {attempt} of run {run} is not the current one: stop, and report nothing")]
    StaleAttempt { run: RunId, attempt: AttemptNumber },
    /// The session has ended.
    #[error("session {0} has ended: stop its handlers and register anew under another id")]
    SessionLost(SessionId),
    /// The caller showed no token, or one that is not known.
    #[error("a valid token is needed: send `authorization: Bearer TOKEN`")]
    Unauthenticated,
    /// Nothing answers at this path.
    #[error("nothing answers at {0}")]
    NoSuchMethod(String),
    /// This replica follows as many streams as it will.
    #[error("this scheduler follows {0} watches already: end one, or ask another scheduler")]
    TooManyWatches(usize),
    /// This replica stops; another one will answer.
    #[error("this scheduler is stopping: ask another one")]
    Stopping,
}

impl ApiError {
    /// One field that is wrong.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<BatcherStopped> for ApiError {
    fn from(_: BatcherStopped) -> Self {
        Self::Stopping
    }
}

/// The fields and what is wrong with each, on one line.
fn describe(fields: &[FieldError]) -> String {
    let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
    fields.join("; ")
}
