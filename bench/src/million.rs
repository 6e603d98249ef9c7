//! A million jobs defined, a hundred thousand of them due in the same second.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use punctual_proto::v1::worker_service_client::WorkerServiceClient;
use punctual_proto::v1::{
    CreateJobRequest, Doorbell, HeartbeatRequest, Job, Overlap, RegisterWorkerRequest, Schedule, job,
    schedule,
};
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::figures::{Sample, line, ms, title};
use crate::system::System;
use crate::{Args, clock};

const DEFINED: i64 = 1_000_000;
const DUE: i64 = 100_000;
/// Of one worker, at most.
const PLACES: u32 = 10_000;
/// Before this, what is not started is not published again: what comes twice by then was published twice.
const REDELIVERED_AFTER: Duration = Duration::from_secs(30);

pub(crate) async fn measure(_: &Args) -> anyhow::Result<()> {
    title(&format!("{DEFINED} jobs defined, {DUE} of them due at one instant, places enough; one scheduler"));
    let system = System::without_worker().await?;
    define(&system, "later", DEFINED - DUE, clock::now() + TimeDelta::hours(2)).await?;
    // On the second, as the jobs' intervals are.
    let due = (clock::now() + TimeDelta::seconds(40)).trunc_subsecs(0);
    define(&system, "now", DUE, due).await?;
    sqlx::query("analyze punctual.job, punctual.job_version, punctual.job_cursor")
        .execute(system.database())
        .await?;
    let left = due - clock::now();
    ensure!(left > TimeDelta::seconds(12), "{left} is left, less than schedulers look ahead");
    let _fleet = Fleet::open(&system).await?;
    let rung = listen(&system, due).await?;
    show(&system, due, &rung).await
}

/// So many jobs like one that is created the usual way, due at `due` and every four hours after.
async fn define(system: &System, name: &str, count: i64, due: DateTime<Utc>) -> anyhow::Result<()> {
    let every = Duration::from_secs(4 * 3_600);
    let phase = Duration::from_secs(u64::try_from(due.timestamp())? % every.as_secs());
    let of =
        |duration: Duration| prost_types::Duration { seconds: duration.as_secs().cast_signed(), nanos: 0 };
    let job = Job {
        name: name.to_owned(),
        schedule: vec![Schedule {
            when: Some(schedule::When::Every(of(every))),
            phase: Some(of(phase)),
            ..Schedule::default()
        }],
        task: Some(job::Task::Kind("noop".to_owned())),
        overlap: Overlap::Skip.into(),
        ..Job::default()
    };
    system
        .jobs()
        .await?
        .create_job(CreateJobRequest { job: Some(job), ..CreateJobRequest::default() })
        .await?;
    for statement in [
        "insert into punctual.job (id, namespace, name, version, state, created_at, updated_at)
         select gen_random_uuid(), namespace, $1 || '-' || number, version, state, created_at, updated_at
         from punctual.job cross join generate_series(2, $2) as number where name = $1",
        "insert into punctual.job_version (job_id, version, spec, author, created_at)
         select copy.id, 1, v.spec, v.author, v.created_at
         from punctual.job j join punctual.job_version v on v.job_id = j.id
         join punctual.job copy on copy.name like $1 || '-%' where j.name = $1 and $2 > 0",
        "insert into punctual.job_cursor (job_id, version, next_due_at)
         select copy.id, 1, c.next_due_at
         from punctual.job j join punctual.job_cursor c on c.job_id = j.id
         join punctual.job copy on copy.name like $1 || '-%' where j.name = $1 and $2 > 0",
    ] {
        sqlx::query(statement).bind(name).bind(count).execute(system.database()).await?;
    }
    Ok(())
}

/// Workers with places for all of it, which start nothing. They end with this.
struct Fleet {
    _beating: JoinSet<()>,
}

impl Fleet {
    async fn open(system: &System) -> anyhow::Result<Self> {
        let mut beating = JoinSet::new();
        for _ in 0..DUE / i64::from(PLACES) {
            let workers = system.workers().await?;
            let session = register(workers.clone()).await?;
            beating.spawn(beat(workers, session));
        }
        Ok(Self { _beating: beating })
    }
}

async fn register(mut workers: WorkerServiceClient<Channel>) -> anyhow::Result<String> {
    let session = Uuid::new_v4().to_string();
    let worker = RegisterWorkerRequest {
        session: session.clone(),
        name: "idle".to_owned(),
        namespace: "default".to_owned(),
        task_queue: "default".to_owned(),
        kinds: vec!["noop".to_owned()],
        places: PLACES,
    };
    workers.register_worker(worker).await?;
    Ok(session)
}

/// Until the session has ended.
async fn beat(mut workers: WorkerServiceClient<Channel>, session: String) {
    let mut pace = tokio::time::interval(Duration::from_secs(2));
    loop {
        pace.tick().await;
        let beat = HeartbeatRequest { session: session.clone(), ..HeartbeatRequest::default() };
        if workers.heartbeat(beat).await.is_err() {
            break;
        }
    }
}

/// By run, milliseconds from due to the node having each of its doorbells; until all runs have one, and a moment longer.
async fn listen(system: &System, due: DateTime<Utc>) -> anyhow::Result<HashMap<String, Vec<f64>>> {
    let mut options = ConsumerOptions::new("task.default.default".parse()?, "workers".parse()?);
    options.nodes = vec![NodeAddress::new(&system.queue)];
    let mut consumer = Consumer::start(options)?;
    consumer.set_ready(2_500);
    let until = Instant::now() + (due - clock::now()).to_std().unwrap_or_default() + REDELIVERED_AFTER;
    let mut rung: HashMap<String, Vec<f64>> = HashMap::new();
    let mut quiet = until;
    while let Ok(Some(delivery)) = tokio::time::timeout_at(quiet.min(until), consumer.recv()).await {
        let message = delivery.message();
        let doorbell = Doorbell::from_json(&message.body)?;
        let after =
            (message.timestamp_ns - due.timestamp_nanos_opt().context("it is this century")?) as f64 / 1e6;
        rung.entry(doorbell.run_id).or_default().push(after);
        delivery.finish();
        if rung.len() as i64 == DUE {
            quiet = Instant::now() + Duration::from_secs(2);
        }
    }
    Ok(rung)
}

async fn show(system: &System, due: DateTime<Utc>, rung: &HashMap<String, Vec<f64>>) -> anyhow::Result<()> {
    let runs = materialised(system.database(), due).await?;
    line("materialised", &format!("{runs} of {DUE}"), "all");
    let twice = rung.values().filter(|after| after.len() > 1).count();
    line("published", &format!("{} of {DUE}, {twice} of them more than once", rung.len()), "all, once");
    let after = Sample::new(rung.values().filter_map(|after| after.first().copied()).collect());
    line("the first one published after", &ms(after.least()), "< 100 ms, never early");
    let value = format!(
        "p50 {}, p90 {}, p99 {}, max {}",
        ms(after.quantile(0.5)),
        ms(after.quantile(0.9)),
        ms(after.quantile(0.99)),
        ms(after.most())
    );
    line("due to published", &value, "");
    line(
        "memory of the scheduler at most",
        &format!("{:.0} MB", system.most_memory("scheduler")? as f64 / 1e6),
        "< 537 MB",
    );
    ensure!(runs == DUE && rung.len() as i64 == DUE && twice == 0, "not each run was published once");
    ensure!(after.least() >= 0.0, "one was published {} early", ms(-after.least()));
    Ok(())
}

async fn materialised(database: &PgPool, due: DateTime<Utc>) -> anyhow::Result<i64> {
    let ledger = "select count(*) from punctual.run_ledger where due_at = $1";
    Ok(sqlx::query_scalar(ledger).bind(due).fetch_one(database).await?)
}
