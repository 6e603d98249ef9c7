//! The one place that knows gRPC's codes, and HTTP's.

use std::collections::HashMap;
use std::error::Error as _;

use http::StatusCode;
use punctual_scheduler_domain::field::FieldError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::error::ApiError;
use crate::store::StoreError;

/// The `domain` of every `ErrorInfo`.
const DOMAIN: &str = "punctual";

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        match error {
            ApiError::Invalid(fields) => invalid(fields, text),
            ApiError::Store(error) => of_store(&error),
            ApiError::NoSuchVersion { .. } => with_reason(Code::NotFound, "VERSION_NOT_FOUND", text),
            ApiError::NoWholeRecord(_) => with_reason(Code::FailedPrecondition, "NO_WHOLE_RECORD", text),
            ApiError::NoSuchRun(_) => with_reason(Code::NotFound, "RUN_NOT_FOUND", text),
            ApiError::NoSuchBackfill(_) => with_reason(Code::NotFound, "BACKFILL_NOT_FOUND", text),
            ApiError::JobKeepsChanging(_) => with_reason(Code::Aborted, "JOB_KEEPS_CHANGING", text),
            ApiError::StaleAttempt { .. } => with_reason(Code::FailedPrecondition, "STALE_ATTEMPT", text),
            ApiError::SessionLost(_) => with_reason(Code::NotFound, "SESSION_LOST", text),
            ApiError::Unauthenticated => with_reason(Code::Unauthenticated, "UNAUTHENTICATED", text),
            ApiError::NoSuchMethod(_) => with_reason(Code::Unimplemented, "NO_SUCH_METHOD", text),
            ApiError::TooManyWatches(_) => with_reason(Code::ResourceExhausted, "TOO_MANY_WATCHES", text),
            ApiError::Stopping => with_reason(Code::Unavailable, "STOPPING", text),
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        of_store(&error)
    }
}

/// Only the error's own text goes out; its sources, which may hold SQL or addresses, are for the log.
fn of_store(error: &StoreError) -> Status {
    let text = error.to_string();
    match error {
        StoreError::JobExists { .. } => with_reason(Code::AlreadyExists, "JOB_EXISTS", text),
        StoreError::NoSuchJob { .. } => with_reason(Code::NotFound, "JOB_NOT_FOUND", text),
        StoreError::UnknownNamespace(_) => with_reason(Code::NotFound, "NAMESPACE_NOT_FOUND", text),
        StoreError::NamespaceExists(_) => with_reason(Code::AlreadyExists, "NAMESPACE_EXISTS", text),
        StoreError::NamespaceNotEmpty { .. } => {
            with_reason(Code::FailedPrecondition, "NAMESPACE_NOT_EMPTY", text)
        }
        StoreError::NoSuchCalendar { .. } => with_reason(Code::NotFound, "CALENDAR_NOT_FOUND", text),
        StoreError::CalendarInUse { .. } => with_reason(Code::FailedPrecondition, "CALENDAR_IN_USE", text),
        StoreError::StaleRevision { name, found, .. } => with_reason(
            Code::Aborted,
            "STALE_ETAG",
            format!(
                "job {name} has changed since you read it (its etag is now {}): read it again, then repeat your change",
                super::etag::Etag(*found)
            ),
        ),
        // A definition comes in the field of this name.
        StoreError::InvalidDefinition(fields) => {
            invalid(fields.iter().cloned().map(|field| field.within("job")).collect(), text)
        }
        StoreError::RequestReused(_) => with_reason(Code::InvalidArgument, "REQUEST_ID_REUSED", text),
        StoreError::RequestOfAnotherRun { .. } => with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", text),
        StoreError::RunIsFinal { .. } => with_reason(Code::FailedPrecondition, "RUN_IS_FINAL", text),
        // Another replica may be of the release that fits.
        StoreError::SchemaVersion { .. } => {
            tracing::error!(%error, "the database's schema does not fit this release");
            with_reason(Code::Unavailable, "SCHEMA_VERSION", text)
        }
        StoreError::Definition { source, .. } => {
            tracing::error!(%error, %source, "a stored definition cannot be read");
            with_reason(Code::Internal, "UNREADABLE_DEFINITION", text)
        }
        StoreError::Database(source) => {
            let transient = error.is_transient();
            let (code, reason) = if transient {
                (Code::Unavailable, "DATABASE_UNAVAILABLE")
            } else {
                (Code::Internal, "DATABASE_ERROR")
            };
            let cause = source.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(error = %source, cause, transient, "a call failed because of the database");
            with_reason(code, reason, text)
        }
    }
}

fn invalid(fields: Vec<FieldError>, text: String) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_FIELDS", DOMAIN, HashMap::new());
    for field in fields {
        details.add_bad_request_violation(field.field, field.message);
    }
    Status::with_error_details(Code::InvalidArgument, text, details)
}

fn with_reason(code: Code, reason: &'static str, text: String) -> Status {
    Status::with_error_details(code, text, ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()))
}

/// The HTTP status that says the same, as `google.rpc.Code` pairs them.
pub(super) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The name of a code as the gRPC documents spell it.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
