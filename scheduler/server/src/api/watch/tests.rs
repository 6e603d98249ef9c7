use chrono::TimeDelta;
use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use punctual_scheduler_domain::run::RunOrigin;
use uuid::Uuid;

use super::*;

fn a_run(id: u128, state: RunState, attempts: u32) -> Run {
    let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    Run {
        id: RunId(Uuid::from_u128(id)),
        namespace: Namespace::default(),
        job: "tick".to_owned(),
        job_version: 1,
        origin: RunOrigin::Schedule,
        state,
        reason: String::new(),
        due_at: at,
        run_at: at,
        task_queue: TaskQueue::default(),
        kind: Kind::exec(),
        attempts,
        priority: Default::default(),
        concurrency_key: String::new(),
        tries_used: 0,
        created_at: at,
        started_at: None,
        ended_at: None,
        error: String::new(),
        result: String::new(),
        progress: 0.0,
        progress_note: String::new(),
        cancel_requested: false,
        links: Default::default(),
    }
}

/// What the store shows at a look, as (id, state, attempts), and what is then told of, as (id, state).
type Look<'a> = (&'a [(u128, RunState, u32)], &'a [(u128, RunState)]);

#[track_caller]
fn check(looks: &[Look<'_>]) {
    let mut told = Told::default();
    for (index, (seen, expect)) in looks.iter().enumerate() {
        let runs = seen.iter().map(|(id, state, attempts)| a_run(*id, *state, *attempts)).collect();
        let news: Vec<_> = told.news(runs).iter().map(|run| (run.id.0.as_u128(), run.state)).collect();
        assert_eq!(news, *expect, "look {index}");
    }
}

#[test]
fn a_run_is_told_of_at_first_and_then_at_each_change() {
    use RunState::{Queued, Running, Scheduled, Succeeded};
    check(&[
        (&[(1, Scheduled, 0), (2, Queued, 0)], &[(1, Scheduled), (2, Queued)]),
        (&[(1, Scheduled, 0), (2, Queued, 0)], &[]),
        (&[(1, Queued, 0), (2, Running, 1)], &[(1, Queued), (2, Running)]),
        (&[(1, Running, 1), (2, Succeeded, 1)], &[(1, Running), (2, Succeeded)]),
        (&[(1, Running, 1)], &[]),
    ]);
}

#[test]
fn another_attempt_is_a_change_though_the_state_looks_the_same() {
    check(&[
        (&[(1, RunState::Running, 1)], &[(1, RunState::Running)]),
        (&[(1, RunState::Running, 2)], &[(1, RunState::Running)]),
    ]);
}

#[test]
fn an_end_that_is_seen_twice_is_told_once_and_never_taken_back() {
    use RunState::{Failed, Running};
    check(&[
        (&[(1, Running, 1)], &[(1, Running)]),
        (&[(1, Failed, 1)], &[(1, Failed)]),
        (&[(1, Failed, 1)], &[]),
        (&[(1, Running, 1)], &[]),
    ]);
    // Live and ended in one look, in either order.
    check(&[(&[(1, Running, 1), (1, Failed, 1)], &[(1, Running), (1, Failed)])]);
    check(&[(&[(1, Failed, 1), (1, Running, 1)], &[(1, Failed)])]);
}

#[test]
fn what_has_gone_is_forgotten() {
    let mut told = Told::default();
    told.news((0..100).map(|id| a_run(id, RunState::Succeeded, 1)).collect());
    assert_eq!(told.runs.len(), 100);
    told.news(vec![a_run(7, RunState::Succeeded, 1)]);
    assert_eq!(told.runs.len(), 1);
}
