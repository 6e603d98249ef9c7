//! A thousand runs due at one instant.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::figures::{Sample, line, ms, title};
use crate::load::{ended, forget, noop_run};
use crate::system::System;
use crate::{Args, clock};

const RUNS: usize = 1_000;

pub(crate) async fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!("{RUNS} runs due at one instant, places enough, {} rounds", args.rounds));
    let system = System::start(RUNS as u32).await?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for _ in 0..=args.rounds {
        let (began, ended) = round(&system).await?;
        first.push(began);
        last.push(ended);
    }
    // The first round warms up.
    let (first, last) = (Sample::new(first.split_off(1)), Sample::new(last.split_off(1)));
    let range = |sample: &Sample| {
        format!("{} ({} to {})", ms(sample.median()), ms(sample.least()), ms(sample.most()))
    };
    line("the first one started after", &range(&first), "< 100 ms");
    line("the last one started after", &range(&last), "< 400 ms");
    Ok(())
}

/// Milliseconds from due to the first and to the last start.
async fn round(system: &System) -> anyhow::Result<(f64, f64)> {
    forget(system.database()).await?;
    let due = clock::now() + chrono::Duration::seconds(5);
    let runs = system.runs().await?;
    let mut calls = JoinSet::new();
    for _ in 0..RUNS {
        let mut runs = runs.clone();
        calls.spawn(async move { runs.create_run(noop_run(Some(due))).await.map(|_| ()) });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    anyhow::ensure!(clock::now() < due, "creating {RUNS} runs took longer than the 5 s there are");
    ended(system.database(), RUNS as i64, Duration::from_secs(60)).await?;
    let (first, last): (f64, f64) = sqlx::query_as(
        "select extract(epoch from min(started_at - due_at))::float8 * 1000,
                extract(epoch from max(started_at - due_at))::float8 * 1000
         from punctual.run_history",
    )
    .fetch_one(system.database())
    .await?;
    anyhow::ensure!(first >= 0.0, "one started {} early", ms(-first));
    Ok((first, last))
}
