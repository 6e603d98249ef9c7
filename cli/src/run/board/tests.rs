use punctual_proto::json::from_value;
use serde_json::json;

use super::*;

fn a_run(number: u32, state: &str) -> Run {
    let second = number % 60;
    let attempts = u32::from(!matches!(state, "scheduled" | "skipped"));
    from_value(json!({
        "id": format!("r{number}"), "job": "tick", "state": state, "attempts": attempts,
        "due_at": format!("2026-12-01T09:{:02}:{second:02}Z", number / 60),
    }))
    .unwrap()
}

#[test]
fn what_is_under_way_stands_between_what_comes_and_what_ended() {
    let mut board = Board::default();
    for (number, state) in [
        (1, "succeeded"),
        (2, "failed"),
        (3, "succeeded"),
        (4, "running"),
        (5, "scheduled"),
        (6, "scheduled"),
        (7, "scheduled"),
    ] {
        assert!(board.take(a_run(number, state)));
    }
    insta::assert_snapshot!(board.draw(Style::PLAIN, 24), @r"
    JOB   STATE      ATTEMPTS  DUE                   LATE  TOOK  WHY  ID
    tick  scheduled  0         2026-12-01 09:00:07Z                   r7
    tick  scheduled  0         2026-12-01 09:00:06Z                   r6
    tick  scheduled  0         2026-12-01 09:00:05Z                   r5
    tick  running    1         2026-12-01 09:00:04Z                   r4
    tick  succeeded  1         2026-12-01 09:00:03Z                   r3
    tick  failed     1         2026-12-01 09:00:02Z                   r2
    tick  succeeded  1         2026-12-01 09:00:01Z                   r1

    1 under way, 3 planned; 1 failed, 2 succeeded
    ");
    insta::assert_snapshot!(board.draw(Style::PLAIN, 6), @r"
    JOB   STATE      ATTEMPTS  DUE                   LATE  TOOK  WHY  ID
    tick  scheduled  0         2026-12-01 09:00:05Z                   r5
    tick  running    1         2026-12-01 09:00:04Z                   r4
    tick  succeeded  1         2026-12-01 09:00:03Z                   r3

    1 under way, 3 planned; 1 failed, 2 succeeded
    ");
}

#[test]
fn a_repeat_is_no_news_and_an_end_counts_once() {
    let mut board = Board::default();
    assert!(board.take(a_run(1, "running")));
    assert!(!board.take(a_run(1, "running")));
    assert!(board.take(a_run(1, "succeeded")));
    assert!(!board.take(a_run(1, "succeeded")));
    assert_eq!(board.tally(), "0 under way, 0 planned; 1 succeeded");
}

#[test]
fn old_final_runs_are_forgotten_and_live_ones_are_not() {
    let mut board = Board::default();
    board.take(a_run(0, "running"));
    for number in 1..3_000 {
        board.take(a_run(number, "succeeded"));
    }
    assert!(board.runs.len() <= 2 * KEEP_FINAL);
    assert!(board.runs.contains_key("r0"));
    assert_eq!(board.ended["succeeded"], 2_999);
}
