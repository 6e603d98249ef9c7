use std::time::Duration;

use super::*;
use crate::audit::{JobEvent, JobEventKind};
use crate::misfire::MissedReason;
use crate::schedule::ScheduleSpec;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn every(seconds: u64) -> ScheduleSet {
    ScheduleSet::compile(&[ScheduleSpec::every(Duration::from_secs(seconds))]).unwrap()
}

fn event(seconds: i64, kind: JobEventKind, version: u32) -> JobEvent {
    JobEvent { at: at(seconds), since: None, kind, actor: String::new(), version, note: String::new() }
}

/// Every 10 s, from 40 s on every 20 s, paused from 101 s on.
fn a_life() -> Vec<JobEvent> {
    vec![
        event(-5, JobEventKind::Created, 1),
        event(40, JobEventKind::Updated, 2),
        event(101, JobEventKind::Paused, 2),
    ]
}

#[track_caller]
fn check(ledger: &[i64], missed: &[(i64, i64)], limit: usize, expect: impl FnOnce(Reconciled)) {
    let (tens, twenties) = (every(10), every(20));
    let events = a_life();
    let missed: Vec<_> = missed
        .iter()
        .map(|(from, to)| MissedRange {
            from: at(*from),
            to: at(*to),
            count: 1,
            reason: MissedReason::Misfire,
        })
        .collect();
    let input = ReconcileInput {
        timeline: Timeline::new(&events),
        from: at(0),
        until: at(200),
        ledger: &ledger.iter().map(|seconds| at(*seconds)).collect(),
        missed: &missed,
        limit,
    };
    expect(reconcile(&input, |version| Some(if version == 1 { &tens } else { &twenties })));
}

const ALL: [i64; 8] = [0, 10, 20, 30, 40, 60, 80, 100];

#[test]
fn a_ledger_that_holds_all_of_each_version_is_in_order() {
    check(&ALL, &[], 1_000, |found| {
        assert_eq!(found, Reconciled { expected: 8, found: 8, ..Reconciled::default() });
    });
}

#[test]
fn an_instant_that_is_nowhere_is_found_absent_and_one_that_was_counted_is_not() {
    let without: Vec<_> = ALL.into_iter().filter(|at| ![20, 60, 80].contains(at)).collect();
    check(&without, &[(60, 80)], 1_000, |found| {
        assert_eq!((found.expected, found.found), (8, 7));
        assert_eq!(found.absent, [at(20)]);
    });
}

#[test]
fn what_nothing_asks_for_is_found_unless_it_was_admitted_as_the_job_changed() {
    let mut ledger = ALL.to_vec();
    // Of the old version's, a moment and a long time after the change; and one during the pause.
    ledger.extend([41, 50, 120]);
    check(&ledger, &[], 1_000, |found| {
        assert_eq!(found.unexpected, [at(50), at(120)]);
        assert_eq!((found.expected, found.found), (8, 8));
    });
}

#[test]
fn a_version_that_cannot_be_evaluated_asks_for_nothing() {
    let events = a_life();
    let tens = every(10);
    let input = ReconcileInput {
        timeline: Timeline::new(&events),
        from: at(0),
        until: at(200),
        ledger: &[0, 10, 20, 30, 40, 77].map(at).into(),
        missed: &[],
        limit: 100,
    };
    let found = reconcile(&input, |version| (version == 1).then_some(&tens));
    assert_eq!((found.expected, found.found, &found.unreadable[..]), (5, 5, &[2][..]));
    assert!(found.unexpected.is_empty());
}

#[test]
fn too_much_is_cut_off_and_said_to_be() {
    check(&ALL, &[], 3, |found| {
        assert_eq!((found.expected, found.found, found.cut_at), (3, 3, Some(at(30))));
        assert!(found.unexpected.is_empty(), "what was not looked at is not judged");
    });
}

#[test]
fn a_job_that_is_errored_is_asked_for_nothing_and_keeps_what_it_had() {
    let tens = every(10);
    let events = [event(-5, JobEventKind::Created, 1), event(33, JobEventKind::Errored, 1)];
    let input = ReconcileInput {
        timeline: Timeline::new(&events),
        from: at(0),
        until: at(200),
        ledger: &[0, 10, 20, 30, 40].map(at).into(),
        missed: &[],
        limit: 100,
    };
    let found = reconcile(&input, |_| Some(&tens));
    assert_eq!(found, Reconciled { expected: 4, found: 4, ..Reconciled::default() });
}
