//! Shutting down.

use std::time::Duration;

use punctual_worker::CancelReason;

use crate::scheduler::{Call, Scheduler};
use crate::stage::{Stage, outcome};

#[tokio::test]
async fn a_drain_takes_nothing_new_and_lets_handlers_finish() {
    let mut stage = Stage::start().await;
    stage.node.until("RDY 2").await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.shutdown.cancel();
    stage.node.until("RDY 0").await;
    let id = stage.node.ring("r2");
    stage.node.until(&format!("REQ {id} 0")).await;
    let beat = stage.scheduler.beat(|beat| beat.draining).await;
    assert_eq!(beat.attempts[0].run_id, "r1");

    stage.go.notify_one();
    let report = stage.scheduler.finished().await;
    assert_eq!((report.run_id.as_str(), outcome(&report)), ("r1", "succeeded"));
    stage
        .scheduler
        .until("the end of the session", |call| matches!(call, Call::Unregister(_)).then_some(()))
        .await;
    stage.node.until("CLS").await;
    stage.ended().await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_given_back() {
    let timeout = Duration::from_millis(100);
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.drain_timeout(timeout)).await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.shutdown.cancel();
    assert_eq!(stage.stopped().await.0, CancelReason::Shutdown);
    let released = stage.scheduler.until("release", |call| match call {
        Call::Release(request) => Some(request),
        Call::Finish(report) => panic!("{report:?}"),
        _ => None,
    });
    let released = released.await;
    assert_eq!((released.run_id.as_str(), released.attempt), ("r1", 1));
    stage
        .scheduler
        .until("the end of the session", |call| matches!(call, Call::Unregister(_)).then_some(()))
        .await;
    stage.ended().await.unwrap();
}

#[tokio::test]
async fn an_idle_worker_stops_at_once() {
    let mut stage = Stage::start().await;
    stage.node.until("RDY 2").await;
    stage.shutdown.cancel();
    stage.ended().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_never_got_through_can_be_stopped() {
    let scheduler = Scheduler::start().await;
    scheduler.manners().refuse = Some(tonic::Status::unavailable("starting"));
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    stage.scheduler.registered().await;
    stage.shutdown.cancel();
    stage.ended().await.unwrap();
}
