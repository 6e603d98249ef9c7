//! `RunService`.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::Stream;
use prost::Message;
use punctual_proto::v1::{self, run_service_server::RunService};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::batched::Batched;
use super::convert::{
    Fields, MAX_REASON, read_new_run, read_request_id, read_run_filter, read_run_id, read_selection,
    run_to_proto,
};
use super::doorbells::Doorbells;
use super::error::ApiError;
use super::page;
use super::watch::Watch;
use crate::store::{Attempt, NewRun, Run, RunLinks, Store};

/// Watches followed at once. Each asks the store five times a second.
const MAX_WATCHES: usize = 100;

/// Creates one-off runs, and looks at, follows and cancels any.
#[derive(Clone)]
pub(super) struct Runs {
    store: Arc<dyn Store>,
    doorbells: Arc<dyn Doorbells>,
    batched: Batched,
    watches: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Runs {
    /// Watches end with `shutdown`.
    pub(super) fn new(
        store: Arc<dyn Store>,
        doorbells: Arc<dyn Doorbells>,
        batched: Batched,
        shutdown: CancellationToken,
    ) -> Self {
        Self { store, doorbells, batched, watches: Arc::new(Semaphore::new(MAX_WATCHES)), shutdown }
    }

    async fn read(&self, id: RunId) -> Result<(Run, Vec<Attempt>), ApiError> {
        self.store.get_run(id).await?.ok_or(ApiError::NoSuchRun(id))
    }

    /// Says where a run that is due now can be queued at once, if anywhere.
    fn place(&self, run: &mut NewRun) {
        if let NewRun::OneOff(run) = run
            && run.run_at.is_none()
            && run.concurrency.is_none()
        {
            run.node = self.doorbells.room_for(&run.namespace, &run.task_queue, &run.task.kind());
        }
    }
}

#[tonic::async_trait]
impl RunService for Runs {
    async fn create_run(&self, request: Request<v1::CreateRunRequest>) -> Result<Response<v1::Run>, Status> {
        let mut request = request.into_inner();
        let request_id = read_request_id(std::mem::take(&mut request.request_id))?;
        let mut run = read_new_run(RunId(Uuid::now_v7()), &request, request_id)?;
        self.place(&mut run);
        let draft = draft(&run);
        let created = self.batched.create(run).await?;
        let run = match (draft, created.created_at) {
            (Some(draft), Some(at)) => draft(created.dispatch.is_some(), at),
            _ => self.read(created.id).await?.0,
        };
        Ok(Response::new(run_to_proto(run, Vec::new())))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (run, attempts) = self.read(read_run_id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(run_to_proto(run, attempts)))
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        let (selection, size) = read_selection(request.get_ref())?;
        let runs = self.store.list_runs(&selection).await?;
        let runs = runs.into_iter().map(|run| run_to_proto(run, Vec::new())).collect();
        let (runs, next_page_token) = page::cut(runs, size, v1::Run::encoded_len, |run| run.id.clone());
        Ok(Response::new(v1::ListRunsResponse { runs, next_page_token }))
    }

    type WatchRunsStream = Pin<Box<dyn Stream<Item = Result<v1::Run, Status>> + Send>>;

    async fn watch_runs(
        &self,
        request: Request<v1::WatchRunsRequest>,
    ) -> Result<Response<Self::WatchRunsStream>, Status> {
        let v1::WatchRunsRequest { namespace, job, id } = request.into_inner();
        let mut filter = read_run_filter(&namespace, &job, &id)?;
        let place = Arc::clone(&self.watches).try_acquire_owned();
        let place = place.map_err(|_| ApiError::TooManyWatches(MAX_WATCHES))?;
        if let Some(id) = filter.run {
            let (run, _) = self.read(id).await?;
            // An id says where its run is; a namespace given beside it must be the right one.
            if !namespace.is_empty() && filter.namespace != run.namespace {
                return Err(ApiError::NoSuchRun(id).into());
            }
            filter.namespace = run.namespace;
        }
        let watch = Watch { store: Arc::clone(&self.store), filter, shutdown: self.shutdown.clone(), place };
        Ok(Response::new(Box::pin(watch.stream())))
    }

    async fn cancel_run(&self, request: Request<v1::CancelRunRequest>) -> Result<Response<v1::Run>, Status> {
        let v1::CancelRunRequest { id, reason } = request.into_inner();
        let id = read_run_id("id", &id)?;
        let mut fields = Fields::new();
        let reason = fields.text("reason", reason, MAX_REASON);
        let reason = fields.finish(Some(reason))?;
        let run = self.store.cancel_run(id, &reason).await?.ok_or(ApiError::NoSuchRun(id))?;
        Ok(Response::new(run_to_proto(run, Vec::new())))
    }
}

/// Makes of a one-off run, once it is known whether it was queued and when it was created, what the statement that created
/// it wrote down, without asking for it again.
fn draft(run: &NewRun) -> Option<impl FnOnce(bool, DateTime<Utc>) -> Run + use<>> {
    let NewRun::OneOff(run) = run else { return None };
    let (id, run_at, kind, priority) = (run.id, run.run_at, run.task.kind(), run.priority);
    let key = run.concurrency.as_ref().map(|each| each.claim(&run.task.payload(), &Default::default()).key);
    let (namespace, task_queue) = (run.namespace.clone(), run.task_queue.clone());
    Some(move |queued, created_at| Run {
        id,
        namespace,
        job: String::new(),
        job_version: 0,
        origin: RunOrigin::OneOff,
        state: if queued { RunState::Queued } else { RunState::Scheduled },
        reason: String::new(),
        due_at: run_at.unwrap_or(created_at),
        run_at: run_at.unwrap_or(created_at),
        task_queue,
        kind,
        priority,
        concurrency_key: key.unwrap_or_default(),
        attempts: 0,
        tries_used: 0,
        created_at,
        started_at: None,
        ended_at: None,
        error: String::new(),
        result: String::new(),
        progress: 0.0,
        progress_note: String::new(),
        cancel_requested: false,
        links: RunLinks::default(),
    })
}
