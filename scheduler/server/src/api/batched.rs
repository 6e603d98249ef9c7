//! The calls of the store that many callers share.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use punctual_scheduler_domain::id::{AttemptNumber, ReplicaId, SessionId};

use super::batch::{BatchLimits, Batcher};
use super::doorbells::Doorbells;
use super::error::ApiError;
use crate::database_clock::DatabaseClock;
use crate::store::{CreatedRun, FinishAnswer, NewRun, Report, Start, StartAnswer, Store, StoreError};

/// About 100 rows are where a statement's fixed cost no longer shows; much larger ones hold their locks for long.
const LIMITS: BatchLimits = BatchLimits { items: 200, bytes: 8 << 20, pending_bytes: 64 << 20 };

/// What the calls act through.
#[derive(Clone)]
pub(super) struct Backend {
    pub(super) store: Arc<dyn Store>,
    pub(super) doorbells: Arc<dyn Doorbells>,
    pub(super) clock: DatabaseClock,
    pub(super) replica: ReplicaId,
}

/// Batchers around the store. Cheap to clone; their loops end when the last clone is gone.
#[derive(Debug, Clone)]
pub(super) struct Batched {
    create: Batcher<NewRun, Result<CreatedRun, ApiError>>,
    start: Batcher<(SessionId, Start), Result<StartAnswer, ApiError>>,
    finish: Batcher<Report, Result<FinishAnswer, ApiError>>,
}

impl Batched {
    /// The batchers and their loops, to be run by the caller.
    pub(super) fn new(backend: &Backend) -> (Self, Vec<BoxFuture<'static, ()>>) {
        let (for_create, for_start, for_finish) = (backend.clone(), backend.clone(), backend.clone());
        let (create, creating) = Batcher::new(LIMITS, move |runs| for_create.clone().create(runs).boxed());
        let (start, starting) = Batcher::new(LIMITS, move |starts| for_start.clone().start(starts).boxed());
        let (finish, finishing) =
            Batcher::new(LIMITS, move |reports| for_finish.clone().finish(reports).boxed());
        (
            Self { create, start, finish },
            vec![creating.run().boxed(), starting.run().boxed(), finishing.run().boxed()],
        )
    }

    /// Creates a run. Once taken it is created and its doorbell rung, even when the caller leaves.
    pub(super) async fn create(&self, run: NewRun) -> Result<CreatedRun, ApiError> {
        let bytes = match &run {
            NewRun::Trigger { payload, .. } => payload.as_ref().map_or(0, String::len),
            NewRun::OneOff(run) => run.task.payload().len(),
        };
        self.create.submit(run, bytes).await?
    }

    /// Asks for one attempt.
    pub(super) async fn start(&self, session: SessionId, start: Start) -> Result<StartAnswer, ApiError> {
        self.start.submit((session, start), 0).await?
    }

    /// Stores how one attempt ended.
    pub(super) async fn finish(&self, report: Report) -> Result<FinishAnswer, ApiError> {
        let bytes = report_bytes(&report);
        self.finish.submit(report, bytes).await?
    }

    /// Stores how many attempts ended. Answers in order.
    pub(super) async fn finish_all(
        &self,
        reports: Vec<Report>,
    ) -> Result<Vec<Result<FinishAnswer, ApiError>>, ApiError> {
        let weighed = |report: Report| {
            let bytes = report_bytes(&report);
            (report, bytes)
        };
        Ok(self.finish.submit_all(reports.into_iter().map(weighed).collect()).await?)
    }
}

fn report_bytes(report: &Report) -> usize {
    report.report.result.len() + report.report.error.len() + report.report.output_tail.len()
}

impl Backend {
    async fn create(self, runs: Vec<NewRun>) -> Vec<Result<CreatedRun, ApiError>> {
        let asked = runs.len();
        let answers = in_order(self.store.create_runs(self.replica, runs).await, asked);
        let created: Vec<Result<CreatedRun, ApiError>> = answers
            .into_iter()
            .map(|answer| answer.and_then(|answer| answer.map_err(ApiError::from)))
            .collect();
        // Here and not in the call that asked: what is queued must be published though its caller has gone.
        let new = created.iter().flatten().filter(|run| run.created_at.is_some());
        let (queued, waiting): (Vec<_>, Vec<_>) =
            new.map(|run| run.dispatch.clone()).partition(Option::is_some);
        if !queued.is_empty() {
            self.doorbells.send(queued.into_iter().flatten().collect());
        }
        if !waiting.is_empty() {
            self.doorbells.wake();
        }
        created
    }

    async fn start(self, starts: Vec<(SessionId, Start)>) -> Vec<Result<StartAnswer, ApiError>> {
        let mut of_session: HashMap<SessionId, (Vec<usize>, Vec<Start>)> = HashMap::new();
        let asked = starts.len();
        for (index, (session, start)) in starts.into_iter().enumerate() {
            let (indices, starts) = of_session.entry(session).or_default();
            indices.push(index);
            starts.push(start);
        }
        let calls = of_session.into_iter().map(|(session, (indices, starts))| {
            let this = &self;
            async move {
                let asked = starts.len();
                indices.into_iter().zip(in_order(this.start_of(session, &starts).await, asked))
            }
        });
        let mut answers: Vec<_> = join_all(calls).await.into_iter().flatten().collect();
        debug_assert_eq!(answers.len(), asked, "every start is answered");
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Asks for attempts of one session, and counts how late they start.
    pub(super) async fn start_of(
        &self,
        session: SessionId,
        starts: &[Start],
    ) -> Result<Vec<StartAnswer>, StoreError> {
        let answers = self.store.start_attempts(session, starts).await?;
        let now = self.clock.now();
        for answer in &answers {
            let StartAnswer::Granted(grant) = answer else { continue };
            tracing::debug!(run.id = %grant.run, attempt.number = %grant.attempt, job.name = grant.job, "attempt granted");
            // A retry is late by its back-off, which says nothing about the scheduler.
            if grant.attempt == AttemptNumber::FIRST {
                let late = (now - grant.due_at).to_std().unwrap_or_default();
                metrics::histogram!("punctual_due_to_start_seconds").record(late);
            }
        }
        Ok(answers)
    }

    async fn finish(self, reports: Vec<Report>) -> Vec<Result<FinishAnswer, ApiError>> {
        let answers = self.store.finish_attempts(&reports).await;
        for (report, answer) in reports.iter().zip(answers.iter().flatten()) {
            let (run, attempt) = (report.run, report.attempt);
            tracing::debug!(run.id = %run, attempt.number = %attempt, outcome = %report.outcome, ?answer, "attempt reported");
        }
        in_order(answers, reports.len())
    }
}

/// One answer for each of the `asked`: the store's, or its failure for all.
fn in_order<T>(answers: Result<Vec<T>, StoreError>, asked: usize) -> Vec<Result<T, ApiError>> {
    match answers {
        Ok(answers) => {
            debug_assert_eq!(answers.len(), asked, "the store answers in order");
            answers.into_iter().map(Ok).collect()
        }
        Err(error) => {
            let error = ApiError::from(error);
            (0..asked).map(|_| Err(error.clone())).collect()
        }
    }
}
