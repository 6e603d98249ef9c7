//! One call: tried on one scheduler after the other, and written down.

use std::time::{Duration, Instant};

use punctual_verify::history::{Call, Phase, What};
use tonic::{Code, Status};

use super::Client;

/// One try on one scheduler.
const TRY_WITHIN: Duration = Duration::from_secs(5);

impl Client {
    /// Calls until a scheduler answers. Calls must carry a request id, or change nothing, for they may be repeated.
    ///
    /// # Errors
    /// The answer, when it is a refusal; the last failure, when time is up.
    pub(super) async fn ask<R, T, F>(
        &self,
        request: R,
        mut call: impl FnMut(Self, R) -> F,
    ) -> Result<T, Status>
    where
        R: Clone,
        F: Future<Output = Result<T, Status>>,
    {
        let started = Instant::now();
        loop {
            let outcome = tokio::time::timeout(TRY_WITHIN, call(self.clone(), request.clone())).await;
            let failure = match outcome {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(status)) if is_answer(status.code()) => return Err(status),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            if started.elapsed() > self.deadline {
                return Err(failure);
            }
            self.move_on();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// [`ask`](Self::ask), with its beginning and end written down. `told` is what the answer adds to the record.
    pub(super) async fn ask_recorded<R, T, F>(
        &self,
        kind: fn(Call) -> What,
        asked: Call,
        told: impl Fn(&T) -> Call,
        request: R,
        call: impl FnMut(Self, R) -> F,
    ) -> Result<T, Status>
    where
        R: Clone,
        F: Future<Output = Result<T, Status>>,
    {
        let Some(recorder) = &self.recorder else { return self.ask(request, call).await };
        let op = recorder.next_op();
        recorder.record("client", kind(Call { ph: Phase::Inv, op, ..asked }));
        let outcome = self.ask(request, call).await;
        let end = match &outcome {
            Ok(value) => Call { ph: Phase::Ok, op, ..told(value) },
            Err(status) if is_answer(status.code()) => Call { ph: Phase::Fail, op, ..Call::default() },
            // It may have happened, or may yet.
            Err(_) => Call { ph: Phase::Info, op, ..Call::default() },
        };
        recorder.record("client", kind(end));
        outcome
    }
}

/// Whether the system has said no, rather than not answered.
fn is_answer(code: Code) -> bool {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled | Code::Internal => {
            false
        }
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => true,
    }
}
