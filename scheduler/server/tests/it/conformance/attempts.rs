//! Attempts: who holds them, how they end, and what becomes of their runs.

use std::time::Duration;

use punctual_scheduler::store::{
    Beat, BeatAnswer, CANCEL_MARGIN, FinishAnswer, GoneReason, Grant, HeldAttempt, NewRun, OneOffRun,
    REAP_MARGIN, Registered, Release, Report, Start, StartAnswer, StoreError,
};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::job::{JobSpec, Task};
use punctual_scheduler_domain::name::Kind;
use punctual_scheduler_domain::run::RunState;
use punctual_scheduler_domain::timeouts::Timeouts;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, a_one_off, new_session, seconds};

on_both_stores!(
    a_silent_session_loses_its_attempts_which_are_retried,
    a_grant_that_never_arrived_is_taken_back,
    a_cancel_before_the_start_ends_the_run_at_once,
    a_cancel_reaches_the_holder_and_ends_whatever_it_reports_but_success,
    a_cancel_that_nobody_confirms_ends_the_run_after_the_grace,
    a_finish_is_stored_once_and_answered_alike,
    reports_of_one_batch_are_judged_one_by_one,
    an_attempt_is_granted_to_one_session_and_again_only_to_it,
    retries_wait_longer_each_time_until_the_tries_are_used,
    an_error_that_is_not_retryable_ends_the_run,
    an_attempt_that_takes_too_long_is_timed_out,
    a_run_that_does_not_start_in_time_expires,
    a_run_that_does_not_end_in_time_expires_with_its_attempt,
    a_released_attempt_uses_a_number_but_no_try,
    progress_is_seen_while_the_attempt_is_held,
    what_was_never_there_is_unknown,
    large_payloads_are_handed_out_a_few_at_a_time,
);

const AGAIN: AttemptOutcome = AttemptOutcome::Failed;

async fn a_silent_session_loses_its_attempts_which_are_retried(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    world.advance(seconds(6));
    assert_eq!(world.beat(session, &[(grant.run, grant.attempt)]).await, Some(BeatAnswer::default()));
    world.advance(seconds(10));
    // Nobody has acted on it yet, and yet it is over.
    assert_eq!(world.beat(session, &[(grant.run, grant.attempt)]).await, None);
    let registered = world.store.register_worker(new_session(session, 1, &["work"])).await.unwrap();
    assert_eq!(registered, Registered::SessionLost);
    let reaped = world.store.reap_sessions(10).await.unwrap();
    assert_eq!((reaped.sessions, reaped.runs), (1, 1));
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!(
        (run.state, run.tries_used, run.error.as_str()),
        (RunState::Scheduled, 1, "worker one fell silent")
    );
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Lost));
    let next = world.worker(1).await;
    world.advance(seconds(1));
    let dispatch = world.admit_one().await;
    assert_eq!(world.start(session, &dispatch).await, StartAnswer::Gone(GoneReason::SessionLost));
    let second = world.granted(next, &dispatch).await;
    assert_eq!((second.attempt.get(), second.tries_used), (2, 1));
    assert_eq!(world.finish(session, &grant, AttemptOutcome::Succeeded).await, FinishAnswer::StaleAttempt);
    assert_eq!(world.state(grant.run).await, RunState::Running);
}

async fn a_grant_that_never_arrived_is_taken_back(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(2).await;
    let grant = world.running("work", session).await;
    // Two lists without it, the first of them well after the grant.
    for expected in [RunState::Running, RunState::Running, RunState::Scheduled] {
        world.advance(Duration::from_millis(900));
        assert_eq!(world.beat(session, &[]).await, Some(BeatAnswer::default()));
        assert_eq!(world.state(grant.run).await, expected);
    }
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!((run.attempts, run.tries_used), (1, 0));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Released));
    let held = world.beat(session, &[(grant.run, grant.attempt)]).await.unwrap();
    assert_eq!(held.lost, [(grant.run, grant.attempt)]);
}

async fn a_cancel_before_the_start_ends_the_run_at_once(world: World) {
    world.job("work", a_job()).await;
    let scheduled = world.trigger("work").await;
    let cancelled = world.store.cancel_run(scheduled, "no need").await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.reason.as_str()), (RunState::Cancelled, "no need"));
    let queued = world.trigger("work").await;
    let dispatch = world.admit_one().await;
    world.store.cancel_run(queued, "no need").await.unwrap();
    assert_eq!(world.state(queued).await, RunState::Cancelled);
    let session = world.worker(1).await;
    assert_eq!(world.start(session, &dispatch).await, StartAnswer::Gone(GoneReason::UnknownRun));
    let again = world.store.cancel_run(queued, "really").await.unwrap_err();
    assert!(matches!(again, StoreError::RunIsFinal { state: RunState::Cancelled, .. }), "{again:?}");
}

async fn a_cancel_reaches_the_holder_and_ends_whatever_it_reports_but_success(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(10).await;
    for (outcome, expected) in [
        (AttemptOutcome::Cancelled, RunState::Cancelled),
        (AttemptOutcome::Failed, RunState::Cancelled),
        (AttemptOutcome::Released, RunState::Cancelled),
        (AttemptOutcome::Succeeded, RunState::Succeeded),
    ] {
        let grant = world.running("work", session).await;
        let asked = world.store.cancel_run(grant.run, "enough").await.unwrap().unwrap();
        assert_eq!((asked.state, asked.cancel_requested), (RunState::Running, true));
        world.store.cancel_run(grant.run, "quite enough").await.unwrap();
        let beat = world.beat(session, &[(grant.run, grant.attempt)]).await.unwrap();
        assert_eq!(beat.cancel, [(grant.run, grant.attempt)]);
        assert_eq!(world.finish(session, &grant, outcome).await, FinishAnswer::Stored);
        let run = world.run(grant.run).await;
        let reason = if expected == RunState::Cancelled { "enough" } else { "" };
        assert_eq!((run.state, run.reason.as_str()), (expected, reason), "{outcome}");
    }
}

async fn a_cancel_that_nobody_confirms_ends_the_run_after_the_grace(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    world.store.cancel_run(grant.run, "enough").await.unwrap();
    world.advance(seconds(9));
    // Asked again, it is not given longer.
    world.store.cancel_run(grant.run, "enough").await.unwrap();
    assert_eq!(world.reap_runs().await, 0);
    world.advance(seconds(1) + CANCEL_MARGIN);
    assert_eq!(world.reap_runs().await, 1);
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!((run.state, run.reason.as_str()), (RunState::Cancelled, "enough"));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Cancelled));
    assert_eq!(world.finish(session, &grant, AttemptOutcome::Succeeded).await, FinishAnswer::StaleAttempt);
}

async fn a_finish_is_stored_once_and_answered_alike(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    let other = world.worker(1).await;
    assert_eq!(world.finish(other, &grant, AttemptOutcome::Succeeded).await, FinishAnswer::StaleAttempt);
    assert_eq!(world.state(grant.run).await, RunState::Running);
    let report =
        AttemptReport { result: "42".to_owned(), output_tail: "done".to_owned(), ..Default::default() };
    let done = Report {
        session,
        run: grant.run,
        attempt: grant.attempt,
        outcome: AttemptOutcome::Succeeded,
        report,
    };
    assert_eq!(world.report(done.clone()).await, FinishAnswer::Stored);
    let before = world.get(grant.run).await;
    assert_eq!((before.0.state, before.0.result.as_str()), (RunState::Succeeded, "42"));
    assert_eq!(before.1[0].output_tail, "done");
    world.advance(seconds(1));
    assert_eq!(world.report(done).await, FinishAnswer::Stored);
    assert_eq!(world.finish(session, &grant, AGAIN).await, FinishAnswer::StaleAttempt);
    assert_eq!(world.get(grant.run).await, before, "final is final");
}

async fn reports_of_one_batch_are_judged_one_by_one(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(10).await;
    let first = world.running("work", session).await;
    world.finish(session, &first, AGAIN).await;
    world.advance(seconds(1));
    let dispatch = world.admit_one().await;
    let second = world.granted(session, &dispatch).await;
    let stranger = world.worker(1).await;
    let report = |session, attempt, outcome| {
        let report = AttemptReport::default();
        Report { session, run: first.run, attempt, outcome, report }
    };
    let answers = world
        .store
        .finish_attempts(&[
            report(stranger, second.attempt, AttemptOutcome::Succeeded),
            report(session, second.attempt, AttemptOutcome::Succeeded),
            report(session, second.attempt, AttemptOutcome::Succeeded),
            report(session, second.attempt, AttemptOutcome::Failed),
            report(stranger, second.attempt, AttemptOutcome::Succeeded),
            report(session, first.attempt, AGAIN),
            report(session, first.attempt, AttemptOutcome::Succeeded),
        ])
        .await
        .unwrap();
    use FinishAnswer::{StaleAttempt, Stored};
    assert_eq!(answers, [StaleAttempt, Stored, Stored, StaleAttempt, StaleAttempt, Stored, StaleAttempt]);
    assert_eq!(world.state(first.run).await, RunState::Succeeded);
}

async fn an_attempt_is_granted_to_one_session_and_again_only_to_it(world: World) {
    world.job("work", a_job()).await;
    world.trigger("work").await;
    let dispatch = world.admit_one().await;
    let (session, other) = (world.worker(1).await, world.worker(1).await);
    let grant = world.granted(session, &dispatch).await;
    assert_eq!((grant.job.as_str(), grant.payload.as_str(), grant.kind.as_str()), ("work", "{}", "work"));
    world.advance(seconds(2));
    let left = grant.start_to_close - seconds(2);
    assert_eq!(world.granted(session, &dispatch).await, Grant { start_to_close: left, ..grant.clone() });
    assert_eq!(world.start(other, &dispatch).await, StartAnswer::Gone(GoneReason::Held));
    assert_eq!(world.get(grant.run).await.1.len(), 1);
    let nobody = SessionId(Uuid::new_v4());
    assert_eq!(world.start(nobody, &dispatch).await, StartAnswer::Gone(GoneReason::SessionLost));
}

async fn retries_wait_longer_each_time_until_the_tries_are_used(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let mut grant = world.running("work", session).await;
    for (tries, wait) in [(1, 1), (2, 2)] {
        assert_eq!(world.finish(session, &grant, AGAIN).await, FinishAnswer::Stored);
        let run = world.run(grant.run).await;
        assert_eq!((run.state, run.tries_used), (RunState::Scheduled, tries));
        assert_eq!(run.run_at, world.now() + chrono::TimeDelta::seconds(wait));
        assert!(world.admit().await.dispatches.is_empty());
        world.set_now(run.run_at);
        let dispatch = world.admit_one().await;
        grant = world.granted(session, &dispatch).await;
    }
    world.finish(session, &grant, AGAIN).await;
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!((run.state, run.reason.as_str()), (RunState::Failed, "all 3 tries are used"));
    assert_eq!((run.tries_used, run.error.as_str(), attempts.len()), (3, "it did not work", 3));
}

async fn an_error_that_is_not_retryable_ends_the_run(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    for report in [
        AttemptReport { non_retryable: true, ..Default::default() },
        AttemptReport { error_kind: "hopeless".to_owned(), ..Default::default() },
    ] {
        let grant = world.running("work", session).await;
        let (run, attempt, outcome) = (grant.run, grant.attempt, AttemptOutcome::Failed);
        world.report(Report { session, run, attempt, outcome, report }).await;
        let run = world.run(run).await;
        assert_eq!((run.state, run.tries_used), (RunState::Failed, 1));
    }
}

async fn an_attempt_that_takes_too_long_is_timed_out(world: World) {
    let timeouts = Timeouts { start_to_close: seconds(60), ..Timeouts::default() };
    world.job("work", JobSpec { timeouts, ..a_job() }).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    // The worker stops it by itself, and has the grace to say so.
    world.advance(seconds(70));
    assert_eq!(world.reap_runs().await, 0);
    world.advance(REAP_MARGIN);
    assert_eq!(world.reap_runs().await, 1);
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!((run.state, run.tries_used), (RunState::Scheduled, 1));
    assert_eq!(run.error, "still running 1m after its start");
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::TimedOut));
    assert_eq!(world.finish(session, &grant, AttemptOutcome::Succeeded).await, FinishAnswer::StaleAttempt);
}

async fn a_run_that_does_not_start_in_time_expires(world: World) {
    let timeouts = Timeouts { schedule_to_start: Some(seconds(20)), ..Timeouts::default() };
    world.job("work", JobSpec { timeouts, ..a_job() }).await;
    let session = world.worker(1).await;
    let started = world.running("work", session).await;
    world.finish(session, &started, AGAIN).await;
    let queued = world.trigger("work").await;
    world.admit_one().await;
    let scheduled = world.trigger("work").await;
    world.advance(seconds(20));
    assert_eq!(world.reap_runs().await, 2);
    for run in [queued, scheduled] {
        let run = world.run(run).await;
        assert_eq!((run.state, run.reason.as_str()), (RunState::Expired, "schedule_to_start passed"));
    }
    assert_eq!(world.state(started.run).await, RunState::Scheduled, "it had started once");
}

async fn a_run_that_does_not_end_in_time_expires_with_its_attempt(world: World) {
    let timeouts = Timeouts { schedule_to_close: Some(seconds(20)), ..Timeouts::default() };
    world.job("work", JobSpec { timeouts, ..a_job() }).await;
    let session = world.worker(9).await;
    let running = world.running("work", session).await;
    let cancelled = world.running("work", session).await;
    world.advance(seconds(15));
    world.store.cancel_run(cancelled.run, "enough").await.unwrap();
    world.advance(seconds(5));
    assert_eq!(world.reap_runs().await, 2);
    let (run, attempts) = world.get(running.run).await;
    assert_eq!((run.state, run.tries_used), (RunState::Expired, 0));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::TimedOut));
    assert_eq!(world.state(cancelled.run).await, RunState::Cancelled);
}

async fn a_released_attempt_uses_a_number_but_no_try(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    let release = Release { session, run: grant.run, attempt: grant.attempt, delay: seconds(5) };
    assert_eq!(world.store.release_attempt(&release).await.unwrap(), FinishAnswer::Stored);
    assert_eq!(world.store.release_attempt(&release).await.unwrap(), FinishAnswer::Stored);
    assert!(world.admit().await.dispatches.is_empty());
    world.advance(seconds(5));
    let dispatch = world.admit_one().await;
    let next = world.granted(session, &dispatch).await;
    assert_eq!((next.attempt.get(), next.tries_used), (2, 0));
}

async fn progress_is_seen_while_the_attempt_is_held(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    let held = HeldAttempt {
        run_id: grant.run,
        attempt: grant.attempt.get(),
        progress: Some(0.25),
        progress_note: "a quarter".to_owned(),
    };
    world.store.heartbeat(&Beat { session, held: vec![held], draining: false }).await.unwrap();
    let run = world.run(grant.run).await;
    assert_eq!((run.progress, run.progress_note.as_str()), (0.25, "a quarter"));
    world.finish(session, &grant, AGAIN).await;
    assert_eq!(world.run(grant.run).await.progress, 0.0);
}

async fn what_was_never_there_is_unknown(world: World) {
    let (run, attempt) = (RunId(Uuid::now_v7()), AttemptNumber::FIRST);
    let session = world.worker(1).await;
    let report = AttemptReport::default();
    let done = Report { session, run, attempt, outcome: AttemptOutcome::Succeeded, report };
    assert_eq!(world.report(done).await, FinishAnswer::UnknownRun);
    assert_eq!(world.store.get_run(run).await.unwrap(), None);
    assert_eq!(world.store.cancel_run(run, "").await.unwrap(), None);
    let start = punctual_scheduler::store::Start { run, dispatch_seq: 1 };
    let answers = world.store.start_attempts(session, &[start]).await.unwrap();
    assert_eq!(answers, [StartAnswer::Gone(GoneReason::UnknownRun)]);
    assert_eq!(world.beat(session, &[(run, attempt)]).await.unwrap().lost, [(run, attempt)]);
}

async fn large_payloads_are_handed_out_a_few_at_a_time(world: World) {
    let session = world.worker(20).await;
    let payload = format!("\"{}\"", "x".repeat(1 << 20));
    let mut of_job = a_job();
    of_job.task = Task::Handler { kind: Kind::new("work").unwrap(), payload: payload.clone() };
    world.job("heavy", of_job.clone()).await;
    for _ in 0..3 {
        world.trigger("heavy").await;
        let one_off = OneOffRun { task: of_job.task.clone(), ..a_one_off(RunId(Uuid::now_v7())) };
        world.create(NewRun::OneOff(Box::new(one_off))).await;
    }
    let dispatches = world.admit().await.dispatches;
    let mut open: Vec<_> =
        dispatches.iter().map(|it| Start { run: it.run, dispatch_seq: it.dispatch_seq }).collect();
    assert_eq!(open.len(), 6);
    // Three of a little more than a megabyte go into four.
    for left in [3, 0] {
        let answers = world.store.start_attempts(session, &open).await.unwrap();
        let mut later = Vec::new();
        for (start, answer) in open.into_iter().zip(answers) {
            match answer {
                StartAnswer::Granted(grant) => {
                    assert_eq!((grant.run, grant.attempt), (start.run, AttemptNumber::FIRST));
                    assert_eq!(grant.payload.len(), payload.len());
                }
                StartAnswer::NotDue(wait) => {
                    assert_eq!(wait, Grant::ASK_AGAIN);
                    assert_eq!(world.state(start.run).await, RunState::Running, "granted, and kept for it");
                    later.push(start);
                }
                gone => panic!("{gone:?}"),
            }
        }
        assert_eq!(later.len(), left);
        open = later;
    }
}
