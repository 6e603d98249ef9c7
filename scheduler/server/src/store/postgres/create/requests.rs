//! Idempotency keys of runs: which run holds each.

use std::collections::HashMap;

use punctual_scheduler_domain::id::RunId;
use sqlx::PgConnection;

use super::resolve::{Ready, Resolved};
use crate::store::StoreError;

/// Which run holds each idempotency key of a call, in a transaction that has not ended.
pub(super) struct Holders {
    known: HashMap<(String, String), RunId>,
}

impl Holders {
    /// Writes the idempotency keys down and reads who holds them.
    pub(super) async fn claim(tx: &mut PgConnection, runs: &[Ready]) -> Result<Self, StoreError> {
        let mut keys: Vec<_> =
            runs.iter().filter_map(|Ready { run, .. }| key(run).map(|(n, r)| (n, r, run.id.0))).collect();
        // In one order everywhere, so that two callers with the same keys wait for each other instead of
        // deadlocking.
        keys.sort();
        let namespaces: Vec<_> = keys.iter().map(|key| key.0.clone()).collect();
        let requests: Vec<_> = keys.iter().map(|key| key.1.clone()).collect();
        let ids: Vec<_> = keys.iter().map(|key| key.2).collect();
        sqlx::query_file!("src/store/postgres/claim_requests.sql", &namespaces, &requests, &ids)
            .execute(&mut *tx)
            .await?;
        let known = sqlx::query_file!("src/store/postgres/known_requests.sql", &namespaces, &requests)
            .fetch_all(tx)
            .await?;
        let known = known.into_iter().map(|row| ((row.namespace, row.request_id), RunId(row.run_id)));
        Ok(Self { known: known.collect() })
    }

    /// The other run that holds this one's key.
    pub(super) fn holder(&self, run: &Resolved) -> Option<RunId> {
        self.known.get(&key(run)?).copied().filter(|holder| *holder != run.id)
    }
}

fn key(run: &Resolved) -> Option<(String, String)> {
    Some((run.namespace.to_string(), run.request.as_ref()?.0.clone()))
}
