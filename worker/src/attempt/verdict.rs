//! What the end of a handler means for its attempt.

use std::time::Duration;

use punctual_proto::v1::FinishAttemptRequest;
use punctual_proto::v1::finish_attempt_request::{Cancelled, Failed, Outcome, Succeeded};

use super::Ended;
use crate::cancellation::CancelReason;
use crate::handler::HandlerError;

/// The largest result, as JSON text.
const RESULT_BYTES: usize = 1 << 20;

/// The last of the output that is kept.
const TAIL_BYTES: usize = 4 << 10;

/// The first of an error's text that is kept.
const ERROR_BYTES: usize = 4 << 10;

/// What to report about an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// `result` is JSON text.
    Succeeded {
        result: String,
        tail: String,
    },
    Failed(Failure),
    Cancelled {
        tail: String,
    },
    /// Given back unfinished; no try is used.
    Released,
    /// Nothing is reported: the attempt belongs to someone else.
    Dropped,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) kind: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) non_retryable: bool,
    pub(crate) timed_out: bool,
    pub(crate) tail: String,
}

impl Verdict {
    /// Judges an end, given why the handler had been asked to stop, if it had.
    pub(super) fn of(reason: Option<CancelReason>, ended: Ended) -> Self {
        match (reason, ended) {
            (Some(CancelReason::LeaseLost), _) => Self::Dropped,
            // The time-out wins over whatever came of the handler afterwards.
            (Some(CancelReason::TimedOut), ended) => Self::timed_out(ended),
            (None | Some(CancelReason::Requested | CancelReason::Shutdown), Ended::Returned(Ok(output))) => {
                Self::succeeded(&output.result, output.tail)
            }
            (None, Ended::Returned(Err(error))) => Self::failed(error),
            (None, Ended::Panicked(text)) => {
                Self::failed(HandlerError::new(format!("the handler panicked: {text}")).kind("panic"))
            }
            // Only what was asked to stop is ever dropped.
            (None, Ended::Dropped) => Self::Dropped,
            (Some(CancelReason::Requested), Ended::Returned(Err(error))) => {
                Self::Cancelled { tail: last_bytes(&error.tail) }
            }
            (Some(CancelReason::Requested), Ended::Panicked(_) | Ended::Dropped) => {
                Self::Cancelled { tail: String::new() }
            }
            (Some(CancelReason::Shutdown), Ended::Returned(Err(_)) | Ended::Panicked(_) | Ended::Dropped) => {
                Self::Released
            }
        }
    }

    fn succeeded(result: &serde_json::Value, tail: String) -> Self {
        let result = if result.is_null() { String::new() } else { result.to_string() };
        if result.len() > RESULT_BYTES {
            let error =
                format!("the result has {} bytes of JSON, at most {RESULT_BYTES} are kept", result.len());
            return Self::failed(
                HandlerError::new(error).kind("result_too_large").not_retryable().tail(tail),
            );
        }
        Self::Succeeded { result, tail: last_bytes(&tail) }
    }

    fn failed(error: HandlerError) -> Self {
        Self::Failed(Failure {
            error: first_bytes(&error.text),
            kind: first_bytes(&error.kind),
            retry_after: error.retry_after,
            non_retryable: !error.retryable,
            timed_out: false,
            tail: last_bytes(&error.tail),
        })
    }

    fn timed_out(ended: Ended) -> Self {
        let (error, tail) = match ended {
            Ended::Returned(Ok(output)) => ("start_to_close passed".to_owned(), output.tail),
            Ended::Returned(Err(error)) => (format!("start_to_close passed: {}", error.text), error.tail),
            Ended::Panicked(text) => {
                (format!("start_to_close passed: the handler panicked: {text}"), String::new())
            }
            Ended::Dropped => {
                ("start_to_close passed; the handler did not stop when asked".to_owned(), String::new())
            }
        };
        Self::Failed(Failure {
            error: first_bytes(&error),
            kind: "timed_out".to_owned(),
            timed_out: true,
            tail: last_bytes(&tail),
            ..Failure::default()
        })
    }

    /// One word for metrics and logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Failed(failure) if failure.timed_out => "timed_out",
            Self::Failed(_) => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Released => "released",
            Self::Dropped => "dropped",
        }
    }

    /// The report; `None` for what is released or dropped.
    pub(crate) fn report(self, run_id: String, attempt: u32) -> Option<FinishAttemptRequest> {
        let (outcome, output_tail) = match self {
            Self::Succeeded { result, tail } => (Outcome::Succeeded(Succeeded { result }), tail),
            Self::Failed(failure) => (
                Outcome::Failed(Failed {
                    error: failure.error,
                    error_kind: failure.kind,
                    retry_after: failure.retry_after.and_then(|delay| delay.try_into().ok()),
                    non_retryable: failure.non_retryable,
                    timed_out: failure.timed_out,
                }),
                failure.tail,
            ),
            Self::Cancelled { tail } => (Outcome::Cancelled(Cancelled {}), tail),
            Self::Released | Self::Dropped => return None,
        };
        let session = String::new(); // the batch carries it
        Some(FinishAttemptRequest { session, run_id, attempt, outcome: Some(outcome), output_tail })
    }
}

/// What a text column takes: no NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn first_bytes(text: &str) -> String {
    let text = storable(text);
    text[..text.floor_char_boundary(ERROR_BYTES)].to_owned()
}

fn last_bytes(text: &str) -> String {
    let text = storable(text);
    text[text.ceil_char_boundary(text.len().saturating_sub(TAIL_BYTES))..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Output;

    #[track_caller]
    fn check(reason: Option<CancelReason>, ended: Ended, expect: &str) {
        let verdict = Verdict::of(reason, ended);
        assert_eq!(verdict.name(), expect, "{verdict:?}");
        assert_eq!(verdict.report("r".into(), 1).is_none(), ["released", "dropped"].contains(&expect));
    }

    fn ok() -> Ended {
        Ended::Returned(Ok(Output::default()))
    }

    fn err() -> Ended {
        Ended::Returned(Err(HandlerError::new("no")))
    }

    fn panic() -> Ended {
        Ended::Panicked("no".into())
    }

    #[test]
    fn every_end_has_one_meaning_for_each_reason_to_stop() {
        use CancelReason::{LeaseLost, Requested, Shutdown, TimedOut};
        check(None, ok(), "succeeded");
        check(None, err(), "failed");
        check(None, panic(), "failed");
        check(Some(TimedOut), ok(), "timed_out");
        check(Some(TimedOut), err(), "timed_out");
        check(Some(TimedOut), panic(), "timed_out");
        check(Some(TimedOut), Ended::Dropped, "timed_out");
        check(Some(Requested), ok(), "succeeded");
        check(Some(Requested), err(), "cancelled");
        check(Some(Requested), panic(), "cancelled");
        check(Some(Requested), Ended::Dropped, "cancelled");
        check(Some(Shutdown), ok(), "succeeded");
        check(Some(Shutdown), err(), "released");
        check(Some(Shutdown), panic(), "released");
        check(Some(Shutdown), Ended::Dropped, "released");
        check(Some(LeaseLost), ok(), "dropped");
        check(Some(LeaseLost), err(), "dropped");
        check(Some(LeaseLost), panic(), "dropped");
        check(Some(LeaseLost), Ended::Dropped, "dropped");
    }

    #[test]
    fn a_result_that_cannot_be_kept_fails_for_good() {
        let output = Output::from("x".repeat(RESULT_BYTES));
        let Verdict::Failed(failure) = Verdict::of(None, Ended::Returned(Ok(output))) else { panic!() };
        assert!(failure.non_retryable);
        assert_eq!(failure.error, "the result has 1048578 bytes of JSON, at most 1048576 are kept");
    }

    #[test]
    fn texts_are_cut_between_characters_and_lose_what_cannot_be_stored() {
        assert_eq!(first_bytes("a\0b"), "a\u{fffd}b");
        assert_eq!(first_bytes(&"ä".repeat(3_000)).len(), ERROR_BYTES);
        assert_eq!(last_bytes(&format!("x{}", "€".repeat(3_000))).len(), 4_095);
        assert_eq!(last_bytes("end"), "end");
    }

    #[test]
    fn no_result_is_no_text_and_any_other_is_json() {
        let result = |output: Output| match Verdict::of(None, Ended::Returned(Ok(output))) {
            Verdict::Succeeded { result, .. } => result,
            other => panic!("{other:?}"),
        };
        assert_eq!(result(().into()), "");
        assert_eq!(result("done".to_owned().into()), "\"done\"");
        assert_eq!(result(serde_json::json!({"a": 1}).into()), r#"{"a":1}"#);
    }
}
