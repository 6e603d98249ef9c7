//! Definitions of jobs, remembered: a version never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use punctual_scheduler_domain::concurrency::{KeyClaim, KeyPath};
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::{JobSpec, Task};
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::schedule::{ScheduleError, ScheduleSet};
use punctual_scheduler_domain::timeouts::Timeouts;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::rows;
use crate::store::StoreError;

/// Beyond this much the memory is emptied and fills again: a bound, not a tuning knob.
const MOST_BYTES: usize = 128 << 20;
/// What a definition takes beside its payload, roughly: its schedules, its policies, its places in maps.
const OWN_BYTES: usize = 4 << 10;

/// A job's definition, ready for use.
pub(super) struct Definition {
    pub(super) namespace: Namespace,
    pub(super) spec: JobSpec,
    /// What a worker gets.
    pub(super) payload: String,
    /// The key of its runs as their rows keep it, unless they have payloads of their own.
    pub(super) key_path: Option<String>,
    /// As evaluated now; an error makes the job `errored`.
    pub(super) schedule: Result<ScheduleSet, ScheduleError>,
}

/// The definition of a run that is not its job's, as `run_spec` keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OwnDefinition {
    pub(super) task: Task,
    pub(super) retry: RetryPolicy,
    pub(super) timeouts: Timeouts,
}

pub(super) type Version = (JobId, i32);

#[derive(Default)]
pub(super) struct Definitions {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    definitions: HashMap<Version, Arc<Definition>>,
    bytes: usize,
}

impl Known {
    fn insert(&mut self, version: Version, definition: Arc<Definition>) {
        // The payload is in the specification too.
        let bytes = OWN_BYTES + 2 * definition.payload.len();
        if self.bytes + bytes > MOST_BYTES {
            *self = Self::default();
        }
        if self.definitions.insert(version, definition).is_none() {
            self.bytes += bytes;
        }
    }
}

impl Definitions {
    /// The definitions of these versions, read in one statement where they are not known yet.
    pub(super) async fn get(
        &self,
        executor: impl PgExecutor<'_>,
        versions: impl IntoIterator<Item = Version>,
    ) -> Result<HashMap<Version, Arc<Definition>>, StoreError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for version in versions {
                match known.definitions.get(&version) {
                    Some(definition) => {
                        found.insert(version, Arc::clone(definition));
                    }
                    None => missing.push(version),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let (jobs, versions): (Vec<_>, Vec<_>) =
            missing.iter().map(|(job, version)| (job.0, *version)).unzip();
        let rows = sqlx::query_file!("src/store/postgres/definition.sql", &jobs, &versions)
            .fetch_all(executor)
            .await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let what = format!("job {} version {}", row.name, row.version);
            let spec: JobSpec = match rows::definition(&what, row.spec) {
                Ok(spec) => spec,
                // Written by a later release, say. The rest of the batch must not suffer for it.
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "leaving out {what}");
                    continue;
                }
            };
            let payload = spec.task.payload();
            let namespace: Namespace = rows::parsed("namespace", &row.namespace)?;
            let key_path =
                |claim: KeyClaim| KeyPath { namespace: namespace.clone(), key: claim.key }.to_string();
            let definition = Arc::new(Definition {
                key_path: spec.key_claim(&payload).map(key_path),
                namespace,
                payload,
                schedule: ScheduleSet::compile_for(&spec.schedule, row.created_at),
                spec,
            });
            known.insert((JobId(row.job_id), row.version), Arc::clone(&definition));
            found.insert((JobId(row.job_id), row.version), definition);
        }
        Ok(found)
    }
}
