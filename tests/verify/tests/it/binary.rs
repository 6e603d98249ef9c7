//! The program: its exit code and what it prints.

use std::io::Write;
use std::process::{Command, Stdio};

use punctual_verify::history::{History, HistoryError, What};
use punctual_verify::{Options, check};

use crate::story::{Story, ticking, ticking_without};

fn verify(history: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_verify"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it was piped").write_all(history).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn written(story: &Story) -> Vec<u8> {
    let mut bytes = Vec::new();
    story.told(100.0).write(&mut bytes).expect("memory takes it");
    bytes
}

#[test]
fn a_true_history_exits_with_0_and_its_counts() {
    let (code, out, _) = verify(&written(&ticking(5)));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("jobs 1, instants due 5"), "{out}");
    assert!(out.contains("every guarantee held"), "{out}");
}

#[test]
fn a_false_history_exits_with_1_and_shows_the_lines_that_prove_it() {
    let mut story = ticking_without(5, &[3]);
    story.success("tick", 2.5, 0.1);
    let (code, out, _) = verify(&written(&story));
    assert_eq!(code, Some(1));
    assert!(out.contains("P1a: every due instant has its run"), "{out}");
    assert!(out.contains("tick at 2026-03-01T00:00:03Z has neither a run nor a record"), "{out}");
    assert!(out.contains(r#""run":"tick@2.5""#), "{out}");
    assert!(out.contains("GUARANTEES WERE BROKEN"), "{out}");
}

#[test]
fn what_cannot_be_judged_exits_with_2() {
    let (code, _, err) = verify(b"{\"ts\":1,\"k\":\"clock\"}\n");
    assert_eq!(code, Some(2));
    assert!(err.contains("line 1 is not an event: missing field `db`"), "{err}");
    let (code, _, err) = verify(b"");
    assert_eq!((code, err.as_str()), (Some(2), "verify: the history holds no `clock` reading\n"));
}

#[test]
fn a_history_survives_being_written_and_read() {
    let history = ticking(3).told(100.0);
    let mut bytes = Vec::new();
    history.write(&mut bytes).expect("memory takes it");
    assert_eq!(History::read(&bytes[..]).expect("it reads").events, history.events);
}

#[test]
fn events_of_unknown_kinds_are_passed_over() {
    let text = r#"{"ts":5,"p":"w1","k":"dlv","node":"n1","msg":"7"}"#;
    let history = History::read(text.as_bytes()).expect("it reads");
    assert_eq!(history.events[0].what, What::Unknown);
}

#[test]
fn a_cut_export_is_not_judged() {
    let mut story = ticking(3);
    story.event(1_001.0, What::Final { runs: 4 });
    let error = check(&story.told(100.0), &Options::default()).expect_err("a row is missing");
    assert!(matches!(error, HistoryError::Cut { counted: 4, found: 3 }), "{error}");
}

#[test]
fn a_history_that_never_came_to_rest_is_not_judged() {
    let mut history = ticking(3).told(100.0);
    history.events.retain(|event| event.what != What::Quiesce);
    assert!(matches!(check(&history, &Options::default()), Err(HistoryError::NoQuiesce)));
}
