//! The calls that a session makes, and what they bring back.

use std::sync::Arc;
use std::time::Duration;

use punctual_proto::v1;
use tokio::time::Instant;

use super::reports::Batch;
use crate::schedulers::{CallError, Schedulers};
use crate::worker::Site;

/// How soon a release that nobody answered is asked for again.
const RELEASE_AGAIN: Duration = Duration::from_millis(250);

/// The answer to one call.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To the question for the attempts of `runs`, in their order, sent to whoever answered at `sent`.
    Start { sent: Instant, runs: Vec<String>, answers: Result<v1::BatchStartAttemptsResponse, CallError> },
    /// To the heartbeat sent at `sent`.
    Beat { sent: Instant, answer: Result<v1::HeartbeatResponse, CallError> },
    /// To the reports in `batch`, in their order.
    Report { call: u64, batch: Batch, answers: Result<v1::BatchFinishAttemptsResponse, CallError> },
    /// The attempt is given back, or was not ours any more.
    Release { run: String, attempt: u32 },
}

pub(super) async fn start(site: Arc<Site>, session: String, batch: Vec<(String, u32)>) -> Answer {
    let starts = batch.iter().map(|(run, dispatch)| v1::StartAttemptRequest {
        session: String::new(), // the batch carries it
        run_id: run.clone(),
        dispatch: *dispatch,
    });
    let request = v1::BatchStartAttemptsRequest { session, starts: starts.collect() };
    let mut sent = Instant::now();
    let call = site.schedulers.call(|mut scheduler| {
        // Not when the first was asked: one that hangs takes nothing of an attempt's time.
        sent = Instant::now();
        let request = request.clone();
        async move { scheduler.batch_start_attempts(request).await }
    });
    let answers = call.await.and_then(|answers| in_full(answers.answers.len(), batch.len(), answers));
    Answer::Start { sent, runs: batch.into_iter().map(|(run, _)| run).collect(), answers }
}

pub(super) async fn beat(site: Arc<Site>, request: v1::HeartbeatRequest, sent: Instant) -> Answer {
    let call = site.schedulers.call(|mut scheduler| {
        let request = request.clone();
        async move { scheduler.heartbeat(request).await }
    });
    Answer::Beat { sent, answer: call.await }
}

pub(super) async fn report(site: Arc<Site>, session: String, call: u64, batch: Batch) -> Answer {
    let answers = report_to(&site.schedulers, &session, &batch).await;
    Answer::Report { call, answers, batch }
}

pub(super) async fn report_to(
    schedulers: &Schedulers,
    session: &str,
    reports: &[v1::FinishAttemptRequest],
) -> Result<v1::BatchFinishAttemptsResponse, CallError> {
    let call =
        schedulers.call(|mut scheduler| {
            let (session, finishes) = (session.to_owned(), reports.to_vec());
            async move {
                scheduler.batch_finish_attempts(v1::BatchFinishAttemptsRequest { session, finishes }).await
            }
        });
    call.await.and_then(|answers| in_full(answers.answers.len(), reports.len(), answers))
}

/// Asks until it is answered; the session ends it when that takes too long.
pub(super) async fn release(site: Arc<Site>, request: v1::ReleaseAttemptRequest) -> Answer {
    loop {
        let call = site.schedulers.call(|mut scheduler| {
            let request = request.clone();
            async move { scheduler.release_attempt(request).await }
        });
        match call.await {
            Err(CallError::Unanswered { .. }) => tokio::time::sleep(RELEASE_AGAIN).await,
            Ok(_) => break,
            Err(CallError::Refused(status)) => {
                tracing::info!(run.id = request.run_id, %status, "the attempt was not ours to give back any more");
                break;
            }
        }
    }
    Answer::Release { run: request.run_id, attempt: request.attempt }
}

pub(super) async fn unregister(schedulers: &Schedulers, session: &str) {
    let call = schedulers.call(|mut scheduler| {
        let request = v1::UnregisterWorkerRequest { session: session.to_owned() };
        async move { scheduler.unregister_worker(request).await }
    });
    if let Err(error) = call.await {
        tracing::warn!(%error, "could not close the session, its lease will run out");
    }
}

/// An answer to some of the questions is no answer: nobody could tell to which.
fn in_full<T>(answers: usize, questions: usize, answer: T) -> Result<T, CallError> {
    if answers == questions {
        return Ok(answer);
    }
    let text = format!("{answers} answers to {questions} questions");
    Err(CallError::Unanswered { url: String::new(), status: tonic::Status::internal(text) })
}
