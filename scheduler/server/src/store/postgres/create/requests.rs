//! Idempotency keys of runs: which run holds each.

use std::collections::HashMap;

use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::name::JobName;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::rows;
use super::resolve::{Ready, Resolved};
use crate::store::StoreError;

/// Namespace and request id.
type Key = (String, String);

/// Which run holds each idempotency key of a call, in a transaction that has not ended.
pub(super) struct Holders {
    /// With the name of its job.
    known: HashMap<Key, (RunId, Option<JobName>)>,
}

impl Holders {
    /// Writes the idempotency keys down and reads who holds them.
    pub(super) async fn claim(tx: &mut PgConnection, runs: &[&Ready]) -> Result<Self, StoreError> {
        let mut claims: Vec<(Key, Uuid, Option<Uuid>)> = runs
            .iter()
            .filter_map(|Ready { run, .. }| Some((key(run)?, run.id.0, run.job_id().map(|job| job.0))))
            .collect();
        // In one order everywhere, so that two callers with the same keys wait for each other instead of
        // deadlocking.
        claims.sort();
        let namespaces: Vec<_> = claims.iter().map(|((namespace, _), ..)| namespace.clone()).collect();
        let requests: Vec<_> = claims.iter().map(|((_, request), ..)| request.clone()).collect();
        let ids: Vec<_> = claims.iter().map(|(_, id, _)| *id).collect();
        let jobs: Vec<_> = claims.iter().map(|(.., job)| *job).collect();
        sqlx::query_file!(
            "src/store/postgres/claim_requests.sql",
            &namespaces,
            &requests,
            &ids,
            &jobs as &[Option<Uuid>]
        )
        .execute(&mut *tx)
        .await?;
        let mut known = HashMap::new();
        let rows = sqlx::query_file!("src/store/postgres/known_requests.sql", &namespaces, &requests);
        for row in rows.fetch_all(tx).await? {
            let job = row.job.map(|job| rows::parsed("job name", &job)).transpose()?;
            known.insert((row.namespace, row.request_id), (RunId(row.run_id), job));
        }
        Ok(Self { known })
    }

    /// The other run that holds this one's key, if any. A job made anew under its name is the same to its callers.
    ///
    /// # Errors
    /// When that run is of another job, or one of them of none.
    pub(super) fn holder(&self, run: &Resolved) -> Result<Option<RunId>, StoreError> {
        let Some((request, (holder, job))) =
            key(run).and_then(|key| Some((&run.request, self.known.get(&key)?)))
        else {
            return Ok(None);
        };
        if *holder == run.id {
            return Ok(None);
        }
        if job.as_ref() == run.job.as_ref().map(|(.., name)| name) {
            return Ok(Some(*holder));
        }
        let request = request.as_ref().map(|request| request.0.clone()).unwrap_or_default();
        Err(StoreError::RequestOfAnotherRun { request, run: *holder, job: job.clone() })
    }
}

fn key(run: &Resolved) -> Option<Key> {
    Some((run.namespace.to_string(), run.request.as_ref()?.0.clone()))
}
