use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tonic::Code;

use crate::command::run;
use crate::fake::{Fake, State};

/// An address at which nothing listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_call_goes_to_the_next_server_when_one_does_not_answer() {
    let refuse = Some((Code::Unavailable, "stopping".to_owned()));
    let (down, leaving) = (nowhere().await, Fake::start_with(State { refuse, ..State::default() }).await);
    let up = Fake::start().await;
    let list = format!("{down},{}", leaving.url);
    let ended = run(&["job", "list", "-o", "json", "--server", &list, "--server", &up.url]).await;
    assert_eq!(ended.json(), serde_json::json!([]));
    assert_eq!((leaving.calls("list_jobs").len(), up.calls("list_jobs").len()), (1, 1));
}

#[tokio::test]
async fn a_server_that_hangs_leaves_time_for_the_next() {
    // Takes connections into its backlog and never answers.
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap());
    let up = Fake::start().await;
    let list = format!("{url},{}", up.url);
    let began = Instant::now();
    let ended = run(&["job", "list", "-o", "json", "--timeout", "2s", "--server", &list]).await;
    assert_eq!(ended.json(), serde_json::json!([]));
    assert!(began.elapsed() >= Duration::from_secs(1), "the first had its share");

    let alone = run(&["job", "list", "--timeout", "200ms", "--server", &url]).await;
    assert_eq!(alone.code, 4);
    assert!(
        alone.err.starts_with(&format!("error: cannot reach {url}: no answer within 200ms\n")),
        "{}",
        alone.err
    );
}

#[tokio::test]
async fn a_repeated_call_carries_the_same_id() {
    let refuse = Some((Code::Unavailable, "stopping".to_owned()));
    let leaving = Fake::start_with(State { refuse, ..State::default() }).await;
    let up = Fake::start().await;
    let list = format!("{},{}", leaving.url, up.url);
    let ended = run(&["job", "trigger", "a", "--server", &list]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let (first, second) = (leaving.calls("trigger_job"), up.calls("trigger_job"));
    assert_eq!(first, second);
    assert_eq!(first[0].len(), 36);
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_with_what_to_do() {
    let (one, two) = (nowhere().await, nowhere().await);
    let ended = run(&["run", "list", "--server", &format!("{one},{two}")]).await;
    assert_eq!(ended.code, 4);
    insta::assert_snapshot!(ended.err.replace(&one, "ONE").replace(&two, "TWO"), @r"
    error: cannot reach ONE: connection refused
           nor TWO: connection refused
    Is a scheduler running? Start one with: punctual dev
    Elsewhere? Name it with: --server URL
    ");

    let refuse = Some((Code::Unavailable, "the database does not answer".to_owned()));
    let fake = Fake::start_with(State { refuse, ..State::default() }).await;
    let ended = run(&["run", "list", "--server", &fake.url]).await;
    assert_eq!(ended.code, 4);
    insta::assert_snapshot!(ended.err.replace(&fake.url, "URL"), @r"
    error: cannot reach URL: the database does not answer
    The scheduler runs but cannot serve now: try again, or look into its log.
    ");
}
