//! From due, or from asked for, to started, at 50 runs per second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use punctual_proto::v1::{ApplyJobRequest, PauseJobRequest};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::figures::{Sample, line, ms, title};
use crate::load::{ended, forget, noop_every_second, noop_run};
use crate::system::System;
use crate::{Args, clock};

const PER_SECOND: usize = 50;
const AIM: &str = "p50 < 3 ms, p99 < 10 ms";

pub(crate) async fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!(
        "Latency at {PER_SECOND} runs/s for {} s (start: the attempt is granted, by the database's clock)",
        args.seconds
    ));
    let system = System::start(50).await?;
    let scheduled = due_to_start(&system, args.seconds).await?;
    show("interval runs: due to start", &scheduled);
    forget(system.database()).await?;
    let one_off = create_to_start(&system, args.seconds).await?;
    show("one-off runs: due to be sent, to start", &one_off);
    Ok(())
}

fn show(what: &str, sample: &Sample) {
    let value = format!(
        "p50 {}, p99 {}, max {} over {} runs",
        ms(sample.quantile(0.5)),
        ms(sample.quantile(0.99)),
        ms(sample.most()),
        sample.len()
    );
    line(what, &value, AIM);
    if sample.least() < 0.0 {
        println!("  EARLY: one started {} before it was due", ms(-sample.least()));
    }
}

/// One job for each fiftieth of a second.
async fn due_to_start(system: &System, seconds: u64) -> anyhow::Result<Sample> {
    let mut jobs = system.jobs().await?;
    let names: Vec<String> = (0..PER_SECOND).map(|index| format!("every-second-{index}")).collect();
    for (index, name) in names.iter().enumerate() {
        let phase = Duration::from_secs(1) * index as u32 / PER_SECOND as u32;
        let job = Some(noop_every_second(name.clone(), phase));
        jobs.apply_job(ApplyJobRequest { job, ..ApplyJobRequest::default() }).await?;
    }
    // The first seconds warm up: connections, plans, caches.
    let warm_up = clock::now() + chrono::Duration::seconds(3);
    tokio::time::sleep(Duration::from_secs(seconds + 3)).await;
    for name in names {
        jobs.pause_job(PauseJobRequest { name, ..PauseJobRequest::default() }).await?;
    }
    let waited: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from started_at - due_at)::float8 * 1000
         from punctual.run_history where state = 'succeeded' and due_at > $1",
    )
    .bind(warm_up)
    .fetch_all(system.database())
    .await?;
    anyhow::ensure!(
        waited.len() + PER_SECOND * 2 > PER_SECOND * seconds as usize,
        "only {} runs",
        waited.len()
    );
    Ok(Sample::new(waited))
}

/// Sent on time, whatever became of the one before; being late to send counts.
async fn create_to_start(system: &System, seconds: u64) -> anyhow::Result<Sample> {
    let runs = system.runs().await?;
    let mut calls = JoinSet::new();
    let count = PER_SECOND * (seconds as usize + 3);
    let begun = clock::now();
    let mut pace = pace(count);
    while let Some(after) = pace.recv().await {
        let asked = begun + chrono::Duration::from_std(after)?;
        let mut runs = runs.clone();
        calls.spawn(
            async move { runs.create_run(noop_run(None)).await.map(|run| (run.into_inner().id, asked)) },
        );
    }
    let mut asked: HashMap<uuid::Uuid, DateTime<Utc>> = HashMap::new();
    while let Some(call) = calls.join_next().await {
        let (id, at) = call??;
        asked.insert(id.parse()?, at);
    }
    ended(system.database(), count as i64, Duration::from_secs(30)).await?;
    let started: Vec<(uuid::Uuid, DateTime<Utc>)> =
        sqlx::query_as("select id, started_at from punctual.run_history where started_at is not null")
            .fetch_all(system.database())
            .await?;
    let warm = begun + chrono::Duration::seconds(3);
    let waited = started.into_iter().filter_map(|(id, started)| {
        let asked = asked.get(&id).filter(|asked| **asked > warm)?;
        Some((started - *asked).num_microseconds()? as f64 / 1_000.0)
    });
    Ok(Sample::new(waited.collect()))
}

/// Says when each of `count` calls is due, counted from now, at that time. From a thread of its own, because the runtime's
/// timers are a millisecond coarse.
fn pace(count: usize) -> mpsc::UnboundedReceiver<Duration> {
    let begun = Instant::now();
    let (due, pace) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for number in 1..=count as u32 {
            let after = Duration::from_secs(1) * number / PER_SECOND as u32;
            #[expect(clippy::disallowed_methods, reason = "each call is sent at its time")]
            std::thread::sleep((begun + after).saturating_duration_since(Instant::now()));
            if due.send(after).is_err() {
                return; // the measurement was given up
            }
        }
    });
    pace
}
