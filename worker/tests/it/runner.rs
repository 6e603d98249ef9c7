//! The runner: flags in, programs out.

use std::time::Duration;

use clap::Parser;
use punctual_proto::v1::Granted;
use punctual_proto::v1::start_attempt_response::Answer;
use punctual_worker::{Runner, WorkerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use crate::scheduler::Scheduler;
use crate::stage::outcome;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    worker: WorkerOptions,
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_runner_executes_what_it_is_allowed_and_shows_how_it_is() {
    let (mut scheduler, mut node) = (Scheduler::start().await, Node::start().await);
    let granted = Granted {
        run_id: "r1".into(),
        attempt: 1,
        kind: "exec".into(),
        payload: r#"{"argv":["echo","hello"]}"#.into(),
        ..Default::default()
    };
    scheduler.answer("r1", [Answer::Granted(granted)]);
    let (server, queue) = (scheduler.url.clone(), node.address.to_string());
    let args = [
        "worker",
        "--server",
        &server,
        "--queue-tcp-address",
        &queue,
        "--allow-exec=echo",
        "--http-address=127.0.0.1:0",
    ];
    let runner = Runner::bind(Command::parse_from(args).worker).await.unwrap();
    let http = runner.http_address().unwrap();
    let ready = runner.ready();
    let shutdown = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(runner.run(shutdown.clone()));
    tokio::time::timeout(Duration::from_secs(10), ready).await.expect("the runner gets ready");
    assert!(get(http, "/readyz").await.starts_with("HTTP/1.1 200"));

    node.deliver(br#"{"runId":"r1","dispatch":1,"kind":"exec"}"#);
    let report = scheduler.finished().await;
    assert_eq!((outcome(&report), report.output_tail.as_str()), ("succeeded", "hello\n"));
    let metrics = get(http, "/metrics").await;
    assert!(metrics.contains("punctual_worker_attempts_total{outcome=\"succeeded\"} 1"), "{metrics}");
    assert!(metrics.contains("punctual_worker_places 10"), "{metrics}");

    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), running.join_next()).await;
    ended.expect("the runner ends").unwrap().unwrap().unwrap();
}
