//! What becomes of a message, and what the nodes are told about places.

use std::time::Duration;

use punctual_proto::v1::gone::Reason;
use tonic::Status;

use crate::node::Node;
use crate::scheduler::{Call, Scheduler, gone, not_due};
use crate::stage::{Stage, outcome};

/// Whether any call asked for `run`.
fn asks_for(calls: &[Call], run: &str) -> bool {
    calls.iter().any(|call| matches!(call, Call::Start(runs) if runs.iter().any(|asked| asked == run)))
}

#[tokio::test]
async fn a_run_is_asked_for_executed_and_reported() {
    let mut stage = Stage::start().await;
    assert_eq!(stage.node.next().await, "SUB task.default.default workers");
    let registered = stage.scheduler.registered().await;
    assert_eq!((registered.kinds, registered.places), (vec!["work".to_owned()], 2));
    stage.node.until("RDY 2").await;

    let id = stage.node.ring("r1");
    let context = stage.begun().await;
    assert_eq!((context.run_id(), context.attempt(), context.job()), ("r1", 1, "j"));
    stage.node.until(&format!("FIN {id}")).await;
    context.progress(0.25, "a quarter");
    let beat =
        stage.scheduler.beat(|beat| beat.attempts.iter().any(|held| held.progress == Some(0.25))).await;
    assert_eq!((beat.attempts[0].attempt, beat.attempts[0].progress_note.as_str()), (1, "a quarter"));

    stage.go.notify_one();
    let report = stage.scheduler.finished().await;
    assert_eq!((report.run_id.as_str(), outcome(&report)), ("r1", "succeeded"));
    assert_eq!(report.session, registered.session);
    stage.scheduler.beat(|beat| beat.attempts.is_empty()).await;
}

#[tokio::test]
async fn a_full_worker_says_so_before_it_finishes_the_message() {
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.places(1)).await;
    stage.node.until("RDY 1").await;
    for run in ["r1", "r2"] {
        let id = stage.node.ring(run);
        assert_eq!(stage.node.until("FIN").await, ["RDY 0".to_owned(), format!("FIN {id}")]);
        stage.go.notify_one();
        assert_eq!(stage.node.next().await, "RDY 1", "when its place is free again");
    }
}

#[tokio::test]
async fn a_message_beyond_the_places_goes_back_unasked() {
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.places(1)).await;
    stage.node.until("RDY 1").await;
    stage.node.ring("r1");
    stage.begun().await;
    let id = stage.node.ring("r2");
    let heard = stage.node.until("REQ").await;
    assert_eq!(heard.last().unwrap(), &format!("REQ {id} 0"));
    assert!(!asks_for(&stage.scheduler.calls_so_far(), "r2"));
}

#[tokio::test]
async fn one_free_place_is_offered_at_every_node() {
    let mut second = Node::start().await;
    let address = second.address.to_string();
    let mut stage =
        Stage::with(Scheduler::start().await, |worker| worker.places(1).queue_tcp_addresses([address])).await;
    stage.node.until("RDY 1").await;
    second.until("RDY 1").await;
    let id = second.ring("r1");
    second.until(&format!("FIN {id}")).await;
    stage.node.until("RDY 0").await;
}

#[tokio::test]
async fn what_is_gone_is_finished_without_executing() {
    let mut stage = Stage::start().await;
    for reason in [Reason::UnknownRun, Reason::NotQueued, Reason::Held, Reason::Superseded] {
        let run = format!("{reason:?}");
        stage.scheduler.answer(&run, [gone(reason)]);
        let id = stage.node.ring(&run);
        stage.node.until(&format!("FIN {id}")).await;
    }
    stage.node.ring("r1");
    assert_eq!(stage.begun().await.run_id(), "r1");
}

#[tokio::test]
async fn what_is_not_due_is_awaited_here_for_a_moment_only() {
    let mut stage = Stage::start().await;
    let granted = gone(Reason::NotQueued);
    stage.scheduler.answer("soon", [not_due(Duration::from_millis(40)), granted]);
    stage.scheduler.answer("later", [not_due(Duration::from_millis(1_500))]);
    let (soon, later) = (stage.node.ring("soon"), stage.node.ring("later"));
    let heard = stage.node.until(&format!("FIN {soon}")).await;
    assert!(heard.contains(&format!("REQ {later} 1500")), "{heard:?}");
}

#[tokio::test]
async fn garbage_is_dropped_and_other_peoples_kinds_go_back() {
    let mut stage = Stage::start().await;
    for garbage in [&b"\xff\x00"[..], b"[]", b"{}", br#"{"runId": 7}"#] {
        let id = stage.node.deliver(garbage);
        stage.node.until(&format!("FIN {id}")).await;
    }
    let id = stage.node.deliver(br#"{"runId":"r1","dispatch":1,"kind":"other"}"#);
    stage.node.until(&format!("REQ {id} 1000")).await;
    assert!(!asks_for(&stage.scheduler.calls_so_far(), "r1"));
}

#[tokio::test]
async fn a_second_doorbell_of_a_run_in_hand_is_finished_or_put_off_but_not_asked_for() {
    let mut stage = Stage::start().await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.scheduler.calls_so_far();
    let id = stage.node.ring("r1");
    stage.node.until(&format!("FIN {id}")).await;
    let id = stage.node.ring_dispatch("r1", 2);
    stage.node.until(&format!("REQ {id} 100")).await;
    assert!(!asks_for(&stage.scheduler.calls_so_far(), "r1"));
}

#[tokio::test]
async fn without_an_answer_the_message_is_kept_alive_and_asked_for_again() {
    let mut stage = Stage::start().await;
    stage.node.until("RDY 2").await;
    stage.scheduler.manners().refuse = Some(Status::unavailable("starting"));
    let id = stage.node.ring("r1");
    let heard = stage.node.until(&format!("TOUCH {id}")).await;
    assert!(
        !heard.iter().any(|command| command.starts_with("FIN") || command.starts_with("REQ")),
        "{heard:?}"
    );
    stage.scheduler.manners().refuse = None;
    stage.node.until(&format!("FIN {id}")).await;
    assert_eq!(stage.begun().await.run_id(), "r1");
}

#[tokio::test]
async fn another_scheduler_is_asked_when_one_does_not_answer() {
    let ill = Scheduler::start().await;
    ill.manners().refuse = Some(Status::internal("no database"));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let urls = [ill.url.clone(), format!("http://{nobody}")];
    let mut stage = Stage::with(Scheduler::start().await, |worker| worker.server(urls)).await;
    stage.node.ring("r1");
    stage.begun().await;
    stage.go.notify_one();
    assert_eq!(stage.scheduler.finished().await.run_id, "r1");
}
