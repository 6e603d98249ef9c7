use punctual_scheduler_domain::field::FieldError;
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::name::{JobName, Namespace};
use punctual_scheduler_domain::run::RunState;
use uuid::Uuid;

use super::*;

#[track_caller]
fn check(error: impl Into<ApiError>, code: Code, reason: &str, text: &str) {
    let status = Status::from(error.into());
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has its reason");
    assert_eq!((status.code(), info.reason.as_str(), info.domain.as_str()), (code, reason, "punctual"));
    assert!(status.message().contains(text), "{}", status.message());
}

#[test]
fn every_error_of_the_store_has_its_code_and_reason() {
    let (namespace, name) = (Namespace::default(), JobName::new("tick").unwrap());
    let (run, state) = (RunId(Uuid::nil()), RunState::Succeeded);
    let taken = StoreError::JobExists { namespace: namespace.clone(), name: name.clone() };
    check(taken, Code::AlreadyExists, "JOB_EXISTS", "tick");
    let missing = StoreError::NoSuchJob { namespace: namespace.clone(), name: name.clone() };
    check(missing, Code::NotFound, "JOB_NOT_FOUND", "tick");
    check(StoreError::UnknownNamespace(namespace), Code::NotFound, "NAMESPACE_NOT_FOUND", "default");
    let stale = StoreError::StaleRevision { name, expected: 3, found: 4 };
    check(stale, Code::Aborted, "STALE_ETAG", "r4");
    check(StoreError::RequestReused("x".to_owned()), Code::InvalidArgument, "REQUEST_ID_REUSED", "x");
    let request = "x".to_owned();
    let taken = StoreError::RequestOfAnotherRun { request, run, job: Some(JobName::new("tock").unwrap()) };
    check(taken, Code::AlreadyExists, "REQUEST_ID_REUSED", "job tock");
    check(StoreError::RunIsFinal { run, state }, Code::FailedPrecondition, "RUN_IS_FINAL", "succeeded");
    let schema = StoreError::SchemaVersion { found: 1, needed: 2 };
    check(schema, Code::Unavailable, "SCHEMA_VERSION", "punctual migrate");
    let source = serde_json::from_str::<u8>("secret").unwrap_err();
    let what = "job tick version 2".to_owned();
    check(StoreError::Definition { what, source }, Code::Internal, "UNREADABLE_DEFINITION", "version 2");
}

#[test]
fn what_the_database_said_stays_in_the_log() {
    let transient = StoreError::Database(sqlx::Error::PoolTimedOut);
    check(transient, Code::Unavailable, "DATABASE_UNAVAILABLE", "the database could not be asked");
    let said = sqlx::Error::Protocol("select secret from punctual.job".to_owned());
    let status = Status::from(StoreError::Database(said));
    assert!(!status.message().contains("secret") && !format!("{:?}", status.details()).contains("secret"));
}

#[test]
fn every_refusal_of_the_api_has_its_code_and_reason() {
    let (run, session) = (RunId(Uuid::nil()), SessionId(Uuid::nil()));
    check(ApiError::NoSuchRun(run), Code::NotFound, "RUN_NOT_FOUND", "run");
    let stale = ApiError::StaleAttempt { run, attempt: AttemptNumber::FIRST };
    check(stale, Code::FailedPrecondition, "STALE_ATTEMPT", "attempt 1");
    check(ApiError::SessionLost(session), Code::NotFound, "SESSION_LOST", "register anew");
    check(ApiError::Unauthenticated, Code::Unauthenticated, "UNAUTHENTICATED", "Bearer");
    check(ApiError::NoSuchMethod("/x".to_owned()), Code::Unimplemented, "NO_SUCH_METHOD", "/x");
    check(ApiError::TooManyWatches(100), Code::ResourceExhausted, "TOO_MANY_WATCHES", "100");
    check(ApiError::Stopping, Code::Unavailable, "STOPPING", "another");
}

#[test]
fn wrong_fields_are_listed_one_by_one() {
    let fields = vec![FieldError::new("job.name", "is empty"), FieldError::new("job.kind", "is missing")];
    let status = Status::from(ApiError::Invalid(fields));
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "job.name: is empty; job.kind: is missing");
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations[1].field, "job.kind");
    assert_eq!(violations[1].description, "is missing");
}
