//! `AuditService`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use punctual_proto::v1::{self, audit_service_server::AuditService};
use punctual_scheduler_domain::audit::Timeline;
use punctual_scheduler_domain::explain::{InstantFacts, explain};
use punctual_scheduler_domain::schedule::ScheduleSet;
use tonic::{Request, Response, Status};

use super::actor::actor;
use super::convert::{
    Explained, ExplainedRun, JobKey, event_to_proto, explained_to_proto, job_to_proto, read_etag,
    read_instant, read_job_key, read_request_id, read_window, reconciled_to_proto, version_to_proto,
};
use super::doorbells::Doorbells;
use super::error::ApiError;
use super::page;
use crate::reconciler;
use crate::store::{
    InstantRun, JobChange, JobRecord, JobVersion, RecordSelection, RecordsOf, Store, StoreError,
};

/// Instants that one reconciliation looks at.
const MOST_INSTANTS: usize = 100_000;
/// Jobs of one name, deleted ones included, that are looked at.
const MOST_OF_NAME: u32 = 100;
/// What a reconciliation looks at when nothing is said.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// Says what was done to jobs, and what became of their instants.
#[derive(Clone)]
pub(super) struct Audit {
    pub(super) store: Arc<dyn Store>,
    pub(super) doorbells: Arc<dyn Doorbells>,
}

impl Audit {
    /// One version, and the one before it.
    async fn version(
        &self,
        key: &JobKey,
        version: u32,
    ) -> Result<(JobVersion, Option<JobVersion>), ApiError> {
        let before = version.checked_add(1);
        let mut found = self.store.job_versions(&key.namespace, &key.name, before, 2).await?.into_iter();
        match found.next() {
            Some(newest) if newest.version == version => Ok((newest, found.next())),
            Some(_) | None => Err(ApiError::NoSuchVersion { job: key.name.clone(), version }),
        }
    }

    /// What is on record of the jobs of a name, the latest first.
    async fn records(
        &self,
        key: &JobKey,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<JobRecord>, ApiError> {
        let of = RecordsOf::Name(key.namespace.clone(), key.name.clone());
        let selection = RecordSelection { of, from, until, limit: MOST_OF_NAME };
        let found = self.store.job_records(&selection).await?;
        if found.is_empty() {
            let JobKey { namespace, name } = key.clone();
            return Err(StoreError::NoSuchJob { namespace, name }.into());
        }
        Ok(found)
    }

    async fn explain(&self, key: &JobKey, at: DateTime<Utc>) -> Result<v1::ExplainInstantResponse, ApiError> {
        let now = self.store.database_time().await?;
        let mut records = self.records(key, at, at + TimeDelta::microseconds(1)).await?;
        // Of several that bore the name, the latest that was there; before all of them, the first.
        let made_before = |record: &JobRecord| record.events.first().is_some_and(|first| first.at < at);
        let place = records.iter().position(made_before).unwrap_or(records.len() - 1);
        let record = records.swap_remove(place);
        let timeline = Timeline::new(&record.events);
        let first = record.events.first().map_or(1, |first| first.version);
        let version = timeline.at(at).map_or(first, |standing| standing.version);
        let spec = self.store.job_specs(&[(record.id, version)]).await?.remove(&(record.id, version));
        let schedule = spec.as_ref().map_or_else(
            || Err("its definition cannot be read".to_owned()),
            |spec| {
                ScheduleSet::compile_for(&spec.schedule, record.created_at).map_err(|error| error.to_string())
            },
        );
        let mut runs = Vec::new();
        for InstantRun { run, node } in self.store.runs_of_instant(record.id, at).await? {
            let found = self.store.get_run(run).await?;
            runs.extend(found.map(|(run, attempts)| ExplainedRun { run, attempts, node }));
        }
        let facts = InstantFacts {
            at,
            now,
            timeline,
            schedule: schedule.as_ref().map_err(String::as_str),
            next_due_at: record.next_due_at,
            runs: runs.len(),
            missed: record.missed.first().copied(),
        };
        let explanation = explain(&facts);
        Ok(explained_to_proto(Explained { at, record: &record, spec: spec.as_ref(), explanation, runs }))
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_job_versions(
        &self,
        request: Request<v1::ListJobVersionsRequest>,
    ) -> Result<Response<v1::ListJobVersionsResponse>, Status> {
        let request = request.into_inner();
        let key = read_job_key(&request.namespace, &request.name)?;
        let size = page::size(request.page_size)?;
        let before = page::read_token(&request.page_token)?;
        // One more shows the end, and another what the last one of the page differs from.
        let found = self.store.job_versions(&key.namespace, &key.name, before, size + 2).await?;
        let shown = found.iter().zip(found.iter().skip(1).map(Some).chain([None]));
        let versions: Vec<_> = shown
            .take(size as usize + 1)
            .map(|(version, before)| version_to_proto(&key, version, before))
            .collect();
        let (versions, next_page_token) =
            page::cut(versions, size, v1::JobVersion::encoded_len, |version| version.version.to_string());
        Ok(Response::new(v1::ListJobVersionsResponse { versions, next_page_token }))
    }

    async fn get_job_version(
        &self,
        request: Request<v1::GetJobVersionRequest>,
    ) -> Result<Response<v1::JobVersion>, Status> {
        let v1::GetJobVersionRequest { namespace, name, version } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let (version, before) = self.version(&key, version).await?;
        Ok(Response::new(version_to_proto(&key, &version, before.as_ref())))
    }

    async fn rollback_job(
        &self,
        request: Request<v1::RollbackJobRequest>,
    ) -> Result<Response<v1::Job>, Status> {
        let by = actor(&request);
        let v1::RollbackJobRequest { namespace, name, version, etag, request_id } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let revision = read_etag(&etag)?;
        let request = read_request_id(request_id)?;
        let (JobVersion { spec, .. }, _) = self.version(&key, version).await?;
        let change = JobChange::Update { spec: Box::new(spec), back_to: Some(version) };
        let job = self.store.change_job(&key.namespace, &key.name, change, revision, request, &by).await?;
        self.doorbells.wake();
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn list_job_events(
        &self,
        request: Request<v1::ListJobEventsRequest>,
    ) -> Result<Response<v1::ListJobEventsResponse>, Status> {
        let request = request.into_inner();
        let key = read_job_key(&request.namespace, &request.name)?;
        let size = page::size(request.page_size)?;
        let before = page::read_token(&request.page_token)?;
        let found = self.store.job_events(&key.namespace, &key.name, before, size + 1).await?;
        let events: Vec<_> = found.iter().map(|found| (found.id, event_to_proto(&found.event))).collect();
        let (events, next_page_token) =
            page::cut(events, size, |(_, event)| event.encoded_len(), |(id, _)| id.to_string());
        let events = events.into_iter().map(|(_, event)| event).collect();
        Ok(Response::new(v1::ListJobEventsResponse { events, next_page_token }))
    }

    async fn explain_instant(
        &self,
        request: Request<v1::ExplainInstantRequest>,
    ) -> Result<Response<v1::ExplainInstantResponse>, Status> {
        let v1::ExplainInstantRequest { namespace, name, at } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let at = read_instant("at", at.as_ref())?;
        Ok(Response::new(self.explain(&key, at).await?))
    }

    async fn reconcile_job(
        &self,
        request: Request<v1::ReconcileJobRequest>,
    ) -> Result<Response<v1::ReconcileJobResponse>, Status> {
        let request = request.into_inner();
        let key = read_job_key(&request.namespace, &request.name)?;
        let now = self.store.database_time().await?;
        let (from, until) = read_window(request.from.as_ref(), request.until.as_ref(), now, WINDOW)?;
        let record = self.records(&key, from, until).await?.swap_remove(0);
        let store = &*self.store;
        let found = reconciler::one(store, &record, from, until, MOST_INSTANTS).await?;
        let found = found.ok_or_else(|| ApiError::NoWholeRecord(key.name.clone()))?;
        Ok(Response::new(reconciled_to_proto(&found, from, until)))
    }
}
