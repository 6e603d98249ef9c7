//! Health, reflection, metrics, and a watch.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::create_run_request::Task;
use punctual_proto::v1::{CreateRunRequest, Overlap, RunState, WatchRunsRequest};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::definition::{exec, exec_every};
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

#[tokio::test(flavor = "multi_thread")]
async fn one_port_serves_reflection_health_metrics_and_readiness() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let server = cluster.servers().remove(0);
    let channel = Endpoint::from_shared(server.clone())?.connect().await?;

    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::once(asked))
        .await?
        .into_inner()
        .message()
        .await?
        .context("reflection ended without an answer")?;
    let Some(MessageResponse::ListServicesResponse(listed)) = answers.message_response else {
        anyhow::bail!("reflection answered {answers:?}");
    };
    let services: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    for service in ["AuditService", "JobService", "RunService", "WorkerService"] {
        let service = format!("punctual.v1.{service}");
        ensure!(services.contains(&service), "{service} is not in {services:?}");
    }
    // It follows readiness at its next look.
    until("the health service to answer serving", Duration::from_secs(10), async || {
        let asked = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
        let health = asked.map_err(|error| error.to_string())?.into_inner();
        if health.status() == ServingStatus::Serving { Ok(()) } else { Err(format!("{health:?}")) }
    })
    .await?;

    let client = cluster.client()?;
    client
        .apply(exec_every("tick", Duration::from_secs(1), vec!["/bin/true".to_owned()], Overlap::Skip), false)
        .await?;
    let run = client.trigger("tick").await?;
    client.run_becomes(&run, RunState::Succeeded, Duration::from_secs(10)).await?;
    let names = [
        "punctual_schedule_lag_seconds",
        "punctual_task_queue_backlog",
        "punctual_due_to_start_seconds_count",
    ];
    let http = punctual_tests::http::client(Duration::from_secs(10))?;
    until("the metrics to be there", Duration::from_secs(20), async || {
        let answer = http.get(format!("{server}/metrics")).send().await.map_err(|error| error.to_string())?;
        let metrics = answer.text().await.map_err(|error| error.to_string())?;
        if names.iter().all(|name| metrics.contains(name)) { Ok(()) } else { Err(metrics) }
    })
    .await?;
    let others = [(Role::Queue, "HTTP"), (Role::Lookup, "HTTP"), (Role::Worker, "HTTP")];
    for (role, interface) in others {
        let address = cluster.topology().address(Member { role, number: 1 }, interface)?;
        for path in ["metrics", "livez", "readyz"] {
            let status = http.get(format!("http://{address}/{path}")).send().await?.status();
            ensure!(status.is_success(), "{} answers /{path} with {status}", role.as_str());
        }
    }
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_once_on_one_connection_are_all_answered() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape::small()).await?;
    let runs = cluster.client()?.runs();
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let mut runs = runs.clone();
        // A small message, of which HTTP/2 libraries suspect an attack when many wait unread.
        let request =
            CreateRunRequest { task: Some(Task::Kind("noop".to_owned())), ..CreateRunRequest::default() };
        calls.spawn(async move { runs.create_run(request).await.map(|_| ()) });
    }
    let mut refused = Vec::new();
    while let Some(call) = calls.join_next().await {
        refused.extend(call?.err());
    }
    ensure!(refused.is_empty(), "{} of 1000 calls failed, one with {:?}", refused.len(), refused[0]);
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_a_run_to_its_end_and_ends_with_it() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, schedulers: 2, ..Shape::small() }).await?;
    let client = cluster.client()?;
    let argv = vec!["/bin/sleep".to_owned(), "1".to_owned()];
    client.apply(exec("nap", argv, Overlap::Skip), false).await?;
    let id = client.trigger("nap").await?;
    let request = WatchRunsRequest { id, ..WatchRunsRequest::default() };
    let mut watched = client.runs().watch_runs(request).await?.into_inner();
    let mut states = Vec::new();
    let follow = async {
        while let Some(run) = watched.next().await {
            states.push(run?.state());
        }
        Ok::<_, tonic::Status>(())
    };
    tokio::time::timeout(Duration::from_secs(20), follow).await.context("the watch does not end")??;
    states.dedup();
    ensure!(states.last() == Some(&RunState::Succeeded), "{states:?}");
    ensure!(states.contains(&RunState::Running), "{states:?}");
    cluster.stop().await
}
