//! A queue node and its disk are lost for good.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::create_run_request::Task;
use punctual_proto::v1::{CreateRunRequest, RunState};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::{until, until_at_least};
use tokio::task::JoinSet;

const BACKLOG: i64 = 300;

const QUEUED: &str = "select count(*) from punctual.run_live where state = 'queued'";
const SUCCEEDED: &str = "select count(*) from punctual.job_history where state = 'succeeded'";

/// Runs are dealt out to the nodes that a scheduler knows by then.
async fn both_nodes_are_known(cluster: &Cluster) -> anyhow::Result<()> {
    for address in cluster.topology().addresses(Role::Scheduler, "GRPC") {
        let url = format!("http://{address}/metrics");
        until("both nodes to be found", Duration::from_secs(10), async || {
            let shown = async { reqwest::get(&url).await?.error_for_status()?.text().await };
            let shown = shown.await.map_err(|error| error.to_string())?;
            let usable =
                shown.lines().find(|line| line.starts_with("punctual_queue_nodes_usable ")).unwrap_or("");
            if usable.ends_with(" 2") { Ok(()) } else { Err(usable.to_owned()) }
        })
        .await?;
    }
    Ok(())
}

/// Creates runs while no worker is there: about 100 of them go out to both nodes, the others wait in the database.
async fn a_backlog_on_both_nodes(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    both_nodes_are_known(cluster).await?;
    let client = Arc::new(cluster.client()?);
    let mut creating = JoinSet::new();
    for _ in 0..BACKLOG {
        let client = client.clone();
        creating.spawn(async move {
            let request =
                CreateRunRequest { task: Some(Task::Kind("noop".to_owned())), ..Default::default() };
            client.create_run(request, false).await
        });
    }
    let mut runs = Vec::new();
    while let Some(created) = creating.join_next().await {
        runs.push(created??.id);
    }
    let at_both = "select count(distinct node) from punctual.run_live where state = 'queued'";
    until_at_least("a backlog at the nodes", 90, Duration::from_secs(10), async || {
        cluster.database().count(QUEUED).await
    })
    .await?;
    ensure!(cluster.database().count(at_both).await? == 2, "the backlog is not spread over the nodes");
    Ok(runs)
}

fn lose(cluster: &mut Cluster, node: Member) -> anyhow::Result<()> {
    cluster.kill(node)?;
    Ok(std::fs::remove_dir_all(cluster.data_path(node))?)
}

async fn every_run_succeeds_once(cluster: &Cluster, within: Duration) -> anyhow::Result<()> {
    until_at_least("every run to succeed", BACKLOG, within, async || {
        cluster.database().count(SUCCEEDED).await
    })
    .await?;
    let twice = "select count(*) from punctual.job_history where attempts <> 1";
    ensure!(cluster.database().count(twice).await? == 0, "a run that nobody had started was attempted twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_completes_though_a_node_with_a_backlog_is_killed_and_its_data_deleted()
-> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { nodes: 2, schedulers: 2, ..Shape::small() }).await?;
    let runs = a_backlog_on_both_nodes(&cluster).await?;
    let lost = Member { role: Role::Queue, number: 1 };
    lose(&mut cluster, lost)?;
    cluster.restart(lost).await?;

    let worker = cluster.extra_worker("late-worker", &cluster.servers())?;
    every_run_succeeds_once(&cluster, Duration::from_secs(60)).await?;
    let client = cluster.client()?;
    for run in &runs {
        ensure!(client.run(run).await?.state() == RunState::Succeeded);
    }
    drop(worker);
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_start_after_a_node_went_for_good_find_it_lost_at_once() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { nodes: 2, schedulers: 2, ..Shape::small() }).await?;
    a_backlog_on_both_nodes(&cluster).await?;
    // What was queued last before its scheduler went is published again whether its node is lost or not.
    let older = "select count(*) from punctual.run_live where state = 'queued' and queued_at < now() - interval '4 s'";
    until_at_least("a backlog that is not the latest", 90, Duration::from_secs(10), async || {
        cluster.database().count(older).await
    })
    .await?;
    let schedulers: Vec<_> = cluster.topology().of(Role::Scheduler).collect();
    for scheduler in &schedulers {
        cluster.kill(*scheduler)?;
    }
    lose(&mut cluster, Member { role: Role::Queue, number: 1 })?;
    for scheduler in &schedulers {
        cluster.restart(*scheduler).await?;
    }

    let worker = cluster.extra_worker("late-worker", &cluster.servers())?;
    // Not started within 30 s they would be queued again in any case.
    every_run_succeeds_once(&cluster, Duration::from_secs(12)).await?;
    let silent =
        "select count(*) from punctual.run_history where started_at - created_at > interval '25 seconds'";
    ensure!(cluster.database().count(silent).await? == 0, "some waited for their redelivery");
    drop(worker);
    cluster.stop().await
}
