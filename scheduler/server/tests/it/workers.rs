//! `WorkerService`. No queue stands behind these tests: a run is put into `queued` by hand.

use std::time::Duration;

use punctual_proto::v1::batch_finish_attempts_response::Answer as Finished;
use punctual_proto::v1::finish_attempt_request::{Failed, Outcome, Succeeded};
use punctual_proto::v1::start_attempt_response::Answer;
use punctual_proto::v1::{self, RunState, gone};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::front::{Front, refused, wrong_fields};

async fn register(front: &Front) -> String {
    let session = Uuid::new_v4().to_string();
    let request = v1::RegisterWorkerRequest {
        session: session.clone(),
        name: "test".to_owned(),
        kinds: vec!["mail.send".to_owned()],
        places: 10,
        ..Default::default()
    };
    let opened = front.workers().register_worker(request).await.unwrap().into_inner();
    assert_eq!(opened.lease.map(|lease| lease.seconds), Some(10));
    assert_eq!(opened.heartbeat_every.map(|every| every.seconds), Some(2));
    session
}

/// A run that stands in the queue under dispatch number 1.
async fn a_queued_run(front: &Front, pool: &PgPool, payload: &str) -> String {
    let request = v1::CreateRunRequest {
        task: Some(v1::create_run_request::Task::Kind("mail.send".to_owned())),
        payload: payload.to_owned(),
        ..Default::default()
    };
    let id = front.runs().create_run(request).await.unwrap().into_inner().id;
    let queued = "update punctual.run_live set state = 'queued', node = 1, dispatch_seq = 1, queued_at = now() \
                  where id = $1::uuid";
    sqlx::query(queued).bind(&id).execute(pool).await.unwrap();
    id
}

fn start(session: &str, run_id: &str) -> v1::StartAttemptRequest {
    v1::StartAttemptRequest { session: session.to_owned(), run_id: run_id.to_owned(), dispatch: 1 }
}

fn finish(session: &str, run_id: &str, attempt: u32, outcome: Outcome) -> v1::FinishAttemptRequest {
    v1::FinishAttemptRequest {
        session: session.to_owned(),
        run_id: run_id.to_owned(),
        attempt,
        outcome: Some(outcome),
        output_tail: "done".to_owned(),
    }
}

fn ok() -> Outcome {
    Outcome::Succeeded(Succeeded { result: r#"{"sent":true}"#.to_owned() })
}

async fn granted(front: &Front, session: &str, run: &str) -> v1::Granted {
    match front.workers().start_attempt(start(session, run)).await.unwrap().into_inner().answer {
        Some(Answer::Granted(granted)) => granted,
        other => panic!("expected a grant, got {other:?}"),
    }
}

async fn gone(front: &Front, session: &str, run: &str) -> gone::Reason {
    match front.workers().start_attempt(start(session, run)).await.unwrap().into_inner().answer {
        Some(Answer::Gone(gone)) => gone.reason(),
        other => panic!("expected gone, got {other:?}"),
    }
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_attempt_is_granted_reported_and_seen_in_the_run(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let run = a_queued_run(&front, &pool, r#"{"to":"me"}"#).await;
    let first = granted(&front, &session, &run).await;
    assert_eq!(
        (first.attempt, first.payload.as_str(), first.kind.as_str()),
        (1, r#"{"to":"me"}"#, "mail.send")
    );
    // Asked again, the holder gets the same attempt, with what is left of its time.
    let again = granted(&front, &session, &run).await;
    let limit = |granted: &v1::Granted| Duration::try_from(granted.start_to_close.unwrap()).unwrap();
    assert!(limit(&again) <= limit(&first));
    assert_eq!(v1::Granted { start_to_close: first.start_to_close, ..again }, first);
    let other = register(&front).await;
    assert_eq!(gone(&front, &other, &run).await, gone::Reason::Held);

    let mut workers = front.workers();
    let held = v1::HeldAttempt {
        run_id: run.clone(),
        attempt: 1,
        progress: Some(0.5),
        progress_note: "half".to_owned(),
    };
    let beat = v1::HeartbeatRequest { session: session.clone(), attempts: vec![held], draining: false };
    assert_eq!(workers.heartbeat(beat).await.unwrap().into_inner(), v1::HeartbeatResponse::default());
    workers.finish_attempt(finish(&session, &run, 1, ok())).await.unwrap();
    workers.finish_attempt(finish(&session, &run, 1, ok())).await.expect("a repeat gets the same answer");

    let seen = front.runs().get_run(v1::GetRunRequest { id: run.clone() }).await.unwrap().into_inner();
    assert_eq!((seen.state(), seen.result.as_str()), (RunState::Succeeded, r#"{"sent":true}"#));
    assert_eq!(seen.attempt_history.len(), 1);
    let attempt = &seen.attempt_history[0];
    assert_eq!((attempt.number, attempt.outcome()), (1, v1::AttemptOutcome::Succeeded));
    assert_eq!((attempt.worker.as_str(), attempt.output_tail.as_str()), ("test", "done"));
    assert_eq!(gone(&front, &session, &run).await, gone::Reason::UnknownRun);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_report_of_a_past_attempt_is_refused_and_changes_nothing(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let run = a_queued_run(&front, &pool, "").await;
    granted(&front, &session, &run).await;
    let mut workers = front.workers();
    let release =
        v1::ReleaseAttemptRequest { session: session.clone(), run_id: run.clone(), attempt: 1, delay: None };
    workers.release_attempt(release.clone()).await.unwrap();
    let stale = (Code::FailedPrecondition, "STALE_ATTEMPT".to_owned());
    assert_eq!(refused(workers.finish_attempt(finish(&session, &run, 1, ok())).await), stale);
    let seen = front.runs().get_run(v1::GetRunRequest { id: run.clone() }).await.unwrap().into_inner();
    assert_eq!((seen.state(), seen.tries_used), (RunState::Scheduled, 0), "a release uses no try");
    let unknown = Uuid::now_v7().to_string();
    let not_found = (Code::NotFound, "RUN_NOT_FOUND".to_owned());
    assert_eq!(refused(workers.finish_attempt(finish(&session, &unknown, 1, ok())).await), not_found);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_batch_is_answered_in_order_each_by_itself(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let (one, two) = (a_queued_run(&front, &pool, "1").await, a_queued_run(&front, &pool, "2").await);
    let unknown = Uuid::now_v7().to_string();
    let starts = [&one, "nonsense", &unknown, &two].map(|run| start("", run)).to_vec();
    let request = v1::BatchStartAttemptsRequest { session: session.clone(), starts };
    let answers = front.workers().batch_start_attempts(request).await.unwrap().into_inner().answers;
    let summary: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.answer {
            Some(Answer::Granted(granted)) => granted.payload,
            Some(Answer::Gone(gone)) => gone.reason().as_str_name().to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(summary, ["1", "REASON_UNKNOWN_RUN", "REASON_UNKNOWN_RUN", "2"]);

    let failed = Failed { error: "no".to_owned(), non_retryable: true, ..Default::default() };
    let large = Succeeded { result: format!("\"{}\"", "x".repeat(1 << 20)) };
    let finishes = vec![
        finish("", &one, 1, Outcome::Failed(failed)),
        finish("", "nonsense", 1, ok()),
        finish("", &two, 1, Outcome::Succeeded(large)),
        finish("", &unknown, 1, ok()),
        finish("", &two, 2, ok()),
        finish("", &two, 1, ok()),
    ];
    let request = v1::BatchFinishAttemptsRequest { session, finishes };
    let answers = front.workers().batch_finish_attempts(request).await.unwrap().into_inner();
    let expect = [
        Finished::Stored,
        Finished::UnknownRun,
        Finished::Invalid,
        Finished::UnknownRun,
        Finished::StaleAttempt,
        Finished::Stored,
    ];
    assert_eq!(answers.answers().collect::<Vec<_>>(), expect);
    let seen = front.runs().get_run(v1::GetRunRequest { id: one }).await.unwrap().into_inner();
    assert_eq!((seen.state(), seen.error.as_str()), (RunState::Failed, "no"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn grants_that_do_not_fit_into_one_answer_are_asked_for_again(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let payload = format!("\"{}\"", "x".repeat(1_000_000));
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(a_queued_run(&front, &pool, &payload).await);
    }
    let mut rounds = 0;
    while !waiting.is_empty() {
        rounds += 1;
        let starts = waiting.iter().map(|run| start("", run)).collect();
        let request = v1::BatchStartAttemptsRequest { session: session.clone(), starts };
        let answers = front.workers().batch_start_attempts(request).await.unwrap().into_inner().answers;
        let mut later = Vec::new();
        for (run, answer) in waiting.into_iter().zip(answers) {
            match answer.answer {
                Some(Answer::Granted(granted)) => assert_eq!(granted.attempt, 1),
                Some(Answer::NotDue(_)) => later.push(run),
                other => panic!("{other:?}"),
            }
        }
        waiting = later;
    }
    assert_eq!(rounds, 2);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_session_that_has_ended_is_told_so(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let mut workers = front.workers();
    workers.unregister_worker(v1::UnregisterWorkerRequest { session: session.clone() }).await.unwrap();
    let beat = v1::HeartbeatRequest { session: session.clone(), attempts: Vec::new(), draining: false };
    assert_eq!(refused(workers.heartbeat(beat).await), (Code::NotFound, "SESSION_LOST".to_owned()));
    let run = a_queued_run(&front, &pool, "").await;
    assert_eq!(gone(&front, &session, &run).await, gone::Reason::SessionLost);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_cancel_reaches_the_holder_with_its_next_heartbeat(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = register(&front).await;
    let run = a_queued_run(&front, &pool, "").await;
    granted(&front, &session, &run).await;
    let cancel = v1::CancelRunRequest { id: run.clone(), reason: "enough".to_owned() };
    let asked = front.runs().cancel_run(cancel).await.unwrap().into_inner();
    assert_eq!((asked.state(), asked.cancel_requested), (RunState::Running, true));
    let held = v1::HeldAttempt { run_id: run.clone(), attempt: 1, ..Default::default() };
    let beat = v1::HeartbeatRequest { session: session.clone(), attempts: vec![held], draining: false };
    let answer = front.workers().heartbeat(beat).await.unwrap().into_inner();
    assert_eq!(
        answer.cancel.iter().map(|attempt| attempt.run_id.as_str()).collect::<Vec<_>>(),
        [run.as_str()]
    );
    let stopped = Outcome::Cancelled(v1::finish_attempt_request::Cancelled {});
    front.workers().finish_attempt(finish(&session, &run, 1, stopped)).await.unwrap();
    let seen = front.runs().get_run(v1::GetRunRequest { id: run }).await.unwrap().into_inner();
    assert_eq!((seen.state(), seen.reason.as_str()), (RunState::Cancelled, "enough"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn more_than_a_thousand_at_once_are_refused(pool: PgPool) {
    let front = Front::start(&pool).await;
    let session = Uuid::new_v4().to_string();
    let starts = vec![start("", "x"); 1_001];
    let request = v1::BatchStartAttemptsRequest { session: session.clone(), starts };
    assert_eq!(wrong_fields(front.workers().batch_start_attempts(request).await)[0].0, "starts");
    let finishes = vec![v1::FinishAttemptRequest::default(); 1_001];
    let request = v1::BatchFinishAttemptsRequest { session, finishes };
    assert_eq!(wrong_fields(front.workers().batch_finish_attempts(request).await)[0].0, "finishes");
}
