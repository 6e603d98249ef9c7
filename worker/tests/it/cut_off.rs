//! When the session is lost.

use std::time::Duration;

use punctual_proto::v1::gone::Reason;
use punctual_worker::CancelReason;
use tonic::Status;

use crate::scheduler::{Call, Scheduler, gone};
use crate::stage::Stage;

#[tokio::test]
async fn a_worker_cut_off_from_every_scheduler_stops_before_its_lease_ends() {
    let scheduler = Scheduler::start().await;
    let lease = Duration::from_secs(2);
    scheduler.manners().lease = lease;
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    let first = stage.scheduler.registered().await.session;
    stage.node.ring("r1");
    stage.begun().await;
    stage.scheduler.manners().refuse = Some(Status::unavailable("cut off"));
    let answered_at = stage.scheduler.manners().answered_at.unwrap();

    let (reason, stopped_at) = stage.stopped().await;
    assert_eq!(reason, CancelReason::LeaseLost);
    assert!(stopped_at < answered_at + lease, "stopped {:?} after the last answer", stopped_at - answered_at);
    assert!(stopped_at > answered_at + lease / 2, "the lease was used");
    stage.node.until("RDY 0").await;

    stage.scheduler.calls_so_far();
    stage.scheduler.manners().refuse = None;
    assert_ne!(stage.scheduler.registered().await.session, first, "a new start is a new session");
    stage.node.until("RDY 2").await;
    stage.node.ring("r2");
    stage.begun().await;
    stage.go.notify_one();
    assert_eq!(stage.scheduler.finished().await.run_id, "r2", "what was stopped is not reported");
}

#[tokio::test]
async fn a_session_that_a_heartbeat_finds_lost_is_given_up_at_once() {
    let mut stage = Stage::start().await;
    let first = stage.scheduler.registered().await.session;
    stage.node.ring("r1");
    stage.begun().await;
    stage.scheduler.manners().refuse = Some(Status::not_found("SESSION_LOST"));
    assert_eq!(stage.stopped().await.0, CancelReason::LeaseLost);
    stage.scheduler.manners().refuse = None;
    stage
        .scheduler
        .until("another session", |call| match call {
            crate::scheduler::Call::Register(request) => {
                Some(request.session).filter(|session| *session != first)
            }
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn a_session_found_lost_when_asking_gives_the_message_back() {
    let mut stage = Stage::start().await;
    let first = stage.scheduler.registered().await.session;
    stage.node.until("RDY 2").await;
    stage.scheduler.answer("r1", [gone(Reason::SessionLost)]);
    let id = stage.node.ring("r1");
    stage.node.until(&format!("REQ {id} 0")).await;
    assert_ne!(stage.scheduler.registered().await.session, first);
    stage.node.until("RDY 2").await;
}

#[tokio::test]
async fn an_outcome_that_a_lost_session_could_not_report_is_offered_during_the_next_one() {
    let scheduler = Scheduler::start().await;
    scheduler.manners().lease = Duration::from_millis(500);
    scheduler.manners().refuse_reports = Some(Status::unavailable("cut off"));
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    let first = stage.scheduler.registered().await.session;
    stage.node.ring("r1");
    stage.begun().await;
    stage.go.notify_one();
    stage.scheduler.finished().await;
    stage.scheduler.manners().refuse = Some(Status::unavailable("cut off"));
    let lost = async { while stage.node.next().await != "RDY 0" {} };
    tokio::time::timeout(Duration::from_secs(10), lost).await.expect("the session is lost");
    stage.scheduler.calls_so_far();
    {
        let mut manners = stage.scheduler.manners();
        (manners.refuse, manners.refuse_reports) = (None, None);
    }
    let report = stage.scheduler.finished().await;
    assert_eq!((report.run_id.as_str(), report.session), ("r1", first));
}

#[tokio::test]
async fn tries_to_register_share_one_id_until_it_has_ended() {
    let scheduler = Scheduler::start().await;
    scheduler.manners().refuse = Some(Status::unavailable("the answer is lost"));
    let mut stage = Stage::with(scheduler, |worker| worker).await;
    let first = stage.scheduler.registered().await.session;
    assert_eq!(stage.scheduler.registered().await.session, first);
    stage.scheduler.manners().refuse = Some(Status::not_found("that session has ended"));
    let other = |call| match call {
        Call::Register(request) => Some(request.session).filter(|session| *session != first),
        _ => None,
    };
    stage.scheduler.until("another id", other).await;
    stage.scheduler.manners().refuse = None;
    stage.node.until("RDY 2").await;
}
