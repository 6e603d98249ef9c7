//! `WorkerService`.

use prost::Message;
use punctual_proto::v1::{self, worker_service_server::WorkerService};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use tonic::{Request, Response, Status};

use super::batched::{Backend, Batched};
use super::convert::{
    answer_to_proto, check_batch, duration_to_proto, read_beat, read_registration, read_release, read_report,
    read_session, read_start, read_starts, refs_to_proto,
};
use super::error::ApiError;
use super::page;
use crate::store::{FinishAnswer, GoneReason, Grant, HEARTBEAT_EVERY, Registered, StartAnswer, WORKER_LEASE};

/// Grants attempts and takes their outcomes.
#[derive(Clone)]
pub(super) struct Workers {
    pub(super) backend: Backend,
    pub(super) batched: Batched,
}

#[tonic::async_trait]
impl WorkerService for Workers {
    async fn register_worker(
        &self,
        request: Request<v1::RegisterWorkerRequest>,
    ) -> Result<Response<v1::RegisterWorkerResponse>, Status> {
        let session = read_registration(request.into_inner())?;
        let id = session.session;
        match self.backend.store.register_worker(session).await? {
            Registered::Opened => Ok(Response::new(v1::RegisterWorkerResponse {
                lease: Some(duration_to_proto(WORKER_LEASE)),
                heartbeat_every: Some(duration_to_proto(HEARTBEAT_EVERY)),
            })),
            Registered::SessionLost => Err(ApiError::SessionLost(id).into()),
        }
    }

    async fn unregister_worker(
        &self,
        request: Request<v1::UnregisterWorkerRequest>,
    ) -> Result<Response<v1::UnregisterWorkerResponse>, Status> {
        self.backend.store.unregister_worker(read_session(&request.get_ref().session)?).await?;
        Ok(Response::new(v1::UnregisterWorkerResponse {}))
    }

    async fn start_attempt(
        &self,
        request: Request<v1::StartAttemptRequest>,
    ) -> Result<Response<v1::StartAttemptResponse>, Status> {
        let request = request.get_ref();
        let session = read_session(&request.session)?;
        let answer = match read_start(request) {
            Some(start) => self.batched.start(session, start).await?,
            None => StartAnswer::Gone(GoneReason::UnknownRun),
        };
        Ok(Response::new(answer_to_proto(answer)))
    }

    async fn batch_start_attempts(
        &self,
        request: Request<v1::BatchStartAttemptsRequest>,
    ) -> Result<Response<v1::BatchStartAttemptsResponse>, Status> {
        let request = request.get_ref();
        let session = read_session(&request.session)?;
        let asked = read_starts(&request.starts)?;
        let starts: Vec<_> = asked.iter().copied().flatten().collect();
        let mut answered = self.backend.start_of(session, &starts).await?.into_iter();
        let answers = asked.into_iter().map(|start| match start {
            Some(_) => answered.next().map(answer_to_proto).unwrap_or_default(),
            None => answer_to_proto(StartAnswer::Gone(GoneReason::UnknownRun)),
        });
        Ok(Response::new(v1::BatchStartAttemptsResponse { answers: within_bytes(answers) }))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let (beat, unknown) = read_beat(request.into_inner())?;
        let answer = self.backend.store.heartbeat(&beat).await?.ok_or(ApiError::SessionLost(beat.session))?;
        let mut lost = refs_to_proto(answer.lost);
        lost.extend(unknown);
        Ok(Response::new(v1::HeartbeatResponse { cancel: refs_to_proto(answer.cancel), lost }))
    }

    async fn finish_attempt(
        &self,
        request: Request<v1::FinishAttemptRequest>,
    ) -> Result<Response<v1::FinishAttemptResponse>, Status> {
        let finish = request.into_inner();
        let report = read_report(read_session(&finish.session)?, finish)?;
        let (run, attempt) = (report.run, report.attempt);
        stored(self.batched.finish(report).await?, run, attempt)?;
        Ok(Response::new(v1::FinishAttemptResponse {}))
    }

    async fn batch_finish_attempts(
        &self,
        request: Request<v1::BatchFinishAttemptsRequest>,
    ) -> Result<Response<v1::BatchFinishAttemptsResponse>, Status> {
        let v1::BatchFinishAttemptsRequest { session, finishes } = request.into_inner();
        let session = read_session(&session)?;
        check_batch("finishes", finishes.len())?;
        let answers = self.finish_all(session, finishes).await?;
        let answers = answers.into_iter().map(i32::from).collect();
        Ok(Response::new(v1::BatchFinishAttemptsResponse { answers }))
    }

    async fn release_attempt(
        &self,
        request: Request<v1::ReleaseAttemptRequest>,
    ) -> Result<Response<v1::ReleaseAttemptResponse>, Status> {
        let release = read_release(request.get_ref())?;
        stored(self.backend.store.release_attempt(&release).await?, release.run, release.attempt)?;
        Ok(Response::new(v1::ReleaseAttemptResponse {}))
    }
}

type FinishReply = v1::batch_finish_attempts_response::Answer;

impl Workers {
    /// One answer for each. A failure of the store is the whole call's, which is then repeated as a whole.
    async fn finish_all(
        &self,
        session: SessionId,
        finishes: Vec<v1::FinishAttemptRequest>,
    ) -> Result<Vec<FinishReply>, ApiError> {
        let read = finishes.into_iter().map(|finish| {
            let known = finish.run_id.parse::<RunId>().is_ok();
            let unusable = if known { FinishReply::Invalid } else { FinishReply::UnknownRun };
            read_report(session, finish).map_err(|error| {
                tracing::debug!(%session, %error, "a worker's report cannot be used");
                unusable
            })
        });
        let (mut reports, mut replies) = (Vec::new(), Vec::new());
        for report in read {
            match report {
                Ok(report) => {
                    reports.push(report);
                    replies.push(None);
                }
                Err(reply) => replies.push(Some(reply)),
            }
        }
        let mut answers = self.batched.finish_all(reports).await?.into_iter();
        let reply = |known: Option<FinishReply>| match known {
            Some(reply) => Ok(reply),
            None => match answers.next().transpose()? {
                Some(FinishAnswer::Stored) => Ok(FinishReply::Stored),
                Some(FinishAnswer::StaleAttempt) => Ok(FinishReply::StaleAttempt),
                Some(FinishAnswer::UnknownRun) => Ok(FinishReply::UnknownRun),
                None => Err(ApiError::Stopping),
            },
        };
        replies.into_iter().map(reply).collect()
    }
}

fn stored(answer: FinishAnswer, run: RunId, attempt: AttemptNumber) -> Result<(), ApiError> {
    match answer {
        FinishAnswer::Stored => Ok(()),
        FinishAnswer::StaleAttempt => Err(ApiError::StaleAttempt { run, attempt }),
        FinishAnswer::UnknownRun => Err(ApiError::NoSuchRun(run)),
    }
}

/// Keeps an answer within what clients take: large payloads that do not fit are to be asked for again, and the same
/// session then gets the same attempts.
fn within_bytes(answers: impl Iterator<Item = v1::StartAttemptResponse>) -> Vec<v1::StartAttemptResponse> {
    let mut total = 0;
    answers
        .map(|answer| {
            let bytes = answer.encoded_len();
            if total > 0 && total + bytes > page::MAX_BYTES {
                return answer_to_proto(StartAnswer::NotDue(Grant::ASK_AGAIN));
            }
            total += bytes;
            answer
        })
        .collect()
}
