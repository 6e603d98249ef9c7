//! What a handler knows about the attempt it executes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_proto::v1;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cancellation::{CancelReason, Cancellation};
use crate::handler::HandlerError;

/// The longest note kept with a progress report, in bytes.
const NOTE_BYTES: usize = 1_000;

/// One attempt, as its handler sees it. Cheap to clone; clones are the same attempt.
#[derive(Clone)]
pub struct Context {
    attempt: Arc<v1::Granted>,
    due_at: DateTime<Utc>,
    deadline: Instant,
    progress: Arc<Mutex<Progress>>,
    cancellation: Cancellation,
}

/// How far an attempt has come, as last reported by its handler.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// 0 to 1; `None` before the first report.
    pub(crate) fraction: Option<f64>,
    pub(crate) note: String,
}

impl Context {
    /// The context of an attempt that was asked for at `asked` and may take `start_to_close` from then.
    pub(crate) fn new(attempt: v1::Granted, asked: Instant, start_to_close: Duration) -> Self {
        let due_at = attempt.due_at.unwrap_or_default();
        let nanos = u32::try_from(due_at.nanos).unwrap_or_default();
        Self {
            due_at: DateTime::from_timestamp(due_at.seconds, nanos).unwrap_or_default(),
            attempt: Arc::new(attempt),
            deadline: asked + start_to_close,
            progress: Arc::default(),
            cancellation: Cancellation::default(),
        }
    }

    /// The run's id: the same in every attempt at it.
    pub fn run_id(&self) -> &str {
        &self.attempt.run_id
    }

    /// The attempt's number: counts from 1 within the run, is never reused, and rises with every attempt. Shown to
    /// another system, it lets that system refuse an attempt that has been superseded.
    pub fn attempt(&self) -> u32 {
        self.attempt.attempt
    }

    /// How many tries failed before this one.
    pub fn tries_used(&self) -> u32 {
        self.attempt.tries_used
    }

    /// The namespace of the run.
    pub fn namespace(&self) -> &str {
        &self.attempt.namespace
    }

    /// The job's name; empty for a one-off run.
    pub fn job(&self) -> &str {
        &self.attempt.job
    }

    /// The kind, under which the handler was registered.
    pub fn kind(&self) -> &str {
        &self.attempt.kind
    }

    /// The instant the run fell due. It is the same in every attempt, so it says which day's report to make.
    pub fn due_at(&self) -> DateTime<Utc> {
        self.due_at
    }

    /// When the attempt's time is up and it will be cancelled.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The payload as it came: JSON text, or empty when the job has none.
    pub fn payload_json(&self) -> &str {
        &self.attempt.payload
    }

    /// The payload as a value. A job without a payload has `null`.
    ///
    /// # Errors
    /// When the payload is not a `T`. Another try would find the same payload, so the error is not retryable.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, HandlerError> {
        let text = if self.attempt.payload.is_empty() { "null" } else { &self.attempt.payload };
        serde_json::from_str(text).map_err(|error| {
            HandlerError::new(format!("the payload is not what {} takes: {error}", self.kind()))
                .kind("invalid_payload")
                .not_retryable()
        })
    }

    /// Reports how far the attempt has come: `fraction` from 0 to 1 (anything else is brought into that range) and
    /// a note for people, cut at 1,000 bytes. The next heartbeat takes the latest report along.
    pub fn progress(&self, fraction: f64, note: impl Into<String>) {
        let mut note = note.into();
        note.truncate(note.floor_char_boundary(NOTE_BYTES));
        let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) =
            Progress { fraction: Some(fraction), note: note.replace('\0', "\u{fffd}") };
    }

    /// Completes when the handler should stop, with the reason.
    ///
    /// After that the handler has the job's `cancel_grace` to end (none when the lease is lost); then its future is
    /// dropped. A handler that returns `Ok` all the same has succeeded, unless its time was up or its lease lost.
    pub async fn cancelled(&self) -> CancelReason {
        self.cancellation.stop_token().cancelled().await;
        self.cancel_reason().unwrap_or(CancelReason::LeaseLost)
    }

    /// Why the handler should stop; `None` while it need not. For work that blocks and has to look now and then.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.cancellation.reason()
    }

    /// Cancelled when the handler should stop, to be handed on to whatever takes such a token.
    pub fn cancellation_token(&self) -> &CancellationToken {
        self.cancellation.stop_token()
    }

    pub(crate) fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    pub(crate) fn reported_progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Leaves the payload out: it may hold secrets.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("run", &self.run_id())
            .field("attempt", &self.attempt())
            .field("kind", &self.kind())
            .field("due_at", &self.due_at)
            .field("cancel_reason", &self.cancel_reason())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
