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

#[tokio::test(flavor = "multi_thread")]
async fn every_run_completes_though_a_node_with_a_backlog_is_killed_and_its_data_deleted()
-> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { nodes: 2, schedulers: 2, ..Shape::small() }).await?;
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
    // No worker is there: about 100 of them go out to the nodes, the others wait in the database.
    let queued = "select count(*) from punctual.run_live where state = 'queued'";
    let at_both = "select count(distinct node) from punctual.run_live where state = 'queued'";
    until_at_least("a backlog at the nodes", 90, Duration::from_secs(10), async || {
        cluster.database().count(queued).await
    })
    .await?;
    ensure!(cluster.database().count(at_both).await? == 2, "the backlog is not spread over the nodes");

    let lost = Member { role: Role::Queue, number: 1 };
    cluster.kill(lost)?;
    std::fs::remove_dir_all(cluster.data_path(lost))?;
    cluster.restart(lost).await?;

    let worker = cluster.extra_worker("late-worker", &cluster.servers())?;
    let succeeded = "select count(*) from punctual.job_history where state = 'succeeded'";
    until_at_least("every run to succeed", BACKLOG, Duration::from_secs(60), async || {
        cluster.database().count(succeeded).await
    })
    .await?;
    let twice = "select count(*) from punctual.job_history where attempts <> 1";
    ensure!(cluster.database().count(twice).await? == 0, "a run that nobody had started was attempted twice");
    for run in &runs {
        ensure!(client.run(run).await?.state() == RunState::Succeeded);
    }
    drop(worker);
    cluster.stop().await
}
