//! Whether what stands in a due run's way really does.

use std::collections::HashSet;

use punctual_scheduler_domain::admission::Candidate;
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::Overlap;
use sqlx::{Postgres, Transaction};

use crate::store::StoreError;

/// Takes out the runs that only a run in the hands of another transaction stands in the way of: it may be ending, at an
/// instant before they were due. They are judged when it has; how many they are is answered. The others' obstacles do not
/// end before the transaction does.
pub(super) async fn defer_unclear(
    tx: &mut Transaction<'static, Postgres>,
    candidates: &mut Vec<Candidate>,
) -> Result<u32, StoreError> {
    let blocked: HashSet<JobId> = candidates
        .iter()
        .filter(|run| may_be_skipped(run) && run.unfinished)
        .filter_map(|run| run.job)
        .collect();
    if blocked.is_empty() {
        return Ok(0);
    }
    let jobs: Vec<_> = blocked.iter().map(|job| job.0).collect();
    let held: HashSet<_> = sqlx::query_file_scalar!("src/store/postgres/lock_unfinished.sql", &jobs)
        .fetch_all(&mut **tx)
        .await?
        .into_iter()
        .map(JobId)
        .collect();
    let before = candidates.len();
    candidates.retain(|run| {
        !may_be_skipped(run) || run.job.is_none_or(|job| !blocked.contains(&job) || held.contains(&job))
    });
    Ok(u32::try_from(before - candidates.len()).unwrap_or(u32::MAX))
}

/// A retry was judged when it was first admitted.
fn may_be_skipped(run: &Candidate) -> bool {
    run.overlap != Overlap::Allow && run.dispatch_seq == 0
}
