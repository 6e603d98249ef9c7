//! Postgres crashes, and connections to it are cut, under load: nothing is lost, nothing is doubled, and nobody has to
//! help.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::Overlap;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::database::Database;
use punctual_tests::effort::is_full;
use punctual_tests::wait::until;
use punctual_verify::history::What;
use sqlx::types::chrono::{DateTime, Utc};

use crate::campaign::{Campaign, Load};

const JOBS: usize = 60;

/// How soon runs that fell due after a crash must have run.
const BACK_WITHIN: Duration = Duration::from_secs(10);

fn shape() -> Shape {
    Shape { schedulers: 3, workers: 2, places: 40, ..Shape::small() }
}

fn load() -> Load {
    // Every tenth is at work when Postgres goes.
    let work = |job| Duration::from_millis(if job % 10 == 0 { 900 } else { 20 });
    Load { jobs: JOBS, overlap: Overlap::Allow, work }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_are_back_ten_seconds_after_each_crash_of_postgres_and_nothing_is_lost_or_doubled()
-> anyhow::Result<()> {
    let crashes = if is_full() { 20 } else { 3 };
    let cluster = Cluster::start_on(Database::migrated_in_its_own().await?, shape()).await?;
    let mut campaign = Campaign::begin(cluster, load()).await?;
    for _ in 0..crashes {
        // Load before each: a system that is still recovering is crashed too, one that does nothing is not.
        runs_succeed(campaign.cluster.database(), BACK_WITHIN).await?;
        let crash = |on| What::Nemesis { fault: "crash".to_owned(), target: "postgres".to_owned(), on };
        campaign.recorder.record("nemesis", crash(true));
        campaign.cluster.database_mut().crash()?;
        campaign.recorder.record("nemesis", crash(false));
    }
    runs_succeed(campaign.cluster.database(), BACK_WITHIN).await?;
    let (cluster, verdict) = campaign.judge(JOBS * crashes).await?;
    let counts = &verdict.counts;
    ensure!(counts.runs.keys().eq(&["succeeded"]), "not all succeeded: {counts}");
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_connections_to_postgres_are_cut_at_random() -> anyhow::Result<()> {
    let seconds = if is_full() { 60 } else { 15 };
    let cluster = Cluster::start(shape()).await?;
    let campaign = Campaign::begin(cluster, load()).await?;
    let cut = cut_connections(campaign.cluster.database(), 10 * seconds).await?;
    ensure!(cut >= 5 * seconds, "only {cut} connections were cut");
    runs_succeed(campaign.cluster.database(), BACK_WITHIN).await?;
    let (cluster, verdict) = campaign.judge(JOBS * (seconds - 5)).await?;
    let counts = &verdict.counts;
    ensure!(counts.runs.keys().eq(&["succeeded"]), "not all succeeded: {counts}");
    cluster.stop().await
}

/// Waits until a run that falls due from now on has succeeded.
async fn runs_succeed(database: &Database, within: Duration) -> anyhow::Result<()> {
    let pool = database.pool();
    let mut from: Option<DateTime<Utc>> = None;
    until("a run that fell due after it to succeed", within, async || {
        // Postgres may still be on its way up: then the time counts all the same.
        let since = match from {
            Some(since) => since,
            None => {
                let now = sqlx::query_scalar("select statement_timestamp()").fetch_one(pool).await;
                *from.insert(now.map_err(|error| error.to_string())?)
            }
        };
        let run = "select true from punctual.run_history where due_at > $1 and state = 'succeeded' limit 1";
        match sqlx::query_scalar::<_, bool>(run).bind(since).fetch_optional(pool).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("none".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Cuts a connection of some scheduler every 100 ms, so many times. How many of them were there to be cut.
async fn cut_connections(database: &Database, times: usize) -> anyhow::Result<usize> {
    let one = "select count(*) filter (where pg_terminate_backend(pid)) from (
                   select pid from pg_stat_activity
                   where datname = current_database() and application_name = 'punctual-scheduler'
                   order by random() limit 1
               ) as unlucky";
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let mut cut = 0;
    for _ in 0..times {
        pace.tick().await;
        let ended: i64 = sqlx::query_scalar(one).fetch_one(database.pool()).await?;
        cut += usize::try_from(ended).context("a count is never negative")?;
    }
    Ok(cut)
}
