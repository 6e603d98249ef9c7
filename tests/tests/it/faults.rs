//! The deployed topology under load while every process of it is killed in turn, judged by the checker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::Overlap;
use punctual_tests::client::Client;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::definition::exec_every;
use punctual_tests::export::export;
use punctual_tests::nemesis::{Plan, kill_in_turn};
use punctual_tests::process::create_file;
use punctual_tests::recorder::Recorder;
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until;
use punctual_tests::witness::Witness;
use punctual_verify::verdict::Verdict;
use punctual_verify::{Options, check};
use tokio::task::JoinSet;

const JOBS: usize = 200;
const LOAD: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_due_instant_runs_exactly_once_while_each_process_is_killed_in_turn() -> anyhow::Result<()> {
    // Every tenth takes nearly all its time, so that each worker that is killed has some in hand.
    let work = |job| Duration::from_millis(if job % 10 == 0 { 900 } else { 20 });
    let verdict = torture(Overlap::Allow, work).await?;
    let counts = &verdict.counts;
    ensure!(counts.runs.keys().eq(&["succeeded"]), "not all succeeded: {counts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipping_job_never_has_two_live_runs_while_each_process_is_killed_in_turn() -> anyhow::Result<()> {
    // Every fourth is still at it when its next instant comes.
    let work = |job| Duration::from_millis(if job % 4 == 0 { 1_300 } else { 20 });
    let verdict = torture(Overlap::Skip, work).await?;
    let counts = &verdict.counts;
    ensure!(counts.runs.keys().eq(&["skipped", "succeeded"]), "not all succeeded or skipped: {counts}");
    Ok(())
}

async fn torture(overlap: Overlap, work: fn(usize) -> Duration) -> anyhow::Result<Verdict> {
    let mut cluster = Cluster::start(Shape::deployed()).await?;
    let recorder = Arc::new(Recorder::default());
    let witness = Witness::listen(cluster.dir(), recorder.clone())?;
    let client = cluster.client()?.recorded(recorder.clone());
    recorder.read_clock(cluster.database().pool()).await?;

    let mut defining = JoinSet::new();
    for job in 0..JOBS {
        let (client, argv) = (client.clone(), witness.argv(work(job))?);
        let job = exec_every(&name(job), Duration::from_secs(1), argv, overlap);
        defining.spawn(async move { client.apply(job, true).await });
    }
    while let Some(defined) = defining.join_next().await {
        defined??;
    }

    let targets: Vec<Member> = in_turn(&cluster);
    let plan = Plan {
        every: LOAD / (targets.len() as u32 + 1),
        targets,
        down_for: Duration::from_secs(1),
        until: LOAD,
    };
    let kills = kill_in_turn(&mut cluster, &recorder, &plan).await?;
    ensure!(kills >= plan.targets.len(), "only {kills} kills");

    pause_all(&client).await?;
    all_runs_end(&cluster).await?;
    export(cluster.database().pool(), &recorder).await?;
    let history = recorder.history();
    let file = cluster.dir().join("history.jsonl");
    history.write(&mut std::io::BufWriter::new(create_file(&file)?)).context("cannot keep the history")?;

    let verdict = check(&history, &Options { settle: Duration::ZERO, ..Options::default() })?;
    let report = verdict.report(&history, 5);
    println!("{report}");
    ensure!(verdict.is_clean(), "the checker found breaches:\n{report}");
    let least = JOBS * (LOAD.as_secs() as usize - 5);
    ensure!(verdict.counts.due >= least, "only {} instants were due", verdict.counts.due);
    reached_the_states_that_matter(&cluster).await?;
    drop(witness);
    cluster.stop().await?;
    Ok(verdict)
}

fn name(job: usize) -> String {
    format!("job-{job:03}")
}

/// Each role's first, then each one's second, …: no two neighbours share a role.
fn in_turn(cluster: &Cluster) -> Vec<Member> {
    let mut members = cluster.topology().members();
    members.sort_by_key(|member| (member.number, std::cmp::Reverse(member.role)));
    members
}

async fn pause_all(client: &Client) -> anyhow::Result<()> {
    let mut pausing = JoinSet::new();
    for job in 0..JOBS {
        let client = client.clone();
        pausing.spawn(async move { client.pause(&name(job)).await });
    }
    while let Some(paused) = pausing.join_next().await {
        paused??;
    }
    Ok(())
}

async fn all_runs_end(cluster: &Cluster) -> anyhow::Result<()> {
    let live = "select count(*) from punctual.run_live";
    until("every run to end", Duration::from_secs(120), async || match cluster.database().count(live).await {
        Ok(0) => Ok(()),
        Ok(runs) => Err(format!("{runs} live")),
        Err(error) => Err(error.to_string()),
    })
    .await
}

/// A campaign that never got into trouble proves nothing.
async fn reached_the_states_that_matter(cluster: &Cluster) -> anyhow::Result<()> {
    let database = cluster.database();
    let lost = database.count("select count(*) from punctual.attempt_history where outcome = 'lost'").await?;
    ensure!(lost > 0, "no worker was killed in the middle of a run");
    let nodes = database.count("select count(*) from punctual.queue_node").await?;
    let expected = cluster.topology().of(Role::Queue).count() as i64;
    ensure!(
        nodes == expected,
        "a node that kept its data counts as another: {nodes} nodes instead of {expected}"
    );
    Ok(())
}
