//! The worker protocol.

use std::time::Duration;

use punctual_proto::v1;
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::job::validate_payload;
use punctual_scheduler_domain::name::Kind;

use super::fields::Fields;
use super::job::{namespace_in, task_queue_in};
use super::time::{duration, duration_to_proto, timestamp_to_proto};
use crate::api::error::ApiError;
use crate::store::{Beat, GoneReason, Grant, HeldAttempt, NewSession, Release, Report, Start, StartAnswer};

/// Starts or finishes in one call.
const MAX_BATCH: usize = 1_000;
/// Places of one worker.
const MAX_PLACES: u32 = 10_000;
/// Kinds of one worker.
const MAX_KINDS: usize = 1_000;
/// Characters of a worker's name.
const MAX_NAME: usize = 200;
/// Bytes kept of what a worker says went wrong.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// Bytes kept of an error's kind and of a progress note.
const MAX_NOTE_BYTES: usize = 1_000;
/// Bytes kept of what an attempt printed last.
const MAX_TAIL_BYTES: usize = 4 << 10;
/// The longest wait that a worker may ask for.
const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);

pub(in crate::api) fn read_session(session: &str) -> Result<SessionId, ApiError> {
    session.parse().map_err(|_| ApiError::field("session", "is not a UUID"))
}

pub(in crate::api) fn read_registration(request: v1::RegisterWorkerRequest) -> Result<NewSession, ApiError> {
    let mut fields = Fields::new();
    let session = fields.take("session", request.session.parse().map_err(|_| "is not a UUID"));
    let name = fields.text("name", request.name, MAX_NAME);
    let namespace = namespace_in(&mut fields, "namespace", &request.namespace);
    let task_queue = task_queue_in(&mut fields, "task_queue", &request.task_queue);
    if request.kinds.is_empty() || request.kinds.len() > MAX_KINDS {
        fields.refuse("kinds", format!("holds {}: expected 1 to {MAX_KINDS}", request.kinds.len()));
    }
    let given = request.kinds.iter().enumerate();
    let mut kinds: Vec<_> =
        given.filter_map(|(index, kind)| fields.take(format!("kinds[{index}]"), Kind::new(kind))).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if !(1..=MAX_PLACES).contains(&request.places) {
        fields.refuse("places", format!("is {}: expected 1 to {MAX_PLACES}", request.places));
    }
    let places = request.places;
    let registration = match (session, namespace, task_queue) {
        (Some(session), Some(namespace), Some(task_queue)) => {
            Some(NewSession { session, name, namespace, task_queue, kinds, places })
        }
        _ => None,
    };
    fields.finish(registration)
}

/// The starts of a batch in order; `None` for one whose run cannot exist.
pub(in crate::api) fn read_starts(
    starts: &[v1::StartAttemptRequest],
) -> Result<Vec<Option<Start>>, ApiError> {
    check_batch("starts", starts.len())?;
    Ok(starts.iter().map(read_start).collect())
}

pub(in crate::api) fn check_batch(field: &str, items: usize) -> Result<(), ApiError> {
    if items > MAX_BATCH {
        return Err(ApiError::field(field, format!("holds {items}, the most is {MAX_BATCH}")));
    }
    Ok(())
}

/// `None` when such a run cannot exist.
pub(in crate::api) fn read_start(start: &v1::StartAttemptRequest) -> Option<Start> {
    start.run_id.parse().ok().map(|run| Start { run, dispatch_seq: start.dispatch })
}

pub(in crate::api) fn answer_to_proto(answer: StartAnswer) -> v1::StartAttemptResponse {
    use v1::start_attempt_response::Answer;
    let answer = match answer {
        StartAnswer::Granted(grant) => Answer::Granted(grant_to_proto(*grant)),
        StartAnswer::Gone(reason) => Answer::Gone(v1::Gone { reason: reason_to_proto(reason).into() }),
        StartAnswer::NotDue(wait) => Answer::NotDue(v1::NotDue { wait: Some(duration_to_proto(wait)) }),
    };
    v1::StartAttemptResponse { answer: Some(answer) }
}

fn grant_to_proto(grant: Grant) -> v1::Granted {
    v1::Granted {
        attempt: grant.attempt.get(),
        run_id: grant.run.to_string(),
        namespace: grant.namespace.to_string(),
        job: grant.job,
        kind: grant.kind.to_string(),
        payload: grant.payload,
        due_at: Some(timestamp_to_proto(grant.due_at)),
        start_to_close: Some(duration_to_proto(grant.start_to_close)),
        cancel_grace: Some(duration_to_proto(grant.cancel_grace)),
        tries_used: grant.tries_used,
    }
}

fn reason_to_proto(reason: GoneReason) -> v1::gone::Reason {
    match reason {
        GoneReason::UnknownRun => v1::gone::Reason::UnknownRun,
        GoneReason::NotQueued => v1::gone::Reason::NotQueued,
        GoneReason::Held => v1::gone::Reason::Held,
        GoneReason::Superseded => v1::gone::Reason::Superseded,
        GoneReason::SessionLost => v1::gone::Reason::SessionLost,
    }
}

/// A heartbeat, and what it lists that cannot exist: lost, in the sender's own words.
pub(in crate::api) fn read_beat(
    request: v1::HeartbeatRequest,
) -> Result<(Beat, Vec<v1::heartbeat_response::AttemptRef>), ApiError> {
    let session = read_session(&request.session)?;
    if request.attempts.len() > MAX_PLACES as usize {
        let held = request.attempts.len();
        return Err(ApiError::field("attempts", format!("holds {held}, the most is {MAX_PLACES}")));
    }
    let mut held = Vec::with_capacity(request.attempts.len());
    let mut unknown = Vec::new();
    for attempt in request.attempts {
        match attempt.run_id.parse() {
            Ok(run_id) => held.push(HeldAttempt {
                run_id,
                attempt: attempt.attempt,
                // A NaN would not survive as JSON; it says nothing anyway.
                progress: attempt.progress.filter(|part| part.is_finite()).map(|part| part.clamp(0.0, 1.0)),
                progress_note: head(attempt.progress_note, MAX_NOTE_BYTES),
            }),
            Err(_) => unknown.push(v1::heartbeat_response::AttemptRef {
                run_id: attempt.run_id,
                attempt: attempt.attempt,
            }),
        }
    }
    Ok((Beat { session, held, draining: request.draining }, unknown))
}

pub(in crate::api) fn refs_to_proto(
    attempts: Vec<(RunId, AttemptNumber)>,
) -> Vec<v1::heartbeat_response::AttemptRef> {
    attempts
        .into_iter()
        .map(|(run, attempt)| v1::heartbeat_response::AttemptRef {
            run_id: run.to_string(),
            attempt: attempt.get(),
        })
        .collect()
}

/// How an attempt ended, by the word of `session`. Texts for people are cut to what is kept; a result is never cut.
pub(in crate::api) fn read_report(
    session: SessionId,
    finish: v1::FinishAttemptRequest,
) -> Result<Report, ApiError> {
    use v1::finish_attempt_request::Outcome;
    let mut fields = Fields::new();
    let run = read_run(&mut fields, &finish.run_id);
    let attempt = read_attempt(&mut fields, finish.attempt);
    let mut report =
        AttemptReport { output_tail: tail(finish.output_tail, MAX_TAIL_BYTES), ..Default::default() };
    let outcome = match finish.outcome {
        Some(Outcome::Succeeded(succeeded)) => {
            if let Err(error) = validate_payload(&succeeded.result) {
                let advice = "store a large result elsewhere and return a reference to it";
                fields.refuse("succeeded.result", format!("{} ({advice})", error.message));
            }
            report.result = succeeded.result;
            Some(AttemptOutcome::Succeeded)
        }
        Some(Outcome::Failed(failed)) => {
            let retry_after = failed.retry_after.as_ref().map(duration).transpose();
            report.retry_after =
                fields.take("failed.retry_after", retry_after).flatten().map(|wait| wait.min(MAX_DELAY));
            report.error = head(failed.error, MAX_ERROR_BYTES);
            report.error_kind = head(failed.error_kind, MAX_NOTE_BYTES);
            report.non_retryable = failed.non_retryable;
            Some(if failed.timed_out { AttemptOutcome::TimedOut } else { AttemptOutcome::Failed })
        }
        Some(Outcome::Cancelled(v1::finish_attempt_request::Cancelled {})) => Some(AttemptOutcome::Cancelled),
        None => {
            fields.refuse("outcome", "is missing: set one of `succeeded`, `failed` and `cancelled`");
            None
        }
    };
    let report = match (run, attempt, outcome) {
        (Some(run), Some(attempt), Some(outcome)) => Some(Report { session, run, attempt, outcome, report }),
        _ => None,
    };
    fields.finish(report)
}

pub(in crate::api) fn read_release(request: &v1::ReleaseAttemptRequest) -> Result<Release, ApiError> {
    let session = read_session(&request.session)?;
    let mut fields = Fields::new();
    let run = read_run(&mut fields, &request.run_id);
    let attempt = read_attempt(&mut fields, request.attempt);
    let delay = fields.take("delay", request.delay.as_ref().map(duration).transpose()).flatten();
    let delay = delay.unwrap_or_default().min(MAX_DELAY);
    fields.finish(run.zip(attempt).map(|(run, attempt)| Release { session, run, attempt, delay }))
}

fn read_run(fields: &mut Fields, run: &str) -> Option<RunId> {
    fields.take("run_id", run.parse().map_err(|_| "is not a run's id, which is a UUID"))
}

fn read_attempt(fields: &mut Fields, attempt: u32) -> Option<AttemptNumber> {
    fields.take("attempt", AttemptNumber::new(attempt).ok_or("is 0: attempts count from 1"))
}

/// The first bytes of a text, whole characters and without NUL, which Postgres cannot keep.
fn head(text: String, max_bytes: usize) -> String {
    let mut text = without_nul(text);
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

/// The last bytes of a text, likewise.
fn tail(text: String, max_bytes: usize) -> String {
    let mut text = without_nul(text);
    let excess = text.len().saturating_sub(max_bytes);
    text.drain(..text.ceil_char_boundary(excess));
    text
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}
