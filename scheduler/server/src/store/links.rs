//! What a run has to do with others.

use punctual_scheduler_domain::id::{BackfillId, RunId};

/// Where a run comes from, when it is not its job's schedule alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunLinks {
    /// The backfill that it is a part of.
    pub backfill: Option<BackfillId>,
    /// The run whose end started it.
    pub upstream_run: Option<RunId>,
    /// The final run that it runs again.
    pub retry_of: Option<RunId>,
}
