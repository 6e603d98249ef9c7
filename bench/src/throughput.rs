//! No-op runs through the whole system: created over gRPC, queued, executed, in history.

use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::Args;
use crate::figures::{Sample, line, rate, title};
use crate::load::{ended, forget, noop_run};
use crate::system::System;

const CALLERS: usize = 64;
const CONNECTIONS: usize = 4;

pub(crate) async fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!(
        "{} no-op runs through the whole system, {CALLERS} callers, {} rounds",
        args.runs, args.rounds
    ));
    let system = System::start(200).await?;
    // Warms up.
    round(&system, args.runs / 10).await?;
    let mut rates = Vec::new();
    let (mut statements, mut transactions) = (Vec::new(), Vec::new());
    let mut cpu = None;
    let before_all = system.cpu();
    for _ in 0..args.rounds {
        let before = Activity::of(system.database()).await?;
        rates.push(round(&system, args.runs).await?);
        let after = Activity::of(system.database()).await?;
        let per_run = |after: i64, before: i64| (after - before) as f64 / args.runs as f64;
        transactions.push(per_run(after.transactions, before.transactions));
        if let (Some(after), Some(before)) = (after.statements, before.statements) {
            statements.push(per_run(after, before));
        }
        cpu = Some(system.cpu().per_item_since(&before_all, args.runs * (rates.len())));
    }
    line("runs created, executed and in history", &rate(&Sample::new(rates)), "3,000/s on two cores");
    if statements.is_empty() {
        line("database statements per run", "not known: pg_stat_statements is not installed", "");
    } else {
        line("database statements per run", &format!("{:.3}", Sample::new(statements).median()), "");
    }
    line("database transactions per run", &format!("{:.3}", Sample::new(transactions).median()), "");
    if let Some((parts, total)) = cpu {
        line("processor time per run, without the load's own", &format!("{total:.0} us ({parts})"), "");
    }
    Ok(())
}

/// Runs per second, from the first creation to the end of 98 % of them, so that a last timer does not blur it.
async fn round(system: &System, count: usize) -> anyhow::Result<f64> {
    forget(system.database()).await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(system.runs().await?);
    }
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut runs = connections[caller % CONNECTIONS].clone();
        let share = count / CALLERS + usize::from(caller < count % CALLERS);
        callers.spawn(async move {
            for _ in 0..share {
                runs.create_run(noop_run(None)).await?;
            }
            Ok::<_, tonic::Status>(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    ended(system.database(), count as i64, Duration::from_secs(300)).await?;
    let (seconds, not_succeeded, repeated): (f64, i64, i64) = sqlx::query_as(
        "select extract(epoch from percentile_disc(0.98) within group (order by ended_at) - min(created_at))::float8,
                count(*) filter (where state <> 'succeeded'), count(*) filter (where attempts <> 1)
         from punctual.run_history",
    )
    .fetch_one(system.database())
    .await?;
    anyhow::ensure!(not_succeeded == 0, "{not_succeeded} runs did not succeed");
    if repeated > 0 {
        println!("  {repeated} runs took more than one attempt");
    }
    Ok(count as f64 * 0.98 / seconds)
}

/// What the database has done so far.
struct Activity {
    transactions: i64,
    /// `None` where nothing counts them.
    statements: Option<i64>,
}

impl Activity {
    async fn of(database: &PgPool) -> anyhow::Result<Self> {
        // Sessions report at most once a second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let transactions = sqlx::query_scalar(
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
        )
        .fetch_one(database)
        .await?;
        let counted =
            sqlx::query("create extension if not exists pg_stat_statements").execute(database).await;
        let statements = match counted {
            Ok(_) => {
                let sum = "select coalesce(sum(calls), 0)::int8 from pg_stat_statements where toplevel";
                sqlx::query_scalar(sum).fetch_one(database).await.ok()
            }
            Err(_) => None,
        };
        Ok(Self { transactions, statements })
    }
}
