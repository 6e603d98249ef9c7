use punctual_proto::v1::Granted;
use tokio::time::Instant;

use super::*;
use crate::handler::{HandlerError, Output};

const GRACE: Duration = Duration::from_secs(10);

fn context(start_to_close: Duration) -> Context {
    let granted = Granted { run_id: "r".into(), attempt: 1, ..Default::default() };
    Context::new(granted, Instant::now(), start_to_close)
}

/// Runs `work` and returns the verdict's name and when it came.
async fn run<W: Future<Output = Returned>>(context: &Context, work: W) -> (&'static str, Duration) {
    let start = Instant::now();
    let verdict = execute(work, context, GRACE).await;
    (verdict.name(), start.elapsed())
}

async fn obedient(context: &Context) -> Returned {
    context.cancelled().await;
    Err(HandlerError::new("stopped"))
}

async fn deaf() -> Returned {
    std::future::pending().await
}

async fn after(delay: Duration, act: impl FnOnce()) {
    tokio::time::sleep(delay).await;
    act();
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_handler_that_returns_in_time_is_believed() {
    let context = context(SECOND);
    assert_eq!(run(&context, async { Ok(Output::default()) }).await.0, "succeeded");
    assert_eq!(run(&context, async { Err(HandlerError::new("no")) }).await.0, "failed");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_attempt_with_its_text() {
    let verdict = execute(async { panic!("no {}", "luck") }, &context(SECOND), GRACE).await;
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!((failure.error.as_str(), failure.kind.as_str()), ("the handler panicked: no luck", "panic"));
    assert!(!failure.non_retryable);
}

#[tokio::test(start_paused = true)]
async fn the_time_out_stops_a_handler_and_drops_one_that_does_not_listen() {
    let listens = context(SECOND);
    assert_eq!(run(&listens, obedient(&listens)).await, ("timed_out", SECOND));
    assert_eq!(listens.cancel_reason(), Some(CancelReason::TimedOut));
    assert_eq!(run(&context(SECOND), deaf()).await, ("timed_out", SECOND + GRACE + KILL_MARGIN));
}

#[tokio::test(start_paused = true)]
async fn a_success_after_the_time_out_is_a_time_out() {
    let context = context(SECOND);
    let late = async {
        tokio::time::sleep(SECOND * 2).await;
        Ok(Output::default())
    };
    assert_eq!(run(&context, late).await, ("timed_out", SECOND * 2));
}

#[track_caller]
fn check(outcome: (&'static str, Duration), expect: &'static str, after: Duration) {
    assert_eq!(outcome, (expect, after));
}

#[tokio::test(start_paused = true)]
async fn each_reason_has_its_grace() {
    let cancelled_with = async |reason| {
        let context = context(SECOND * 3_600);
        let cancel = after(SECOND, || context.cancellation().cancel(reason));
        tokio::join!(run(&context, deaf()), cancel).0
    };
    check(cancelled_with(CancelReason::Requested).await, "cancelled", SECOND + GRACE + KILL_MARGIN);
    check(cancelled_with(CancelReason::Shutdown).await, "released", SECOND + SHUTDOWN_GRACE + KILL_MARGIN);
    check(cancelled_with(CancelReason::LeaseLost).await, "dropped", SECOND + KILL_MARGIN);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lost_within_the_grace_ends_the_grace() {
    let context = context(SECOND * 3_600);
    let cancel = after(SECOND, || context.cancellation().cancel(CancelReason::Requested));
    let lose = after(SECOND * 2, || context.cancellation().cancel(CancelReason::LeaseLost));
    let (outcome, (), ()) = tokio::join!(run(&context, deaf()), cancel, lose);
    assert_eq!(outcome, ("cancelled", SECOND * 2 + KILL_MARGIN));
}
