//! A system under load, judged at its end by the checker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::Overlap;
use punctual_tests::client::Client;
use punctual_tests::cluster::Cluster;
use punctual_tests::definition::exec_every;
use punctual_tests::export::export;
use punctual_tests::process::create_file;
use punctual_tests::recorder::Recorder;
use punctual_tests::wait::until;
use punctual_tests::witness::Witness;
use punctual_verify::verdict::Verdict;
use punctual_verify::{Options, check};
use tokio::task::JoinSet;

/// What a campaign's jobs are: each is due every second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How many.
    pub(crate) jobs: usize,
    /// What they do when a run is due before the last one has ended.
    pub(crate) overlap: Overlap,
    /// How long a run of each takes.
    pub(crate) work: fn(usize) -> Duration,
}

/// A system whose jobs run and are seen running.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) cluster: Cluster,
    pub(crate) recorder: Arc<Recorder>,
    client: Client,
    witness: Witness,
    jobs: usize,
}

impl Campaign {
    /// Defines the jobs, which run from now on.
    pub(crate) async fn begin(cluster: Cluster, load: Load) -> anyhow::Result<Self> {
        let recorder = Arc::new(Recorder::default());
        let witness = Witness::listen(cluster.dir(), recorder.clone())?;
        let client = cluster.client()?.recorded(recorder.clone());
        recorder.read_clock(cluster.database().pool()).await?;
        let mut defining = JoinSet::new();
        for job in 0..load.jobs {
            let (client, argv) = (client.clone(), witness.argv((load.work)(job))?);
            let job = exec_every(&name(job), Duration::from_secs(1), argv, load.overlap);
            defining.spawn(async move { client.apply(job, true).await });
        }
        while let Some(defined) = defining.join_next().await {
            defined??;
        }
        Ok(Self { cluster, recorder, client, witness, jobs: load.jobs })
    }

    /// Stops the jobs, waits for their last runs, and has the history judged, which must hold at least `due` instants.
    /// The cluster is left to be looked at and stopped.
    pub(crate) async fn judge(self, due: usize) -> anyhow::Result<(Cluster, Verdict)> {
        let Self { cluster, recorder, client, witness, jobs } = self;
        pause_all(&client, jobs).await?;
        all_runs_end(&cluster).await?;
        export(cluster.database().pool(), &recorder).await?;
        let verdict = judge(&recorder, cluster.dir(), due)?;
        drop(witness);
        Ok((cluster, verdict))
    }
}

fn judge(recorder: &Recorder, dir: &Path, due: usize) -> anyhow::Result<Verdict> {
    let history = recorder.history();
    let file = dir.join("history.jsonl");
    history.write(&mut std::io::BufWriter::new(create_file(&file)?)).context("cannot keep the history")?;
    let verdict = check(&history, &Options { settle: Duration::ZERO, ..Options::default() })?;
    let report = verdict.report(&history, 5);
    println!("{report}");
    ensure!(verdict.is_clean(), "the checker found breaches:\n{report}");
    ensure!(verdict.counts.due >= due, "only {} instants were due", verdict.counts.due);
    Ok(verdict)
}

fn name(job: usize) -> String {
    format!("job-{job:03}")
}

async fn pause_all(client: &Client, jobs: usize) -> anyhow::Result<()> {
    let mut pausing = JoinSet::new();
    for job in 0..jobs {
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
