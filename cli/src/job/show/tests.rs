use punctual_proto::json::from_value;
use serde_json::json;

use super::*;

fn jobs() -> Vec<Job> {
    [
        json!({
            "name": "nightly", "namespace": "default", "state": "active", "version": 3,
            "schedule": [{ "cron": "0 3 * * *", "zone": "Europe/Berlin" }, { "every": "90m", "end": "2027-01-01T00:00:00Z" }],
            "exec": { "argv": ["/usr/bin/rsync", "-a", "/srv/my data", "/backup", "--exclude=everything that is temporary"] },
            "task_queue": "default", "retry": { "max_tries": 3, "exponential": { "initial": "1s" } },
            "labels": { "team": "ops" }, "next_due_at": "2026-12-01T02:00:00Z", "created_at": "2026-11-01T10:11:12.345Z",
        }),
        json!({ "name": "report", "state": "paused", "state_reason": "disk full", "paused_by": "ann",
            "paused_at": "2026-11-01T10:00:00Z", "paused_until": "2026-11-02T06:00:00Z", "kind": "report", "payload": { "to": "boss" } }),
    ]
    .into_iter()
    .map(|job| from_value(job).unwrap())
    .collect()
}

#[test]
fn a_list_has_a_line_for_each_job() {
    insta::assert_snapshot!(list(&jobs(), Style::PLAIN), @r"
    NAME     STATE   SCHEDULE                                                               NEXT DUE              TASK
    nightly  active  cron 0 3 * * * Europe/Berlin; every 1h 30m until 2027-01-01 00:00:00Z  2026-12-01 02:00:00Z  /usr/bin/rsync -a '/srv/my data' /backup '--excl…
    report   paused  when triggered                                                                               kind report
    ");
}

#[test]
fn a_job_is_shown_in_full_without_what_is_empty() {
    insta::assert_snapshot!(one(&jobs()[0], Style::PLAIN), @r"
    Name:        nightly
    Namespace:   default
    State:       active
    Schedule:    cron 0 3 * * * Europe/Berlin; every 1h 30m until 2027-01-01 00:00:00Z
    Next due:    2026-12-01 02:00:00Z
    Task:        /usr/bin/rsync -a '/srv/my data' /backup '--exclude=everything that is temporary'
    Task queue:  default
    Labels:      team ops
    Retry:       max_tries 3, exponential (initial 1s)
    Version:     3
    Created:     2026-11-01 10:11:12.345Z
    ");
    insta::assert_snapshot!(one(&jobs()[1], Style::PLAIN), @r"
    Name:          report
    State:         paused
    Reason:        disk full
    Paused by:     ann
    Paused at:     2026-11-01 10:00:00Z
    Paused until:  2026-11-02 06:00:00Z
    Schedule:      when triggered
    Task:          kind report
    Payload:       to boss
    Version:       0
    ");
}

#[test]
fn no_jobs_is_an_invitation() {
    insta::assert_snapshot!(list(&[], Style::PLAIN), @"No jobs yet. Define some with: punctual job apply -f jobs.yaml");
}

#[test]
fn colours_and_wrapping_are_for_terminals() {
    let text = list(&jobs(), Style { colour: true, width: Some(60) });
    assert!(text.contains("\u{1b}[38;5;10mactive"), "{text:?}");
    assert!(text.lines().count() > 3, "{text}");
}
