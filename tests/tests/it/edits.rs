//! Changes within the look-ahead, where the next seconds are planned already.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::Overlap;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::definition::exec_every;
use punctual_tests::export::export;
use punctual_tests::process::create_file;
use punctual_tests::recorder::Recorder;
use punctual_tests::wait::{until, until_at_least};
use punctual_verify::{Options, check};

/// Every second is planned ten times over before it comes.
const EVERY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_updates_pauses_and_resumes_lose_and_double_no_instant() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { schedulers: 2, workers: 1, ..Shape::small() }).await?;
    let recorder = Arc::new(Recorder::default());
    let client = cluster.client()?.recorded(recorder.clone());
    recorder.read_clock(cluster.database().pool()).await?;

    let argv = || vec!["/bin/true".to_owned()];
    client.apply(exec_every("steady", EVERY, argv(), Overlap::Allow), false).await?;
    for edit in 0..100 {
        // A new version each time; every third also changes which instants there are.
        let mut job = exec_every("edited", EVERY * (1 + u32::from(edit % 3 == 0)), argv(), Overlap::Allow);
        job.description = format!("edit {edit}");
        client.apply(job, false).await?;
        client.pause("edited").await?;
        client.resume("edited").await?;
        // Drift through the second, so that edits meet instants at every distance.
        tokio::time::sleep(Duration::from_millis(137)).await;
    }
    ensure!(client.job("edited").await?.version == 100, "an update made no version, or more than one");
    let steadily = "select count(*) from punctual.job_history where job = 'steady' and state = 'succeeded'";
    until_at_least("enough instants to say anything", 20, Duration::from_secs(60), async || {
        cluster.database().count(steadily).await
    })
    .await?;
    client.pause("edited").await?;
    client.pause("steady").await?;

    let live = "select count(*) from punctual.run_live";
    until("every run to end", Duration::from_secs(30), async || match cluster.database().count(live).await {
        Ok(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    export(cluster.database().pool(), &recorder).await?;
    let history = recorder.history();
    history.write(&mut create_file(&cluster.dir().join("history.jsonl"))?)?;
    let verdict = check(&history, &Options { settle: Duration::ZERO, ..Options::default() })?;
    let report = verdict.report(&history, 5);
    ensure!(verdict.is_clean(), "the checker found breaches:\n{report}");
    ensure!(verdict.counts.due >= 15, "too few instants were certain to say anything:\n{report}");
    cluster.stop().await
}
