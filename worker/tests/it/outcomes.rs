//! How attempts end.

use std::time::Duration;

use punctual_proto::v1::FinishAttemptRequest;
use punctual_proto::v1::finish_attempt_request::Outcome;
use punctual_proto::v1::heartbeat_response::AttemptRef;
use punctual_service::token::Token;
use punctual_worker::{CancelReason, Context, HandlerError, WorkerError};
use tonic::Status;

use crate::scheduler::{Call, Scheduler};
use crate::stage::{Stage, outcome};

fn attempt(run: &str, attempt: u32) -> Vec<AttemptRef> {
    vec![AttemptRef { run_id: run.to_owned(), attempt }]
}

/// Rings for one run of `kind` with its own handler, and returns the report.
async fn report_of<F, Fut>(handler: F) -> FinishAttemptRequest
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<serde_json::Value, HandlerError>> + Send + 'static,
{
    let scheduler = Scheduler::start().await;
    let granted = punctual_proto::v1::Granted {
        attempt: 4,
        run_id: "r1".into(),
        kind: "own".into(),
        payload: r#"{"n": 20}"#.into(),
        ..Default::default()
    };
    scheduler.answer("r1", [punctual_proto::v1::start_attempt_response::Answer::Granted(granted)]);
    let mut stage = Stage::with(scheduler, |worker| worker.handler("own", handler)).await;
    stage.node.deliver(br#"{"runId":"r1","dispatch":1,"kind":"own"}"#);
    stage.scheduler.finished().await
}

#[tokio::test]
async fn a_result_is_reported_as_json() {
    let report = report_of(async |context: Context| {
        let payload: serde_json::Value = context.payload()?;
        Ok(serde_json::json!({ "twice": payload["n"].as_i64().unwrap_or_default() * 2 }))
    });
    let report = report.await;
    let Some(Outcome::Succeeded(succeeded)) = report.outcome else { panic!("{report:?}") };
    assert_eq!((report.attempt, succeeded.result.as_str()), (4, r#"{"twice":40}"#));
}

#[tokio::test]
async fn an_error_is_reported_with_all_that_the_handler_said() {
    let report = report_of(async |_| {
        let error = HandlerError::new("quota").kind("quota").retry_after(Duration::from_secs(90));
        Err(error.not_retryable().tail("used 9 of 9"))
    });
    let report = report.await;
    let Some(Outcome::Failed(failed)) = report.outcome else { panic!("{report:?}") };
    assert_eq!((failed.error.as_str(), failed.error_kind.as_str()), ("quota", "quota"));
    assert!(failed.non_retryable && !failed.timed_out);
    assert_eq!(failed.retry_after.unwrap().seconds, 90);
    assert_eq!(report.output_tail, "used 9 of 9");
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_leaves_the_worker_alone() {
    let report = report_of(async |_| panic!("out of luck")).await;
    let Some(Outcome::Failed(failed)) = report.outcome else { panic!("{report:?}") };
    assert_eq!(
        (failed.error.as_str(), failed.error_kind.as_str()),
        ("the handler panicked: out of luck", "panic")
    );
}

#[tokio::test]
async fn the_time_out_is_kept_here_too() {
    let scheduler = Scheduler::start().await;
    scheduler.manners().start_to_close = Duration::from_millis(50);
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    stage.node.ring("r1");
    assert_eq!(stage.stopped().await.0, CancelReason::TimedOut);
    assert_eq!(outcome(&stage.scheduler.finished().await), "timed out");
}

#[tokio::test]
async fn an_attempts_time_is_counted_from_when_it_was_asked_for() {
    let limit = Duration::from_secs(60);
    let scheduler = Scheduler::start().await;
    scheduler.manners().start_to_close = limit;
    scheduler.manners().grants_take = Duration::from_millis(200);
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    stage.node.ring("r1");
    stage.scheduler.until("question", |call| matches!(call, Call::Start(_)).then_some(())).await;
    let granted_after = tokio::time::Instant::now();
    assert!(stage.begun().await.deadline() <= granted_after + limit);
}

#[tokio::test]
async fn a_cancel_reaches_the_handler_with_a_heartbeat() {
    let mut stage = Stage::start().await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.scheduler.manners().cancel = attempt("r1", 1);
    assert_eq!(stage.stopped().await.0, CancelReason::Requested);
    assert_eq!(outcome(&stage.scheduler.finished().await), "cancelled");
}

#[tokio::test]
async fn an_attempt_that_was_lost_is_stopped_and_not_reported() {
    let mut stage = Stage::start().await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.scheduler.manners().lost = attempt("r1", 1);
    assert_eq!(stage.stopped().await.0, CancelReason::LeaseLost);

    // The next report is of the next run.
    stage.node.ring("r2");
    stage.begun().await;
    stage.go.notify_one();
    assert_eq!(stage.scheduler.finished().await.run_id, "r2");
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_stored_and_the_attempt_listed_meanwhile() {
    let mut stage = Stage::start().await;
    stage.scheduler.manners().refuse_reports = Some(Status::unavailable("failing over"));
    stage.node.ring("r1");
    stage.begun().await;
    stage.go.notify_one();
    let first = stage.scheduler.finished().await;
    let beat = stage.scheduler.beat(|_| true).await;
    assert_eq!(beat.attempts[0].run_id, "r1");
    stage.scheduler.manners().refuse_reports = None;
    assert_eq!(stage.scheduler.finished().await, first);
    stage.scheduler.beat(|beat| beat.attempts.is_empty()).await;
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_its_handler_has_ended() {
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.places(1)).await;
    stage.scheduler.manners().refuse_reports = Some(Status::unavailable("failing over"));
    stage.node.ring("r1");
    stage.begun().await;
    stage.go.notify_one();
    stage.scheduler.finished().await;
    stage.node.ring("r2");
    assert_eq!(stage.begun().await.run_id(), "r2");
}

#[tokio::test]
async fn the_token_goes_with_every_call() {
    let token: Token = "0123456789abcdef".parse().unwrap();
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.token(token)).await;
    stage.scheduler.beat(|_| true).await;
    assert_eq!(stage.scheduler.manners().authorization.as_deref(), Some("Bearer 0123456789abcdef"));
}

#[tokio::test]
async fn a_scheduler_is_reached_over_tls_when_its_authority_is_trusted() {
    let (scheduler, authority) = Scheduler::start_tls().await;
    let mut stage = Stage::with(scheduler, |worker| worker.ca_cert_pem(authority)).await;
    stage.node.ring("r1");
    assert_eq!(stage.begun().await.run_id(), "r1");
}

#[tokio::test]
async fn a_worker_that_is_refused_ends_and_says_why() {
    let scheduler = Scheduler::start().await;
    scheduler.manners().refuse = Some(Status::unauthenticated("a token is needed"));
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    let error = stage.ended().await.unwrap_err();
    assert!(matches!(error, WorkerError::Refused { .. }));
    assert_eq!(error.to_string(), "the scheduler refused this worker: a token is needed (Unauthenticated)");
    let calls = stage.scheduler.calls_so_far();
    assert_eq!(calls.iter().filter(|call| matches!(call, Call::Register(_))).count(), 1, "asked once");
}
