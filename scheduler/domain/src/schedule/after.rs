//! The names that a schedule which waits for other jobs gives.

use std::collections::BTreeSet;

use super::ScheduleError;
use crate::after::MOST_UPSTREAMS;
use crate::name::JobName;

/// Checks what can be seen without knowing the jobs.
pub(super) fn check(jobs: &[JobName]) -> Result<(), ScheduleError> {
    if jobs.is_empty() || jobs.len() > MOST_UPSTREAMS {
        return Err(ScheduleError::UpstreamCount { given: jobs.len() });
    }
    let mut seen = BTreeSet::new();
    match jobs.iter().find(|job| !seen.insert(*job)) {
        Some(twice) => Err(ScheduleError::UpstreamTwice { job: twice.clone() }),
        None => Ok(()),
    }
}
