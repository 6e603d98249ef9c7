//! `RunService`.

use std::time::Duration;

use punctual_proto::v1::{self, RunOrigin, RunState};
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::front::{Front, PATIENCE, a_job, create, refused, wrong_fields};

fn one_off() -> v1::CreateRunRequest {
    v1::CreateRunRequest {
        task: Some(v1::create_run_request::Task::Kind("nobody".to_owned())),
        payload: r#"{"n":1}"#.to_owned(),
        ..Default::default()
    }
}

fn cancel(id: &str) -> v1::CancelRunRequest {
    v1::CancelRunRequest { id: id.to_owned(), reason: "changed my mind".to_owned() }
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_one_off_run_is_created_read_and_cancelled_once(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut runs = front.runs();
    let created = runs.create_run(one_off()).await.unwrap().into_inner();
    assert_eq!((created.state(), created.origin()), (RunState::Scheduled, RunOrigin::OneOff));
    assert_eq!((created.kind.as_str(), created.job.as_str()), ("nobody", ""));
    let read = runs.get_run(v1::GetRunRequest { id: created.id.clone() }).await.unwrap().into_inner();
    assert_eq!(read, created);

    let cancelled = runs.cancel_run(cancel(&created.id)).await.unwrap().into_inner();
    assert_eq!((cancelled.state(), cancelled.reason.as_str()), (RunState::Cancelled, "changed my mind"));
    assert!(cancelled.ended_at.is_some());
    assert_eq!(
        refused(runs.cancel_run(cancel(&created.id)).await),
        (Code::FailedPrecondition, "RUN_IS_FINAL".to_owned())
    );
    let read = runs.get_run(v1::GetRunRequest { id: created.id }).await.unwrap().into_inner();
    assert_eq!(read.state(), RunState::Cancelled);
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_run_for_later_keeps_its_instant(pool: PgPool) {
    let front = Front::start(&pool).await;
    let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 5_000 };
    let request = v1::CreateRunRequest { run_at: Some(later), ..one_off() };
    let run = front.runs().create_run(request).await.unwrap().into_inner();
    assert_eq!((run.due_at, run.run_at), (Some(later), Some(later)));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_repeated_create_answers_with_the_run_that_exists(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut runs = front.runs();
    let request = v1::CreateRunRequest { request_id: "order-17".to_owned(), ..one_off() };
    let first = runs.create_run(request.clone()).await.unwrap().into_inner();
    assert_eq!(runs.create_run(request.clone()).await.unwrap().into_inner().id, first.id);
    // The key lives as long as the run, its end included.
    runs.cancel_run(cancel(&first.id)).await.unwrap();
    let again = runs.create_run(request).await.unwrap().into_inner();
    assert_eq!((again.id.as_str(), again.state()), (first.id.as_str(), RunState::Cancelled));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn many_creates_at_once_each_get_their_own_run(pool: PgPool) {
    let front = Front::start(&pool).await;
    let creates = (0..100).map(|number| {
        let mut runs = front.runs();
        let request = v1::CreateRunRequest { request_id: format!("order-{}", number % 50), ..one_off() };
        async move { runs.create_run(request).await.unwrap().into_inner().id }
    });
    let ids = futures::future::join_all(creates).await;
    for number in 0..50 {
        assert_eq!(ids[number], ids[number + 50], "order-{number}");
    }
    let stored: i64 =
        sqlx::query_scalar("select count(*) from punctual.run_live").fetch_one(&pool).await.unwrap();
    assert_eq!(stored, 50);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_trigger_makes_a_run_of_the_job_with_a_payload_of_its_own(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    jobs.create_job(create(a_job("tick"))).await.unwrap();
    let trigger = v1::TriggerJobRequest {
        name: "tick".to_owned(),
        payload: Some(r#"{"n":2}"#.to_owned()),
        ..Default::default()
    };
    let id = jobs.trigger_job(trigger.clone()).await.unwrap().into_inner().run_id;
    let run = runs.get_run(v1::GetRunRequest { id }).await.unwrap().into_inner();
    assert_eq!((run.job.as_str(), run.job_version, run.origin()), ("tick", 1, RunOrigin::Trigger));
    let bad = v1::TriggerJobRequest { payload: Some("{".to_owned()), ..trigger.clone() };
    assert_eq!(wrong_fields(jobs.trigger_job(bad).await)[0].0, "payload");

    let exec = v1::ExecTask { argv: vec!["true".to_owned()], ..Default::default() };
    jobs.create_job(create(v1::Job { task: Some(v1::job::Task::Exec(exec)), ..a_job("program") }))
        .await
        .unwrap();
    let smuggled = v1::TriggerJobRequest { name: "program".to_owned(), ..trigger };
    let found = wrong_fields(jobs.trigger_job(smuggled).await);
    assert!(found[0].1.contains("takes no payload"), "{found:?}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn runs_are_listed_newest_first_by_job_and_state_page_by_page(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    jobs.create_job(create(a_job("tick"))).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let trigger = v1::TriggerJobRequest { name: "tick".to_owned(), ..Default::default() };
        ids.push(jobs.trigger_job(trigger).await.unwrap().into_inner().run_id);
    }
    runs.create_run(one_off()).await.unwrap();
    runs.cancel_run(cancel(&ids[1])).await.unwrap();
    ids.reverse();

    let list = v1::ListRunsRequest { job: "tick".to_owned(), page_size: 3, ..Default::default() };
    let first = runs.list_runs(list.clone()).await.unwrap().into_inner();
    let rest = v1::ListRunsRequest { page_token: first.next_page_token, ..list.clone() };
    let second = runs.list_runs(rest).await.unwrap().into_inner();
    let listed: Vec<_> = first.runs.iter().chain(&second.runs).map(|run| run.id.clone()).collect();
    assert_eq!(listed, ids);
    assert_eq!((first.runs.len(), second.next_page_token.as_str()), (3, ""));

    let states = vec![RunState::Cancelled.into(), RunState::Failed.into()];
    let ended = runs.list_runs(v1::ListRunsRequest { states, ..list }).await.unwrap().into_inner();
    assert_eq!(ended.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [ids[3].as_str()]);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_watch_shows_a_run_and_its_end_and_then_ends(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut runs = front.runs();
    let run = runs.create_run(one_off()).await.unwrap().into_inner();
    let watch = v1::WatchRunsRequest { id: run.id.clone(), ..Default::default() };
    let mut stream = runs.watch_runs(watch.clone()).await.unwrap().into_inner();
    let next = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((next.id.as_str(), next.state()), (run.id.as_str(), RunState::Scheduled));
    runs.cancel_run(cancel(&run.id)).await.unwrap();
    let next = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.state(), RunState::Cancelled);
    assert_eq!(timeout(PATIENCE, stream.message()).await.unwrap().unwrap(), None);

    let stream = runs.watch_runs(watch).await.unwrap().into_inner();
    let after: Vec<_> = timeout(PATIENCE, stream.collect()).await.unwrap();
    let states: Vec<_> = after.into_iter().map(|run| run.unwrap().state()).collect();
    assert_eq!(states, [RunState::Cancelled], "a run that has ended is shown once");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_watch_of_a_job_sees_new_runs_and_ends_when_the_scheduler_stops(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    jobs.create_job(create(a_job("tick"))).await.unwrap();
    let watch = v1::WatchRunsRequest { job: "tick".to_owned(), ..Default::default() };
    let mut stream = runs.watch_runs(watch).await.unwrap().into_inner();
    runs.create_run(one_off()).await.unwrap();
    let trigger = v1::TriggerJobRequest { name: "tick".to_owned(), ..Default::default() };
    let id = jobs.trigger_job(trigger).await.unwrap().into_inner().run_id;
    let next = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.id, id);
    front.shut_down();
    let end = timeout(PATIENCE, stream.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    drop((jobs, runs, stream));
    timeout(Duration::from_secs(8), front.stop()).await.expect("a watcher does not hold the stop up");
}
