//! What can go wrong with the store, as its callers can tell it apart.

use punctual_scheduler_domain::field::FieldError;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::name::{CalendarName, JobName, Namespace};
use punctual_scheduler_domain::run::RunState;

/// A caller's id for a request, so that a repeat is recognised. 1 to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(pub String);

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is taken.
    #[error("job {name} already exists in namespace {namespace}")]
    JobExists {
        /// Where.
        namespace: Namespace,
        /// Which.
        name: JobName,
    },
    /// There is none of that name.
    #[error("job {name} does not exist in namespace {namespace}")]
    NoSuchJob {
        /// Where.
        namespace: Namespace,
        /// Which.
        name: JobName,
    },
    /// Nobody made it.
    #[error("namespace {0} does not exist")]
    UnknownNamespace(Namespace),
    /// It is there already.
    #[error("namespace {0} already exists")]
    NamespaceExists(Namespace),
    /// It holds what would be lost.
    #[error(
        "namespace {namespace} is not empty: it has {jobs} jobs, {runs} runs that have not ended and {calendars} \
         calendars; delete or cancel them first"
    )]
    NamespaceNotEmpty {
        /// Which.
        namespace: Namespace,
        /// Jobs that are not deleted.
        jobs: u64,
        /// Runs that are not final.
        runs: u64,
        /// Calendars.
        calendars: u64,
    },
    /// A schedule names a calendar that is not there.
    #[error("not every calendar of {names} exists in namespace {namespace}: import it first")]
    NoSuchCalendar {
        /// Where.
        namespace: Namespace,
        /// Those that were named.
        names: String,
    },
    /// Jobs name it.
    #[error("calendar {name} in namespace {namespace} is named by a job's schedule: change that first")]
    CalendarInUse {
        /// Where.
        namespace: Namespace,
        /// Which.
        name: CalendarName,
    },
    /// The caller saw an older state of the job.
    #[error("job {name} has changed since: its etag is {found}, not {expected}")]
    StaleRevision {
        /// Which.
        name: JobName,
        /// What the caller sent.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// The definition does not fit in with the other jobs.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    InvalidDefinition(Vec<FieldError>),
    /// A request id was used before for something else.
    #[error("request id {0:?} was used for another call")]
    RequestReused(String),
    /// An idempotency key holds a run of another job, or of none.
    #[error("request id {request:?} made run {run} of {}", whose(.job.as_ref()))]
    RequestOfAnotherRun {
        /// The key.
        request: String,
        /// The run that it made.
        run: RunId,
        /// The job of that run; `None` for a one-off run.
        job: Option<JobName>,
    },
    /// A final run never changes.
    #[error("run {run} is already {state}")]
    RunIsFinal {
        /// Which.
        run: RunId,
        /// How it ended.
        state: RunState,
    },
    /// The database has another schema than this release works with.
    #[error("the database's schema is version {found}, this release needs {needed}: run `punctual migrate`")]
    SchemaVersion {
        /// What it has; 0 for none.
        found: i64,
        /// What this release needs.
        needed: i64,
    },
    /// A stored definition cannot be read: written by a later release, or by hand.
    #[error("the stored definition of {what} cannot be read")]
    Definition {
        /// Job and version, or run.
        what: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The database could not be asked, or did not answer in time. What was asked may have happened.
    #[error("the database could not be asked")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether a repeat may succeed: the database was away, busy, or chose this transaction to give way.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                // Serialisation, deadlock, lock or statement time-out, connection limits, shutdown, and read-only
                // states of a server that is failing over.
                matches!(
                    error.code().as_deref(),
                    Some(
                        "40001"
                            | "40P01"
                            | "55P03"
                            | "57014"
                            | "53300"
                            | "25006"
                            | "57P01"
                            | "57P02"
                            | "57P03"
                    )
                )
            }
            Self::Database(_) => true,
            Self::JobExists { .. }
            | Self::NoSuchJob { .. }
            | Self::UnknownNamespace(_)
            | Self::NamespaceExists(_)
            | Self::NamespaceNotEmpty { .. }
            | Self::NoSuchCalendar { .. }
            | Self::CalendarInUse { .. }
            | Self::StaleRevision { .. }
            | Self::InvalidDefinition(_)
            | Self::RequestReused(_)
            | Self::RequestOfAnotherRun { .. }
            | Self::RunIsFinal { .. }
            | Self::SchemaVersion { .. }
            | Self::Definition { .. } => false,
        }
    }
}

fn whose(job: Option<&JobName>) -> String {
    job.map_or_else(|| "no job".to_owned(), |job| format!("job {job}"))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
