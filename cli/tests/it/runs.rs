use punctual_proto::v1::RunState;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::{punctual, run};
use crate::fake::{Fake, State, a_run};

#[tokio::test]
async fn runs_are_listed_by_state() {
    let runs =
        vec![a_run("r1", RunState::Failed), a_run("r2", RunState::Running), a_run("r3", RunState::Skipped)];
    let fake = Fake::start_with(State { runs, ..State::default() }).await;
    let list = async |words: &[&str]| run(&[&["run", "list", "--server", &fake.url], words].concat()).await;

    let found = list(&["-o", "json", "--state", "failed,RUN_STATE_SKIPPED", "--job", "tick"]).await.json();
    assert_eq!(
        found,
        json!([
            { "id": "r1", "namespace": "default", "job": "tick", "state": "failed", "due_at": "2026-12-01T09:00:00Z", "attempts": 1 },
            { "id": "r3", "namespace": "default", "job": "tick", "state": "skipped", "due_at": "2026-12-01T09:00:00Z", "attempts": 1 },
        ])
    );
    let limited = list(&["-o", "yaml", "--limit", "1"]).await;
    insta::assert_snapshot!(limited.out, @r"
    - id: r1
      namespace: default
      job: tick
      state: failed
      due_at: 2026-12-01T09:00:00Z
      attempts: 1
    ");
    assert_eq!(fake.calls("list_runs"), ["100", "1"]);

    let wrong = list(&["--state", "runing"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean `running`?"), "{}", wrong.err);
}

#[tokio::test]
async fn a_run_is_cancelled_at_once_or_when_its_worker_agrees() {
    let runs = vec![a_run("r1", RunState::Queued), a_run("r2", RunState::Running)];
    let fake = Fake::start_with(State { runs, ..State::default() }).await;
    let ended = run(&["run", "cancel", "r1", "r2", "--reason", "typo", "--server", &fake.url]).await;
    assert_eq!(ended.out, "cancelled r1\nasked r2 to end; it is running until its worker agrees\n");
}

#[tokio::test]
async fn a_one_off_run_is_a_program_or_a_kind() {
    let fake = Fake::start().await;
    let create =
        async |words: &[&str]| run(&[&["run", "create", "--server", &fake.url], words].concat()).await;

    assert_eq!(create(&["--", "/bin/date", "--utc"]).await.out, "created run one-off\n");
    let run = create(&["--kind", "report", "--payload", r#"{"to":"boss"}"#, "-o", "json"]).await.json();
    assert_eq!(run[0]["result"], json!({ "to": "boss" }));
    assert_eq!(run[0]["kind"], r#"Some(Kind("report"))"#);

    assert_eq!(create(&["--request-id", "once", "--kind", "k"]).await.code, 0);
    let ids = fake.calls("create_run");
    assert_eq!(ids[2], "once");
    assert!(ids[0].len() == 36 && ids[0] != ids[1], "each call has its own id: {ids:?}");

    for words in [&[][..], &["--kind", "k", "--", "x"], &["--kind", "k", "--payload", "{"]] {
        assert_eq!(create(words).await.code, 2, "{words:?}");
    }
}

#[tokio::test]
async fn a_watched_run_ends_the_command_with_its_outcome() {
    for (state, code) in [(RunState::Succeeded, 0), (RunState::Failed, 6), (RunState::Cancelled, 6)] {
        let streams =
            vec![vec![a_run("r1", RunState::Queued), a_run("r1", RunState::Running), a_run("r1", state)]];
        let fake = Fake::start_with(State { streams, ..State::default() }).await;
        let ended = run(&["run", "watch", "r1", "-o", "json", "--server", &fake.url]).await;
        assert_eq!(ended.code, code, "{ended:?}");
        let states: Vec<Value> = ended
            .out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
            .collect();
        assert_eq!(states[..2], [json!("queued"), json!("running")]);
        assert_eq!(states.len(), 3);
    }
}

#[tokio::test]
async fn watching_goes_on_when_the_stream_breaks_and_repeats_nothing() {
    let (one, two) = (a_run("r1", RunState::Running), a_run("r1", RunState::Succeeded));
    let streams = vec![vec![one.clone()], vec![], vec![one, two, a_run("r2", RunState::Skipped)]];
    let fake = Fake::start_with(State { streams, ..State::default() }).await;
    let mut child = punctual().args(["run", "watch", "--server", &fake.url]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for expect in ["tick  running  r1", "tick  succeeded  r1", "tick  skipped  r2"] {
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(line, format!("2026-12-01 09:00:00Z  {expect}"));
    }
    assert_eq!(fake.calls("watch_runs").len(), 3);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let runs = (0..10_000).map(|number| a_run(&format!("r{number}"), RunState::Failed)).collect();
    let fake = Fake::start_with(State { runs, ..State::default() }).await;
    let mut child = punctual()
        .args(["run", "list", "-o", "json", "--limit", "10000", "--server", &fake.url])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "[");
    drop(lines);
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
}
