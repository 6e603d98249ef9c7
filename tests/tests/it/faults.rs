//! The deployed topology under load while every process of it is killed in turn, judged by the checker.

use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::Overlap;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::nemesis::{Plan, kill_in_turn};
use punctual_tests::topology::{Member, Role};
use punctual_verify::verdict::Verdict;

use crate::campaign::{Campaign, Load};

const JOBS: usize = 200;
const LASTING: Duration = Duration::from_secs(60);

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
    let cluster = Cluster::start(Shape::deployed()).await?;
    let mut campaign = Campaign::begin(cluster, Load { jobs: JOBS, overlap, work }).await?;
    let targets: Vec<Member> = in_turn(&campaign.cluster);
    let plan = Plan {
        every: LASTING / (targets.len() as u32 + 1),
        targets,
        down_for: Duration::from_secs(1),
        until: LASTING,
    };
    let kills = kill_in_turn(&mut campaign.cluster, &campaign.recorder, &plan).await?;
    ensure!(kills >= plan.targets.len(), "only {kills} kills");
    let (cluster, verdict) = campaign.judge(JOBS * (LASTING.as_secs() as usize - 5)).await?;
    reached_the_states_that_matter(&cluster).await?;
    cluster.stop().await?;
    Ok(verdict)
}

/// Each role's first, then each one's second, …: no two neighbours share a role.
fn in_turn(cluster: &Cluster) -> Vec<Member> {
    let mut members = cluster.topology().members();
    members.sort_by_key(|member| (member.number, std::cmp::Reverse(member.role)));
    members
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
