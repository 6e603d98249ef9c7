//! G9 and G12: every overlap policy does what it says, and who waits goes on when it can.

use std::time::Duration;

use punctual_scheduler::store::{Grant, JobChange, TriggerOptions};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::{RunId, SessionId};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::run::RunState;
use punctual_scheduler_domain::timeouts::Timeouts;

use super::on_both_stores;
use super::world::{World, a_job, seconds};

on_both_stores!(
    g9_queue_one_lets_one_wait_and_skips_the_others,
    g9_queue_all_lets_all_wait,
    g12_runs_under_queue_all_start_in_due_order,
    g9_cancel_running_asks_for_the_end_and_then_runs,
    g9_cancel_running_ends_at_once_what_has_not_started,
    g9_a_newer_run_replaces_one_that_waits_for_a_cancel,
    g9_kill_running_takes_the_place_at_once,
    g9_so_many_run_at_a_time_as_the_limit_says,
    g9_a_trigger_may_have_another_policy_than_its_job,
    a_retry_keeps_others_waiting,
    a_blocked_run_can_be_cancelled_and_lets_the_next_one_go,
    a_blocked_run_expires_at_its_deadline,
    a_deleted_job_leaves_nothing_blocked,
    the_sweep_finds_nothing_where_every_end_did_its_part,
);

fn under(overlap: Overlap) -> JobSpec {
    JobSpec { overlap, ..a_job() }
}

async fn state_and_reason(world: &World, run: RunId) -> (RunState, String) {
    let run = world.run(run).await;
    (run.state, run.reason)
}

fn blocked() -> (RunState, String) {
    (RunState::Blocked, "overlap".to_owned())
}

/// Triggers at instants a second apart, judged one after the other.
async fn triggers(world: &World, job: &str, times: usize) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..times {
        world.advance(seconds(1));
        runs.push(world.trigger(job).await);
        assert_eq!(world.admit().await.dispatches.len(), 0);
    }
    runs
}

async fn start_next(world: &World, session: SessionId) -> Grant {
    let dispatch = world.admit_one().await;
    world.granted(session, &dispatch).await
}

async fn g9_queue_one_lets_one_wait_and_skips_the_others(world: World) {
    world.job("one", under(Overlap::QueueOne)).await;
    let session = world.worker(10).await;
    let first = world.running("one", session).await;
    let [second, third] = triggers(&world, "one", 2).await[..] else { unreachable!() };
    assert_eq!(state_and_reason(&world, second).await, blocked());
    assert_eq!(state_and_reason(&world, third).await, (RunState::Skipped, "overlap".to_owned()));
    world.finish(session, &first, AttemptOutcome::Succeeded).await;
    assert_eq!(state_and_reason(&world, second).await, (RunState::Scheduled, String::new()));
    assert_eq!(start_next(&world, session).await.run, second);
}

async fn g9_queue_all_lets_all_wait(world: World) {
    world.job("all", under(Overlap::QueueAll)).await;
    let session = world.worker(10).await;
    let mut current = world.running("all", session).await;
    let runs = triggers(&world, "all", 3).await;
    for (place, run) in runs.iter().enumerate() {
        assert_eq!(state_and_reason(&world, *run).await, blocked());
        world.finish(session, &current, AttemptOutcome::Succeeded).await;
        current = start_next(&world, session).await;
        assert_eq!(current.run, *run);
        for later in &runs[place + 1..] {
            assert_eq!(state_and_reason(&world, *later).await, blocked());
        }
    }
}

/// Also when several fall due before any is judged, and one comes while the oldest is free to go but has not gone.
async fn g12_runs_under_queue_all_start_in_due_order(world: World) {
    world.job("all", under(Overlap::QueueAll)).await;
    let session = world.worker(10).await;
    let mut current = world.running("all", session).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        world.advance(seconds(1));
        runs.push(world.trigger("all").await);
    }
    assert_eq!(world.admit().await.blocked, 3);
    world.finish(session, &current, AttemptOutcome::Succeeded).await;
    world.advance(seconds(1));
    runs.push(world.trigger("all").await);
    for run in runs {
        current = start_next(&world, session).await;
        assert_eq!(current.run, run);
        world.finish(session, &current, AttemptOutcome::Succeeded).await;
    }
}

async fn g9_cancel_running_asks_for_the_end_and_then_runs(world: World) {
    world.job("next", under(Overlap::CancelRunning)).await;
    let session = world.worker(10).await;
    let first = world.running("next", session).await;
    let second = world.trigger("next").await;
    let admitted = world.admit().await;
    assert_eq!((admitted.blocked, admitted.ended, admitted.dispatches.len()), (1, 1, 0));
    assert_eq!(state_and_reason(&world, second).await, blocked());
    let asked = world.run(first.run).await;
    assert_eq!((asked.state, asked.cancel_requested), (RunState::Running, true));
    assert_eq!(asked.reason, format!("overlap: run {second} is due"));
    let answer = world.beat(session, &[(first.run, first.attempt)]).await.unwrap();
    assert_eq!(answer.cancel, [(first.run, first.attempt)]);
    world.finish(session, &first, AttemptOutcome::Cancelled).await;
    assert_eq!(world.state(first.run).await, RunState::Cancelled);
    assert_eq!(start_next(&world, session).await.run, second);
}

async fn g9_cancel_running_ends_at_once_what_has_not_started(world: World) {
    world.job("next", under(Overlap::CancelRunning)).await;
    let session = world.worker(10).await;
    world.trigger("next").await;
    let queued = world.admit_one().await.run;
    let [second] = triggers(&world, "next", 1).await[..] else { unreachable!() };
    let reason = format!("overlap: run {second} is due");
    assert_eq!(state_and_reason(&world, queued).await, (RunState::Cancelled, reason));
    assert_eq!(start_next(&world, session).await.run, second);
}

async fn g9_a_newer_run_replaces_one_that_waits_for_a_cancel(world: World) {
    world.job("next", under(Overlap::CancelRunning)).await;
    let session = world.worker(10).await;
    let first = world.running("next", session).await;
    let [second, third] = triggers(&world, "next", 2).await[..] else { unreachable!() };
    let reason = format!("overlap: replaced by run {third}");
    assert_eq!(state_and_reason(&world, second).await, (RunState::Cancelled, reason));
    // Its worker does not answer: the grace and its margin pass.
    world.advance(seconds(60));
    assert_eq!(world.reap_runs().await, 1);
    assert_eq!(world.state(first.run).await, RunState::Cancelled);
    world.store.unregister_worker(session).await.unwrap();
    let session = world.worker(10).await;
    assert_eq!(start_next(&world, session).await.run, third);
}

async fn g9_kill_running_takes_the_place_at_once(world: World) {
    world.job("now", under(Overlap::KillRunning)).await;
    let session = world.worker(10).await;
    let first = world.running("now", session).await;
    let second = world.trigger("now").await;
    let dispatch = world.admit_one().await;
    assert_eq!(dispatch.run, second);
    let (killed, attempts) = world.get(first.run).await;
    assert_eq!(killed.state, RunState::Cancelled);
    assert_eq!(killed.reason, format!("overlap: run {second} took its place"));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Cancelled));
    let answer = world.beat(session, &[(first.run, first.attempt)]).await.unwrap();
    assert_eq!(answer.lost, [(first.run, first.attempt)], "the next heartbeat tells the worker");
    world.granted(session, &dispatch).await;
}

async fn g9_so_many_run_at_a_time_as_the_limit_says(world: World) {
    for overlap in Overlap::ALL.iter().copied().filter(|overlap| *overlap != Overlap::Allow) {
        // One for each: time goes on for longer than a lease lasts.
        let session = world.worker(90).await;
        let name = overlap.as_str();
        world.job(name, JobSpec { max_running: 3, ..under(overlap) }).await;
        let mut grants = Vec::new();
        for _ in 0..3 {
            world.advance(seconds(1));
            grants.push(world.running(name, session).await);
        }
        world.advance(seconds(1));
        let fourth = world.trigger(name).await;
        let admitted = world.admit().await.dispatches;
        let unfinished = [&grants[0], &grants[1], &grants[2]].map(|grant| grant.run);
        let expected = match overlap {
            Overlap::Skip => RunState::Skipped,
            Overlap::KillRunning => RunState::Queued,
            _ => RunState::Blocked,
        };
        assert_eq!(world.state(fourth).await, expected, "{name}");
        assert_eq!(admitted.len(), usize::from(overlap == Overlap::KillRunning), "{name}");
        // Only the oldest gives way: one place is all it takes.
        assert_eq!(world.state(unfinished[1]).await, RunState::Running, "{name}");
        assert!(!world.run(unfinished[1]).await.cancel_requested, "{name}");
        world.change(name, JobChange::Delete).await.unwrap();
    }
}

async fn g9_a_trigger_may_have_another_policy_than_its_job(world: World) {
    world.job("strict", under(Overlap::Skip)).await;
    let session = world.worker(10).await;
    let first = world.running("strict", session).await;
    let waiting = TriggerOptions { overlap: Some(Overlap::QueueAll), ..TriggerOptions::default() };
    let second = world.trigger_with("strict", waiting).await;
    let beside = TriggerOptions { overlap: Some(Overlap::Allow), ..TriggerOptions::default() };
    let third = world.trigger_with("strict", beside).await;
    let fourth = world.trigger("strict").await;
    let admitted = world.admit().await;
    assert_eq!(admitted.dispatches.iter().map(|dispatch| dispatch.run).collect::<Vec<_>>(), [third]);
    assert_eq!(world.state(second).await, RunState::Blocked);
    assert_eq!(world.state(fourth).await, RunState::Skipped);
    let third = world.granted(session, &admitted.dispatches[0]).await;
    world.finish(session, &first, AttemptOutcome::Succeeded).await;
    assert_eq!(world.state(second).await, RunState::Blocked, "the third is unfinished");
    world.finish(session, &third, AttemptOutcome::Succeeded).await;
    assert_eq!(start_next(&world, session).await.run, second);
}

async fn a_retry_keeps_others_waiting(world: World) {
    world.job("all", under(Overlap::QueueAll)).await;
    let session = world.worker(10).await;
    let first = world.running("all", session).await;
    let [second] = triggers(&world, "all", 1).await[..] else { unreachable!() };
    world.finish(session, &first, AttemptOutcome::Failed).await;
    assert_eq!(world.state(second).await, RunState::Blocked);
    world.advance(seconds(5));
    let again = start_next(&world, session).await;
    assert_eq!((again.run, again.attempt.get()), (first.run, 2));
    assert_eq!(world.state(second).await, RunState::Blocked);
}

async fn a_blocked_run_can_be_cancelled_and_lets_the_next_one_go(world: World) {
    world.job("one", under(Overlap::QueueOne)).await;
    let session = world.worker(10).await;
    world.running("one", session).await;
    let [second] = triggers(&world, "one", 1).await[..] else { unreachable!() };
    world.store.cancel_run(second, "not needed").await.unwrap();
    assert_eq!(state_and_reason(&world, second).await, (RunState::Cancelled, "not needed".to_owned()));
    let [third] = triggers(&world, "one", 1).await[..] else { unreachable!() };
    assert_eq!(world.state(third).await, RunState::Blocked);
}

async fn a_blocked_run_expires_at_its_deadline(world: World) {
    for (limit, timeouts) in [
        ("start", Timeouts { schedule_to_start: Some(seconds(30)), ..Timeouts::default() }),
        ("close", Timeouts { schedule_to_close: Some(seconds(30)), ..Timeouts::default() }),
    ] {
        let name = format!("all-{limit}");
        world.job(&name, under(Overlap::QueueAll)).await;
        let session = world.worker(10).await;
        world.running(&name, session).await;
        world.change(&name, update(JobSpec { timeouts, ..under(Overlap::QueueAll) })).await.unwrap();
        let [second] = triggers(&world, &name, 1).await[..] else { unreachable!() };
        world.advance(seconds(30) - Duration::from_millis(1));
        assert_eq!(world.reap_runs().await, 0);
        world.advance(Duration::from_millis(1));
        assert_eq!(world.reap_runs().await, 1);
        let expired = (RunState::Expired, format!("schedule_to_{limit} passed"));
        assert_eq!(state_and_reason(&world, second).await, expired);
        world.store.unregister_worker(session).await.unwrap();
        world.change(&name, JobChange::Delete).await.unwrap();
    }
}

fn update(spec: JobSpec) -> JobChange {
    JobChange::Update { spec: Box::new(spec), back_to: None }
}

async fn a_deleted_job_leaves_nothing_blocked(world: World) {
    world.job("all", under(Overlap::QueueAll)).await;
    let session = world.worker(10).await;
    let first = world.running("all", session).await;
    let runs = triggers(&world, "all", 3).await;
    world.change("all", JobChange::Delete).await.unwrap();
    for run in runs {
        assert_eq!(state_and_reason(&world, run).await, (RunState::Cancelled, "job deleted".to_owned()));
    }
    assert_eq!(world.state(first.run).await, RunState::Running);
}

async fn the_sweep_finds_nothing_where_every_end_did_its_part(world: World) {
    world.job("all", JobSpec { max_running: 2, ..under(Overlap::QueueAll) }).await;
    let session = world.worker(10).await;
    let grants = [world.running("all", session).await, world.running("all", session).await];
    triggers(&world, "all", 3).await;
    assert_eq!(world.store.unblock(100).await.unwrap().runs, 0);
    for grant in grants {
        world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    }
    assert_eq!(world.store.unblock(100).await.unwrap().runs, 0);
    assert_eq!(world.admit().await.dispatches.len(), 2);
}
