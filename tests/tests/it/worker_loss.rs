//! Workers that die, fall silent, or are cut off.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::create_run_request::Task;
use punctual_proto::v1::finish_attempt_request::{Failed, Outcome, Succeeded};
use punctual_proto::v1::start_attempt_response::Answer;
use punctual_proto::v1::{
    AttemptOutcome, CreateRunRequest, ExecTask, FinishAttemptRequest, HeartbeatRequest,
    RegisterWorkerRequest, RunState, StartAttemptRequest,
};
use punctual_tests::client::Client;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::definition::quick_retry;
use punctual_tests::proxy::Proxy;
use punctual_tests::recorder::Recorder;
use punctual_tests::topology::{Member, Role};
use punctual_tests::wait::until;
use punctual_tests::witness::{Seen, Witness};
use sqlx::types::Uuid;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A worker's lease is 10 s; with it ended, the run is tried again.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(30);

fn one_off(argv: Vec<String>) -> CreateRunRequest {
    CreateRunRequest {
        task: Some(Task::Exec(ExecTask { argv, ..ExecTask::default() })),
        retry: Some(quick_retry(3)),
        ..CreateRunRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_is_killed_in_the_middle_is_retried_by_another() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { workers: 2, ..Shape::small() }).await?;
    let witness = Witness::listen(cluster.dir(), Arc::new(Recorder::default()))?;
    let client = cluster.client()?;
    let run = client.create_run(one_off(witness.argv(Duration::from_secs(5))?), true).await?.id;
    let first = witness.sees("the first attempt", Duration::from_secs(10), |seen| seen.run == run).await?;

    let holder = parent_of(first.pid)?;
    let workers: Vec<Member> = cluster.topology().of(Role::Worker).collect();
    let mut killed = None;
    for worker in workers {
        if cluster.process(worker)?.pid().is_some_and(|pid| pid.as_raw() == holder) {
            cluster.kill(worker)?;
            killed = Some(worker);
        }
    }
    let killed = killed.context("no worker holds the attempt")?;

    let run = client.run_becomes(&run, RunState::Succeeded, TAKES_OVER_WITHIN).await?;
    let outcomes: Vec<AttemptOutcome> = run.attempt_history.iter().map(|attempt| attempt.outcome()).collect();
    ensure!(outcomes == [AttemptOutcome::Lost, AttemptOutcome::Succeeded], "{outcomes:?}");
    ensure!(run.attempt_history[0].session != run.attempt_history[1].session, "the same worker again");
    ensure!(
        !witness.sightings().iter().any(|seen| seen.att == 1 && seen.what == Seen::End),
        "it was not killed"
    );
    cluster.restart(killed).await?;
    cluster.stop().await
}

/// The process that started a process.
fn parent_of(pid: i32) -> anyhow::Result<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the job's process is gone")?;
    // The name, in parentheses, may hold anything; state and parent follow it.
    let after_name = stat.rsplit_once(") ").context("no name in stat")?.1;
    Ok(after_name.split(' ').nth(1).context("no parent in stat")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_worker_that_fell_silent_is_refused() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape::small()).await?;
    let client = cluster.client()?;
    let (silent, lively) = (register(&client).await?, register(&client).await?);
    let mut beating = JoinSet::new();
    beating.spawn(beat(client.clone(), lively.clone()));

    let request = CreateRunRequest {
        task: Some(Task::Kind("slow".to_owned())),
        retry: Some(quick_retry(3)),
        ..CreateRunRequest::default()
    };
    let run = client.create_run(request, false).await?.id;
    ensure!(start(&cluster, &client, &silent, &run).await? == 1);
    ensure!(start(&cluster, &client, &lively, &run).await? == 2, "the second grant is not attempt 2");

    let late = finish(&client, &silent, &run, 1, failed()).await.expect_err("a stale report was accepted");
    ensure!(late.code() == Code::FailedPrecondition && reason(&late) == "STALE_ATTEMPT", "{late:?}");
    ensure!(client.run(&run).await?.state() == RunState::Running, "a refused report changed the run");
    finish(&client, &lively, &run, 2, succeeded()).await?;
    finish(&client, &lively, &run, 2, succeeded())
        .await
        .context("the same report again is not answered alike")?;
    let run = client.run_becomes(&run, RunState::Succeeded, Duration::from_secs(5)).await?;

    let late =
        finish(&client, &silent, &run.id, 1, succeeded()).await.expect_err("a stale report was accepted");
    ensure!(reason(&late) == "STALE_ATTEMPT", "{late:?}");
    let beat = HeartbeatRequest { session: silent, ..HeartbeatRequest::default() };
    let lost = client.workers().heartbeat(beat).await.expect_err("an ended session beats");
    ensure!(lost.code() == Code::NotFound && reason(&lost) == "SESSION_LOST", "{lost:?}");
    drop(beating);
    cluster.stop().await
}

async fn register(client: &Client) -> anyhow::Result<String> {
    let session = Uuid::new_v4().to_string();
    let request = RegisterWorkerRequest {
        session: session.clone(),
        name: "by hand".to_owned(),
        task_queue: "default".to_owned(),
        kinds: vec!["slow".to_owned()],
        places: 1,
        ..RegisterWorkerRequest::default()
    };
    client.workers().register_worker(request).await?;
    Ok(session)
}

/// Keeps a session alive, attempts that it was granted a moment ago included.
async fn beat(client: Client, session: String) {
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    loop {
        pace.tick().await;
        let held = client.runs().list_runs(punctual_proto::v1::ListRunsRequest::default()).await;
        let runs = held.map(|answer| answer.into_inner().runs).unwrap_or_default();
        // 0 says that it is being asked for, which a session may say of any run.
        let held = |run: punctual_proto::v1::Run| punctual_proto::v1::HeldAttempt {
            run_id: run.id,
            attempt: run.attempts,
            ..Default::default()
        };
        let attempts = runs.into_iter().map(held).collect();
        let request = HeartbeatRequest { session: session.clone(), attempts, ..Default::default() };
        // A missed beat shows soon enough: the session ends.
        let _answered = client.workers().heartbeat(request).await;
    }
}

/// Asks until the attempt is granted, as doorbells would make a worker do.
async fn start(cluster: &Cluster, client: &Client, session: &str, run: &str) -> anyhow::Result<u32> {
    let id: Uuid = run.parse()?;
    until("an attempt to be granted", TAKES_OVER_WITHIN, async || {
        let dispatch: Option<i32> =
            sqlx::query_scalar("select dispatch_seq from punctual.run_live where id = $1")
                .bind(id)
                .fetch_optional(cluster.database().pool())
                .await
                .map_err(|error| error.to_string())?;
        let request = StartAttemptRequest {
            session: session.to_owned(),
            run_id: run.to_owned(),
            dispatch: dispatch.unwrap_or(0).cast_unsigned(),
        };
        match client.workers().start_attempt(request).await.map(|answer| answer.into_inner().answer) {
            Ok(Some(Answer::Granted(granted))) => Ok(granted.attempt),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn finish(
    client: &Client,
    session: &str,
    run: &str,
    attempt: u32,
    outcome: Outcome,
) -> Result<(), Status> {
    let request = FinishAttemptRequest {
        session: session.to_owned(),
        run_id: run.to_owned(),
        attempt,
        outcome: Some(outcome),
        ..FinishAttemptRequest::default()
    };
    client.workers().finish_attempt(request).await.map(|_| ())
}

fn succeeded() -> Outcome {
    Outcome::Succeeded(Succeeded { result: "7".to_owned() })
}

fn failed() -> Outcome {
    Outcome::Failed(Failed { error: "too late".to_owned(), ..Failed::default() })
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_from_all_schedulers_stops_before_its_successor_starts() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { schedulers: 2, ..Shape::small() }).await?;
    let witness = Witness::listen(cluster.dir(), Arc::new(Recorder::default()))?;
    let client = cluster.client()?;
    let mut wires = Vec::new();
    for address in cluster.topology().addresses(Role::Scheduler, "GRPC") {
        wires.push(Proxy::to(address).await?);
    }
    let through: Vec<String> = wires.iter().map(|wire| format!("http://{}", wire.address())).collect();
    let cut_off = cluster.extra_worker("cut-off-worker", &through)?;

    // It says every 20 ms that it is still at it.
    let mut argv = witness.argv(Duration::from_secs(600))?;
    argv.push("20".to_owned());
    let run = client.create_run(one_off(argv), true).await?.id;
    let first = witness.sees("the first attempt", Duration::from_secs(20), |seen| seen.run == run).await?;
    let successor = cluster.extra_worker("successor", &cluster.servers())?;
    wires.iter().for_each(Proxy::cut);

    let second = |seen: &punctual_tests::witness::Sighting| seen.att == 2 && seen.what == Seen::Start;
    let second = witness.sees("the second attempt", TAKES_OVER_WITHIN, second).await?;
    ensure!(parent_of(first.pid).is_err(), "the first attempt's process lives on beside the second's");
    // More of the second, so that nothing of the first is still on its way.
    witness
        .sees("the second at work", Duration::from_secs(5), |seen| seen.att == 2 && seen.what == Seen::Beat)
        .await?;
    let last_of_first =
        witness.sightings().into_iter().filter(|seen| seen.att == 1).map(|seen| seen.ts).max();
    let last_of_first = last_of_first.context("the first attempt was never seen")?;
    ensure!(
        last_of_first < second.ts,
        "the first attempt was at work {last_of_first:?}, after {:?}",
        second.ts
    );

    client.cancel_run(&run).await?;
    let run = client.run_becomes(&run, RunState::Cancelled, Duration::from_secs(20)).await?;
    ensure!(run.attempts == 2 && run.tries_used == 1, "{run:?}");
    drop((cut_off, successor));
    cluster.stop().await
}
