//! Schedulers whose clocks on the wall are wrong: the database's decides, so nothing runs early and nothing twice.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::Overlap;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::fake_time::wrong_by;
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until_at_least;
use sqlx::types::chrono::{DateTime, Utc};

use crate::campaign::{Campaign, Load};

const JOBS: usize = 60;
/// How many runs of each job are waited for.
const RUNS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_run_is_early_or_doubled_by_schedulers_whose_clocks_are_an_hour_wrong() -> anyhow::Result<()> {
    let hour = 3_600;
    let [fast, slow, right] = [1, 2, 3].map(|number| Member { role: Role::Scheduler, number });
    let environment = vec![(fast, wrong_by(hour)?), (slow, wrong_by(-hour)?)];
    let shape = Shape { schedulers: 3, workers: 2, places: 40, environment, ..Shape::small() };
    let mut cluster = Cluster::start(shape).await?;
    let now = shown_by(&mut cluster, right)?;
    for (member, seconds) in [(fast, hour), (slow, -hour)] {
        let wrong = (shown_by(&mut cluster, member)? - now).num_seconds();
        ensure!((wrong - seconds).abs() < 300, "the clock of {member} is wrong by {wrong} s");
    }
    let work = |_| Duration::from_millis(20);
    let campaign = Campaign::begin(cluster, Load { jobs: JOBS, overlap: Overlap::Skip, work }).await?;
    let ended = "select count(*) from punctual.run_history";
    let database = campaign.cluster.database();
    until_at_least("runs", (JOBS * RUNS) as i64, Duration::from_secs(90), async || {
        database.count(ended).await
    })
    .await?;
    let (cluster, _) = campaign.judge(JOBS * RUNS).await?;
    cluster.stop().await
}

/// The clock of a process, by the last line of its log.
fn shown_by(cluster: &mut Cluster, member: Member) -> anyhow::Result<DateTime<Utc>> {
    let log = cluster.process(member)?.last_lines(1);
    let stamp = log.split_whitespace().next().context("it has logged nothing")?;
    stamp.parse().with_context(|| format!("no instant begins `{log}`"))
}
