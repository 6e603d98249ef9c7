//! A scheduler on a port of its own, and its clients.

use std::time::Duration;

use punctual_proto::v1;
use punctual_proto::v1::audit_service_client::AuditServiceClient;
use punctual_proto::v1::calendar_service_client::CalendarServiceClient;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_proto::v1::namespace_service_client::NamespaceServiceClient;
use punctual_proto::v1::run_service_client::RunServiceClient;
use punctual_proto::v1::task_queue_service_client::TaskQueueServiceClient;
use punctual_proto::v1::worker_service_client::WorkerServiceClient;
use punctual_scheduler::{Scheduler, SchedulerOptions};
use sqlx::{ConnectOptions, PgPool};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// Nothing in these tests takes longer unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running scheduler. Dropping it stops it at once.
pub(crate) struct Front {
    pub(crate) url: String,
    channel: Option<Channel>,
    shutdown: CancellationToken,
    running: JoinSet<anyhow::Result<()>>,
}

/// Options for a scheduler on the database of `pool`, with a queue node that is never there.
pub(crate) fn options(pool: &PgPool) -> SchedulerOptions {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut options = SchedulerOptions::new(url.parse().expect("sqlx writes URLs that it reads"));
    options.grpc_address = ([127, 0, 0, 1], 0).into();
    options.queue_tcp_address = vec!["127.0.0.1:9".to_owned()];
    options.database_connections = 4;
    options
}

impl Front {
    pub(crate) async fn start(pool: &PgPool) -> Self {
        Self::with(options(pool)).await
    }

    pub(crate) async fn with(options: SchedulerOptions) -> Self {
        punctual_service::tls::install_crypto_provider(); // HTTP clients want one, with TLS or without
        let scheduler = Scheduler::start(options).await.expect("the scheduler starts");
        let url = format!("http://{}", scheduler.grpc_address());
        let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(scheduler.run(shutdown.clone()));
        Self { url, channel: Some(channel), shutdown, running }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone().expect("the scheduler was not stopped")
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel())
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel())
    }

    pub(crate) fn calendars(&self) -> CalendarServiceClient<Channel> {
        CalendarServiceClient::new(self.channel())
    }

    pub(crate) fn namespaces(&self) -> NamespaceServiceClient<Channel> {
        NamespaceServiceClient::new(self.channel())
    }

    pub(crate) fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel())
    }

    pub(crate) fn task_queues(&self) -> TaskQueueServiceClient<Channel> {
        TaskQueueServiceClient::new(self.channel())
    }

    pub(crate) fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel())
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        self.channel = None;
        let ended = timeout(PATIENCE, self.running.join_next()).await.expect("the scheduler stops in time");
        ended.expect("it was running").expect("it does not panic").expect("it ends well");
    }
}

/// A job of a kind that nobody serves, without a schedule.
pub(crate) fn a_job(name: &str) -> v1::Job {
    v1::Job {
        name: name.to_owned(),
        task: Some(v1::job::Task::Kind("nobody".to_owned())),
        ..Default::default()
    }
}

/// The same, due every hour.
pub(crate) fn hourly(name: &str) -> v1::Job {
    v1::Job { schedule: vec![cron("0 * * * *")], ..a_job(name) }
}

pub(crate) fn cron(expression: &str) -> v1::Schedule {
    v1::Schedule { when: Some(v1::schedule::When::Cron(expression.to_owned())), ..Default::default() }
}

pub(crate) fn create(job: v1::Job) -> v1::CreateJobRequest {
    v1::CreateJobRequest { job: Some(job), request_id: String::new() }
}

pub(crate) fn update(job: v1::Job) -> v1::UpdateJobRequest {
    v1::UpdateJobRequest { job: Some(job), request_id: String::new() }
}

pub(crate) fn get(name: &str) -> v1::GetJobRequest {
    v1::GetJobRequest { namespace: String::new(), name: name.to_owned() }
}

/// Code and reason of a refusal.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> (Code, String) {
    let status = answer.expect_err("expected a refusal");
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_else(|| panic!("no reason in {status:?}")))
}

/// The fields that a refusal names, and what it says about each.
#[track_caller]
pub(crate) fn wrong_fields<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Vec<(String, String)> {
    let status = answer.expect_err("expected a refusal");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let bad = details.bad_request().unwrap_or_else(|| panic!("no fields in {status:?}"));
    bad.field_violations.iter().map(|wrong| (wrong.field.clone(), wrong.description.clone())).collect()
}
