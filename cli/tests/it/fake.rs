//! A stand-in for a scheduler: answers from memory, and says no where it is told to.

mod places;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prost_types::Timestamp;
use punctual_proto::v1::apply_job_response::Outcome;
use punctual_proto::v1::calendar_service_server::CalendarServiceServer;
use punctual_proto::v1::job_service_server::{JobService, JobServiceServer};
use punctual_proto::v1::namespace_service_server::NamespaceServiceServer;
use punctual_proto::v1::preview_schedule_response::Occurrence;
use punctual_proto::v1::run_service_server::{RunService, RunServiceServer};
use punctual_proto::v1::task_queue_service_server::{TaskQueueService, TaskQueueServiceServer};
use punctual_proto::v1::{self, Job, JobState, Run, RunState, TaskQueue};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What the stand-in knows and was asked.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) runs: Vec<Run>,
    pub(crate) task_queues: BTreeMap<String, TaskQueue>,
    pub(crate) calendars: BTreeMap<String, v1::Calendar>,
    pub(crate) namespaces: BTreeMap<String, v1::Namespace>,
    /// Each call: its name, and the id that came with it.
    pub(crate) calls: Vec<(&'static str, String)>,
    /// What each opening of a stream of runs gives, one after the other; after the last, the stream stays open.
    pub(crate) streams: Vec<Vec<Run>>,
    /// Said to every call.
    pub(crate) refuse: Option<(Code, String)>,
    /// The token that calls must show.
    pub(crate) token: Option<String>,
}

/// A stand-in that serves until dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_with(State::default()).await
    }

    pub(crate) async fn start_with(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let service = Service(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move {
            tonic::transport::Server::builder()
                .add_service(CalendarServiceServer::new(service.clone()))
                .add_service(NamespaceServiceServer::new(service.clone()))
                .add_service(JobServiceServer::new(service.clone()))
                .add_service(RunServiceServer::new(service.clone()))
                .add_service(TaskQueueServiceServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Self { url, state, _server: server }
    }

    pub(crate) fn calls(&self, name: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(call, _)| *call == name).map(|(_, id)| id.clone()).collect()
    }
}

/// A run in this state.
pub(crate) fn a_run(id: &str, state: RunState) -> Run {
    Run {
        id: id.to_owned(),
        namespace: "default".to_owned(),
        job: "tick".to_owned(),
        state: state.into(),
        attempts: u32::from(state != RunState::Scheduled),
        due_at: Some(Timestamp { seconds: 1_796_115_600, nanos: 0 }),
        ..Run::default()
    }
}

#[derive(Debug, Clone)]
struct Service(Arc<Mutex<State>>);

impl Service {
    fn call<T>(
        &self,
        name: &'static str,
        id: &str,
        request: &Request<T>,
    ) -> Result<std::sync::MutexGuard<'_, State>, Status> {
        let mut state = self.0.lock().unwrap();
        state.calls.push((name, id.to_owned()));
        if let Some((code, message)) = &state.refuse {
            return Err(Status::new(*code, message.clone()));
        }
        if let Some(token) = &state.token {
            let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            if shown != Some(&format!("Bearer {token}")) {
                return Err(Status::unauthenticated("this scheduler wants a token"));
            }
        }
        Ok(state)
    }
}

fn no_job(name: &str) -> Status {
    Status::not_found(format!("job {name} does not exist"))
}

#[tonic::async_trait]
impl JobService for Service {
    async fn create_job(&self, request: Request<v1::CreateJobRequest>) -> Result<Response<Job>, Status> {
        drop(self.call("create_job", "", &request)?);
        Err(Status::unimplemented(""))
    }

    async fn apply_job(
        &self,
        request: Request<v1::ApplyJobRequest>,
    ) -> Result<Response<v1::ApplyJobResponse>, Status> {
        let mut state = self.call("apply_job", &request.get_ref().request_id, &request)?;
        let mut job = request.into_inner().job.unwrap();
        if job.name.contains(' ') {
            let mut details = ErrorDetails::with_bad_request_violation("job.name", "has a space in it");
            details.add_bad_request_violation("job.schedule[0].cron", "position 3: `8` is no weekday");
            return Err(Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details));
        }
        job.set_state(JobState::Active);
        job.version = 1;
        let earlier = state.jobs.insert(job.name.clone(), job.clone());
        let outcome = match earlier {
            None => Outcome::Created,
            Some(earlier) if earlier == job => Outcome::Unchanged,
            Some(_) => Outcome::Updated,
        };
        Ok(Response::new(v1::ApplyJobResponse { job: Some(job), outcome: outcome.into() }))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<Job>, Status> {
        let state = self.call("get_job", "", &request)?;
        let name = &request.get_ref().name;
        state.jobs.get(name).cloned().map(Response::new).ok_or_else(|| no_job(name))
    }

    /// Two to a page, whatever is asked for.
    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let state = self.call("list_jobs", "", &request)?;
        let after = request.get_ref().page_token.clone();
        let mut jobs: Vec<Job> = state.jobs.values().filter(|job| job.name > after).cloned().collect();
        let more = jobs.len() > 2;
        jobs.truncate(2);
        let next_page_token = if more { jobs[1].name.clone() } else { String::new() };
        Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token }))
    }

    async fn update_job(&self, request: Request<v1::UpdateJobRequest>) -> Result<Response<Job>, Status> {
        drop(self.call("update_job", "", &request)?);
        Err(Status::unimplemented(""))
    }

    async fn delete_job(
        &self,
        request: Request<v1::DeleteJobRequest>,
    ) -> Result<Response<v1::DeleteJobResponse>, Status> {
        let mut state = self.call("delete_job", &request.get_ref().request_id, &request)?;
        let name = &request.get_ref().name;
        state.jobs.remove(name).ok_or_else(|| no_job(name))?;
        Ok(Response::new(v1::DeleteJobResponse {}))
    }

    async fn pause_job(&self, request: Request<v1::PauseJobRequest>) -> Result<Response<Job>, Status> {
        let mut state = self.call("pause_job", &request.get_ref().request_id, &request)?;
        let name = &request.get_ref().name;
        let job = state.jobs.get_mut(name).ok_or_else(|| no_job(name))?;
        job.set_state(JobState::Paused);
        job.state_reason.clone_from(&request.get_ref().reason);
        job.paused_by.clone_from(&request.get_ref().by);
        job.paused_until = request.get_ref().until;
        Ok(Response::new(job.clone()))
    }

    async fn resume_job(&self, request: Request<v1::ResumeJobRequest>) -> Result<Response<Job>, Status> {
        let mut state = self.call("resume_job", &request.get_ref().request_id, &request)?;
        let name = &request.get_ref().name;
        let job = state.jobs.get_mut(name).ok_or_else(|| no_job(name))?;
        job.set_state(JobState::Active);
        job.state_reason.clear();
        Ok(Response::new(job.clone()))
    }

    async fn trigger_job(
        &self,
        request: Request<v1::TriggerJobRequest>,
    ) -> Result<Response<v1::TriggerJobResponse>, Status> {
        let mut state = self.call("trigger_job", &request.get_ref().request_id, &request)?;
        let id = format!("run-{}", state.runs.len() + 1);
        let v1::TriggerJobRequest { name, overlap, priority, .. } = request.into_inner();
        let reason = if overlap == 0 { String::new() } else { format!("overlap {overlap}") };
        let priority = priority.unwrap_or_default();
        state.runs.push(Run { job: name, reason, priority, ..a_run(&id, RunState::Queued) });
        Ok(Response::new(v1::TriggerJobResponse { run_id: id }))
    }

    /// Says back what it was asked.
    async fn preview_schedule(
        &self,
        request: Request<v1::PreviewScheduleRequest>,
    ) -> Result<Response<v1::PreviewScheduleResponse>, Status> {
        drop(self.call("preview_schedule", "", &request)?);
        let request = request.into_inner();
        let note = format!("count {}, until {:?}", request.count, request.until.map(|at| at.to_string()));
        let schedule = &request.schedule[0];
        let local = format!("{:?} in {} gap {:?}", schedule.when, schedule.zone, schedule.dst_gap());
        let occurrences = vec![Occurrence { at: request.from, local, note, ..Default::default() }];
        Ok(Response::new(v1::PreviewScheduleResponse { occurrences }))
    }
}

#[tonic::async_trait]
impl RunService for Service {
    async fn create_run(&self, request: Request<v1::CreateRunRequest>) -> Result<Response<Run>, Status> {
        drop(self.call("create_run", &request.get_ref().request_id, &request)?);
        let request = request.into_inner();
        let run = Run { result: request.payload.clone(), ..a_run("one-off", RunState::Queued) };
        Ok(Response::new(Run { job: String::new(), kind: format!("{:?}", request.task), ..run }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<Run>, Status> {
        let state = self.call("get_run", &request.get_ref().id, &request)?;
        let id = &request.get_ref().id;
        let found = state.runs.iter().find(|run| &run.id == id).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found(format!("run {id} does not exist")))
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        let state = self.call("list_runs", &request.get_ref().page_size.to_string(), &request)?;
        let wanted = &request.get_ref().states;
        let runs = state.runs.iter().filter(|run| wanted.is_empty() || wanted.contains(&run.state));
        Ok(Response::new(v1::ListRunsResponse { runs: runs.cloned().collect(), ..Default::default() }))
    }

    type WatchRunsStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<Run, Status>> + Send>>;

    async fn watch_runs(
        &self,
        request: Request<v1::WatchRunsRequest>,
    ) -> Result<Response<Self::WatchRunsStream>, Status> {
        let mut state = self.call("watch_runs", &request.get_ref().id, &request)?;
        let runs = if state.streams.is_empty() { Vec::new() } else { state.streams.remove(0) };
        let runs = tokio_stream::iter(runs.into_iter().map(Ok));
        if state.streams.is_empty() {
            use tokio_stream::StreamExt as _;
            return Ok(Response::new(Box::pin(runs.chain(tokio_stream::pending()))));
        }
        Ok(Response::new(Box::pin(runs)))
    }

    async fn cancel_run(&self, request: Request<v1::CancelRunRequest>) -> Result<Response<Run>, Status> {
        let mut state = self.call("cancel_run", &request.get_ref().id, &request)?;
        let run = state.runs.iter_mut().find(|run| run.id == request.get_ref().id).unwrap();
        if run.state() == RunState::Running {
            run.cancel_requested = true;
        } else {
            run.set_state(RunState::Cancelled);
        }
        Ok(Response::new(run.clone()))
    }
}

#[tonic::async_trait]
impl TaskQueueService for Service {
    async fn pause_task_queue(
        &self,
        request: Request<v1::PauseTaskQueueRequest>,
    ) -> Result<Response<TaskQueue>, Status> {
        let mut state = self.call("pause_task_queue", &request.get_ref().name, &request)?;
        let v1::PauseTaskQueueRequest { namespace, name, reason } = request.into_inner();
        let paused_at = Some(Timestamp { seconds: 1_796_115_600, nanos: 0 });
        let queue = TaskQueue {
            name: name.clone(),
            namespace,
            paused_at,
            pause_reason: reason,
            ..TaskQueue::default()
        };
        state.task_queues.insert(name, queue.clone());
        Ok(Response::new(queue))
    }

    async fn resume_task_queue(
        &self,
        request: Request<v1::ResumeTaskQueueRequest>,
    ) -> Result<Response<TaskQueue>, Status> {
        let mut state = self.call("resume_task_queue", &request.get_ref().name, &request)?;
        let name = request.into_inner().name;
        let queue = TaskQueue { name: name.clone(), queued: 3, places: 8, ..TaskQueue::default() };
        state.task_queues.insert(name, queue.clone());
        Ok(Response::new(queue))
    }

    async fn list_task_queues(
        &self,
        request: Request<v1::ListTaskQueuesRequest>,
    ) -> Result<Response<v1::ListTaskQueuesResponse>, Status> {
        let state = self.call("list_task_queues", "", &request)?;
        let task_queues = state.task_queues.values().cloned().collect();
        Ok(Response::new(v1::ListTaskQueuesResponse { task_queues }))
    }
}
