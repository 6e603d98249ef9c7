//! `BackfillService`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::Message;
use punctual_proto::v1::{self, backfill_service_server::BackfillService};
use punctual_scheduler_domain::backfill::{MOST_INSTANTS, Survey, survey};
use punctual_scheduler_domain::calendar::Calendars;
use punctual_scheduler_domain::id::BackfillId;
use punctual_scheduler_domain::job::Job;
use punctual_scheduler_domain::schedule::ScheduleSet;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::actor::actor;
use super::convert::{
    Fields, MAX_REASON, backfill_to_proto, read_backfill, read_backfill_id, read_backfills, read_request_id,
    timestamp_to_proto,
};
use super::doorbells::Doorbells;
use super::error::ApiError;
use super::page;
use crate::store::{NewBackfill, Store, StoreError};

/// Instants that an answer shows.
const SHOWN: usize = 20;
/// How often it starts over when the job is changed while its instants are counted.
const TRIES: usize = 5;

/// Makes backfills and looks after them.
#[derive(Clone)]
pub(super) struct Backfills {
    pub(super) store: Arc<dyn Store>,
    pub(super) doorbells: Arc<dyn Doorbells>,
}

/// Counts the instants of a range, which takes a while for many, in which others want to be served.
async fn count(
    job: &Job,
    calendars: Calendars,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Survey, ApiError> {
    let (schedule, created_at) = (job.spec.schedule.clone(), job.created_at);
    let walk = move || {
        let schedule = ScheduleSet::compile_for(&schedule, created_at)?;
        survey(&schedule, &calendars, from, until, SHOWN)
    };
    let found = match tokio::task::spawn_blocking(walk).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(ApiError::field("job", error.to_string())),
        Err(_stopped_or_panicked) => return Err(ApiError::Stopping),
    };
    if found.instants > MOST_INSTANTS {
        let why = format!("the range has more than {MOST_INSTANTS} instants: split it");
        return Err(ApiError::field("until", why));
    }
    Ok(found)
}

#[tonic::async_trait]
impl BackfillService for Backfills {
    async fn create_backfill(
        &self,
        request: Request<v1::CreateBackfillRequest>,
    ) -> Result<Response<v1::CreateBackfillResponse>, Status> {
        let by = actor(&request);
        let mut request = request.into_inner();
        let request_id = read_request_id(std::mem::take(&mut request.request_id))?;
        let now = self.store.database_time().await?;
        let asked = read_backfill(&request, now)?;
        for _ in 0..TRIES {
            let (namespace, name) = (&asked.job.namespace, &asked.job.name);
            let job = self
                .store
                .get_job(namespace, name)
                .await?
                .ok_or_else(|| StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() })?;
            let named: Vec<_> = job.spec.schedule.iter().flat_map(|spec| spec.exclude.clone()).collect();
            let calendars = if named.is_empty() {
                Calendars::default()
            } else {
                self.store.calendars(namespace, &named).await?
            };
            let found = count(&job, calendars, asked.from, asked.until).await?;
            let mut answer = v1::CreateBackfillResponse {
                backfill: None,
                instants: found.instants,
                first: found.first.into_iter().map(timestamp_to_proto).collect(),
            };
            if request.dry_run {
                return Ok(Response::new(answer));
            }
            if found.instants == 0 {
                return Err(ApiError::field("from", "the job has no instant in this range").into());
            }
            let new = NewBackfill {
                id: BackfillId(Uuid::now_v7()),
                job: job.id,
                version: job.version,
                from: asked.from,
                until: asked.until,
                overlap: asked.overlap,
                instants: found.instants,
                author: by.clone(),
            };
            if let Some(made) = self.store.create_backfill(new, request_id.clone()).await? {
                self.doorbells.wake();
                answer.backfill = Some(backfill_to_proto(made));
                return Ok(Response::new(answer));
            }
        }
        Err(ApiError::JobKeepsChanging(asked.job.name).into())
    }

    async fn get_backfill(
        &self,
        request: Request<v1::GetBackfillRequest>,
    ) -> Result<Response<v1::Backfill>, Status> {
        let id = read_backfill_id(&request.get_ref().id)?;
        let found = self.store.get_backfill(id).await?.ok_or(ApiError::NoSuchBackfill(id))?;
        Ok(Response::new(backfill_to_proto(found)))
    }

    async fn list_backfills(
        &self,
        request: Request<v1::ListBackfillsRequest>,
    ) -> Result<Response<v1::ListBackfillsResponse>, Status> {
        let (selection, size) = read_backfills(request.get_ref())?;
        let found = self.store.list_backfills(&selection).await?;
        let found = found.into_iter().map(backfill_to_proto).collect();
        let (backfills, next_page_token) =
            page::cut(found, size, v1::Backfill::encoded_len, |backfill| backfill.id.clone());
        Ok(Response::new(v1::ListBackfillsResponse { backfills, next_page_token }))
    }

    async fn cancel_backfill(
        &self,
        request: Request<v1::CancelBackfillRequest>,
    ) -> Result<Response<v1::Backfill>, Status> {
        let v1::CancelBackfillRequest { id, reason, request_id } = request.into_inner();
        let id = read_backfill_id(&id)?;
        // A repeat changes nothing by itself.
        read_request_id(request_id)?;
        let mut fields = Fields::new();
        let reason = fields.text("reason", reason, MAX_REASON);
        let reason = fields.finish(Some(reason))?;
        let found = self.store.cancel_backfill(id, &reason).await?.ok_or(ApiError::NoSuchBackfill(id))?;
        Ok(Response::new(backfill_to_proto(found)))
    }
}
