//! `JobService`.

use std::sync::Arc;

use prost::Message;
use punctual_proto::v1::{self, job_service_server::JobService};
use punctual_scheduler_domain::calendar::Calendars;
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::{Job, Task, validate_payload};
use punctual_scheduler_domain::schedule;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::actor::actor;
use super::batched::Batched;
use super::convert::{
    JobDefinition, JobKey, Preview, job_to_proto, occurrence_to_proto, read_etag, read_job, read_job_key,
    read_namespace, read_pause, read_preview, read_request_id, read_trigger_options,
};
use super::doorbells::Doorbells;
use super::error::ApiError;
use super::page;
use crate::database_clock::DatabaseClock;
use crate::store::{JobChange, NewJob, NewRun, RequestId, Revision, Store, StoreError};

/// How often an apply starts over when others change the job at the same time.
const APPLY_TRIES: u32 = 5;

/// Defines jobs and changes them.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) store: Arc<dyn Store>,
    pub(super) doorbells: Arc<dyn Doorbells>,
    pub(super) batched: Batched,
    pub(super) clock: DatabaseClock,
}

impl Jobs {
    async fn read(&self, key: &JobKey) -> Result<Job, ApiError> {
        let found = self.store.get_job(&key.namespace, &key.name).await?;
        found.ok_or_else(|| ApiError::from(no_such_job(key)))
    }

    async fn create(
        &self,
        definition: JobDefinition,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<Job, StoreError> {
        let JobDefinition { key, spec, .. } = definition;
        let (namespace, name) = (key.namespace.clone(), key.name.clone());
        let job = NewJob { id: JobId(Uuid::now_v7()), namespace, name, spec, author: by.to_owned() };
        self.store.create_job(job, request).await?;
        self.doorbells.wake();
        let created = self.store.get_job(&key.namespace, &key.name).await?;
        created.ok_or_else(|| no_such_job(&key)) // deleted meanwhile
    }

    async fn update(
        &self,
        definition: JobDefinition,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<Job, StoreError> {
        let JobDefinition { key, spec, revision } = definition;
        let change = JobChange::Update { spec: Box::new(spec), back_to: None };
        self.change(&key, change, revision, request, by).await
    }

    async fn change(
        &self,
        key: &JobKey,
        change: JobChange,
        revision: Option<Revision>,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<Job, StoreError> {
        let job = self.store.change_job(&key.namespace, &key.name, change, revision, request, by).await?;
        self.doorbells.wake();
        Ok(job)
    }

    /// The calendars that a preview's schedules name.
    async fn calendars_of(&self, preview: &Preview) -> Result<Calendars, ApiError> {
        let named: Vec<_> = preview.schedule.iter().flat_map(|spec| spec.exclude.iter().cloned()).collect();
        if named.is_empty() {
            return Ok(Calendars::default());
        }
        Ok(self.store.calendars(&preview.namespace, &named).await?)
    }

    /// Creates or updates, whichever it takes.
    async fn apply(
        &self,
        definition: &JobDefinition,
        request: Option<RequestId>,
        by: &str,
    ) -> Result<v1::ApplyJobResponse, ApiError> {
        use v1::apply_job_response::Outcome::{Created, Unchanged, Updated};
        let mut tries = 1..=APPLY_TRIES;
        loop {
            let found = self.store.get_job(&definition.key.namespace, &definition.key.name).await?;
            let applied = match &found {
                None => self.create(definition.clone(), request.clone(), by).await.map(|job| (job, Created)),
                Some(job) if job.spec == definition.spec => Ok((job.clone(), Unchanged)),
                Some(job) => {
                    // An update replaces what was just compared with, or what the caller saw.
                    let revision = definition.revision.or(Some(job.revision));
                    let definition = JobDefinition { revision, ..definition.clone() };
                    self.update(definition, request.clone(), by).await.map(|job| (job, Updated))
                }
            };
            match applied {
                Ok((job, outcome)) => {
                    return Ok(v1::ApplyJobResponse {
                        job: Some(job_to_proto(&job)),
                        outcome: outcome.into(),
                    });
                }
                Err(error) if is_race(&error, definition, found.is_some()) && tries.next().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether somebody else changed the job between the look and the change.
fn is_race(error: &StoreError, definition: &JobDefinition, existed: bool) -> bool {
    match error {
        StoreError::JobExists { .. } => !existed,
        StoreError::NoSuchJob { .. } => existed,
        StoreError::StaleRevision { .. } => definition.revision.is_none(),
        StoreError::UnknownNamespace(_)
        | StoreError::InvalidDefinition(_)
        | StoreError::NamespaceExists(_)
        | StoreError::NamespaceNotEmpty { .. }
        | StoreError::NoSuchCalendar { .. }
        | StoreError::CalendarInUse { .. }
        | StoreError::RequestReused(_)
        | StoreError::RequestOfAnotherRun { .. }
        | StoreError::RunIsFinal { .. }
        | StoreError::SchemaVersion { .. }
        | StoreError::Definition { .. }
        | StoreError::Database(_) => false,
    }
}

fn no_such_job(key: &JobKey) -> StoreError {
    StoreError::NoSuchJob { namespace: key.namespace.clone(), name: key.name.clone() }
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn create_job(&self, request: Request<v1::CreateJobRequest>) -> Result<Response<v1::Job>, Status> {
        let by = actor(&request);
        let v1::CreateJobRequest { job, request_id } = request.into_inner();
        let request = read_request_id(request_id)?;
        let job = self.create(read_job(job)?, request, &by).await?;
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn apply_job(
        &self,
        request: Request<v1::ApplyJobRequest>,
    ) -> Result<Response<v1::ApplyJobResponse>, Status> {
        let by = actor(&request);
        let v1::ApplyJobRequest { job, request_id } = request.into_inner();
        let request = read_request_id(request_id)?;
        Ok(Response::new(self.apply(&read_job(job)?, request, &by).await?))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let v1::GetJobRequest { namespace, name } = request.into_inner();
        let job = self.read(&read_job_key(&namespace, &name)?).await?;
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let namespace = read_namespace(&request.namespace)?;
        let size = page::size(request.page_size)?;
        let after = page::read_token(&request.page_token)?;
        let found =
            self.store.list_jobs(&namespace, after.as_ref(), size + 1).await.map_err(ApiError::from)?;
        let jobs = found.iter().map(job_to_proto).collect();
        let (jobs, next_page_token) = page::cut(jobs, size, v1::Job::encoded_len, |job| job.name.clone());
        Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token }))
    }

    async fn update_job(&self, request: Request<v1::UpdateJobRequest>) -> Result<Response<v1::Job>, Status> {
        let by = actor(&request);
        let v1::UpdateJobRequest { job, request_id } = request.into_inner();
        let request = read_request_id(request_id)?;
        let job = self.update(read_job(job)?, request, &by).await?;
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let by = actor(&request);
        let v1::DeleteJobRequest { namespace, name, etag, request_id } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let request = read_request_id(request_id)?;
        let revision = read_etag(&etag)?;
        self.change(&key, JobChange::Delete, revision, request, &by).await?;
        Ok(Response::new(v1::DeleteJobResponse {}))
    }

    async fn pause_job(&self, request: Request<v1::PauseJobRequest>) -> Result<Response<v1::Job>, Status> {
        let actor = actor(&request);
        let v1::PauseJobRequest { namespace, name, reason, request_id, until, by } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let request = read_request_id(request_id)?;
        let by = if by.is_empty() { actor } else { by };
        let change = read_pause(reason, by.clone(), until, self.clock.now())?;
        let job = self.change(&key, change, None, request, &by).await?;
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn resume_job(&self, request: Request<v1::ResumeJobRequest>) -> Result<Response<v1::Job>, Status> {
        let by = actor(&request);
        let v1::ResumeJobRequest { namespace, name, request_id, catch_up } = request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let request = read_request_id(request_id)?;
        let job = self.change(&key, JobChange::Resume { catch_up }, None, request, &by).await?;
        Ok(Response::new(job_to_proto(&job)))
    }

    async fn trigger_job(
        &self,
        request: Request<v1::TriggerJobRequest>,
    ) -> Result<Response<v1::TriggerJobResponse>, Status> {
        let v1::TriggerJobRequest { namespace, name, request_id, payload, overlap, priority } =
            request.into_inner();
        let key = read_job_key(&namespace, &name)?;
        let request = read_request_id(request_id)?;
        let options = read_trigger_options(overlap, priority)?;
        if let Some(payload) = &payload {
            validate_payload(payload).map_err(|error| ApiError::Invalid(vec![error]))?;
            if matches!(self.read(&key).await?.spec.task, Task::Exec(_)) {
                let why = format!("job {} runs a program, which takes no payload", key.name);
                return Err(ApiError::field("payload", why).into());
            }
        }
        let JobKey { namespace, name: job } = key;
        let run = NewRun::Trigger { id: RunId(Uuid::now_v7()), namespace, job, payload, options, request };
        let created = self.batched.create(run).await?;
        Ok(Response::new(v1::TriggerJobResponse { run_id: created.id.to_string() }))
    }

    async fn preview_schedule(
        &self,
        request: Request<v1::PreviewScheduleRequest>,
    ) -> Result<Response<v1::PreviewScheduleResponse>, Status> {
        let preview = read_preview(request.get_ref())?;
        let from = preview.from.unwrap_or_else(|| self.clock.now());
        // Thousands of instants of a hundred schedules take a while, in which others want to be served.
        let calendars = self.calendars_of(&preview).await?;
        let walk =
            move || schedule::preview(&preview.schedule, &calendars, from, preview.until, preview.count);
        let occurrences = match tokio::task::spawn_blocking(walk).await {
            Ok(Ok(occurrences)) => occurrences,
            Ok(Err(error)) => return Err(ApiError::field("schedule", error.to_string()).into()),
            Err(_stopped_or_panicked) => return Err(ApiError::Stopping.into()),
        };
        let occurrences = occurrences.into_iter().map(occurrence_to_proto).collect();
        Ok(Response::new(v1::PreviewScheduleResponse { occurrences }))
    }
}
