//! A queue node and its disk are lost for good.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::create_run_request::Task;
use punctual_proto::v1::{CreateRunRequest, RunState};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until_at_least;
use tokio::task::JoinSet;

const BACKLOG: i64 = 300;

const QUEUED: &str = "select count(*) from punctual.run_live where state = 'queued'";
const SUCCEEDED: &str = "select count(*) from punctual.job_history where state = 'succeeded'";

/// Runs are dealt out to the nodes that a scheduler knows by then.
/// Creates runs while no worker is there: about 100 of them go out to both nodes, the others wait in the database.
async fn a_backlog_on_both_nodes(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
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
async fn schedulers_that_start_after_a_node_went_for_good_publish_elsewhere_at_once() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { nodes: 2, schedulers: 2, ..Shape::small() }).await?;
    a_backlog_on_both_nodes(&cluster).await?;
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
    every_run_succeeds_once(&cluster, Duration::from_secs(20)).await?;
    let silent =
        "select count(*) from punctual.run_history where started_at - created_at > interval '25 seconds'";
    ensure!(cluster.database().count(silent).await? == 0, "some waited for their redelivery");
    drop(worker);
    cluster.stop().await
}
