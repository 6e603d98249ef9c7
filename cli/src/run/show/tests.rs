use punctual_proto::json::from_value;
use serde_json::{Value, json};

use super::*;

fn a_run(fields: Value) -> Run {
    let mut run = json!({
        "id": "0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a", "namespace": "default", "job": "tick", "job_version": 1,
        "origin": "schedule", "state": "succeeded", "kind": "exec", "task_queue": "default", "attempts": 1,
        "due_at": "2026-12-01T09:00:00Z", "run_at": "2026-12-01T09:00:00Z",
        "started_at": "2026-12-01T09:00:00.004Z", "ended_at": "2026-12-01T09:00:01.304Z",
    });
    run.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    from_value(run).unwrap()
}

fn a_failed_run() -> Run {
    a_run(json!({
        "state": "failed", "attempts": 2, "tries_used": 2, "error": "exit status 1\nand more", "run_at": "2026-12-01T09:00:03Z",
        "attempt_history": [
            { "number": 1, "outcome": "timed_out", "worker": "host-7", "started_at": "2026-12-01T09:00:00.004Z",
              "ended_at": "2026-12-01T09:00:01.304Z", "error": "no end in sight" },
            { "number": 2, "outcome": "failed", "worker": "host-8", "error": "exit status 1", "error_kind": "exit",
              "output_tail": "cannot open \u{1b}[31mdisk\nbye\n" },
        ],
    }))
}

#[test]
fn a_list_has_a_line_for_each_run() {
    let runs = [
        a_run(json!({})),
        a_failed_run(),
        a_run(
            json!({ "job": "", "kind": "report", "state": "skipped", "attempts": 0, "reason": "overlap", "started_at": null, "ended_at": null }),
        ),
    ];
    insta::assert_snapshot!(list(&runs, Style::PLAIN), @r"
    ID                                    JOB     STATE      ATTEMPTS  DUE                   LATE  TOOK  WHY
    0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a  tick    succeeded  1         2026-12-01 09:00:00Z  4ms   1.3s
    0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a  tick    failed     2         2026-12-01 09:00:00Z        1.3s  exit status 1
    0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a  report  skipped    0         2026-12-01 09:00:00Z              overlap
    ");
    insta::assert_snapshot!(list(&[], Style::PLAIN), @"No runs.");
}

#[test]
fn a_run_is_shown_with_its_attempts_and_their_output() {
    insta::assert_snapshot!(one(&a_failed_run(), Style::PLAIN), @r"
    Id:           0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a
    Namespace:    default
    Job:          tick
    Job version:  1
    Origin:       schedule
    State:        failed
    Kind:         exec
    Task queue:   default
    Due:          2026-12-01 09:00:00Z
    Run at:       2026-12-01 09:00:03Z
    Started:      2026-12-01 09:00:00.004Z
    Ended:        2026-12-01 09:00:01.304Z
    Took:         1.3s
    Attempts:     2
    Tries used:   2
    Error:        exit status 1
                  and more

    Attempt:  1
    Outcome:  timed_out
    Worker:   host-7
    Started:  2026-12-01 09:00:00.004Z
    Took:     1.3s
    Error:    no end in sight

    Attempt:     2
    Outcome:     failed
    Worker:      host-8
    Error:       exit status 1
    Error kind:  exit
    Output:
      | cannot open �[31mdisk
      | bye
    ");
}

#[test]
fn a_followed_run_is_a_line_each_time_it_changes() {
    insta::assert_snapshot!(line(&a_run(json!({}))), @"2026-12-01 09:00:00Z  tick  succeeded  took 1.3s  0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a");
    insta::assert_snapshot!(line(&a_failed_run()), @"2026-12-01 09:00:00Z  tick  failed  attempt 2  took 1.3s  (exit status 1)  0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a");
}

#[test]
fn a_cancelled_run_is_told_from_one_that_still_has_to_agree() {
    insta::assert_snapshot!(cancelled(&a_run(json!({ "state": "cancelled" }))), @"cancelled 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a");
    insta::assert_snapshot!(cancelled(&a_run(json!({ "state": "running" }))), @"asked 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a to end; it is running until its worker agrees");
}
