//! The HTTP/1.1 side of the port: `/v1` as JSON, through the same services that gRPC reaches.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost::{Message, Name};
use punctual_proto::json;
use punctual_proto::v1::{self, job_service_server::JobService, run_service_server::RunService};
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::error::ApiError;
use super::jobs::Jobs;
use super::runs::Runs;
use super::status::{code_name, http_status};

/// Whether the caller speaks gRPC, and so wants errors in its way.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

#[derive(Clone)]
struct Services {
    jobs: Jobs,
    runs: Runs,
}

/// `/v1/…`: what scripts without a gRPC client need.
pub(super) fn router(jobs: Jobs, runs: Runs) -> Router {
    Router::new()
        .route("/v1/jobs", get(list_jobs).post(apply_job))
        // `tick:trigger` is one segment, whose verb follows the last colon.
        .route("/v1/jobs/{name}", get(get_job).post(act_on_job))
        .route("/v1/runs", get(list_runs).post(create_run))
        .route("/v1/runs/{id}", get(get_run).post(act_on_run))
        .with_state(Services { jobs, runs })
}

/// What a listing may be asked with, in the URL.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    namespace: String,
    job: String,
    page_size: u32,
    page_token: String,
    /// Comma-separated, such as `queued,running`.
    states: String,
}

/// Which namespace, in the URL.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Where {
    namespace: String,
}

/// An answer as JSON, or what went wrong.
type Answer = Result<Json<Value>, Refusal>;

async fn list_jobs(State(services): State<Services>, Query(asked): Query<Asked>) -> Answer {
    let Asked { namespace, page_size, page_token, .. } = asked;
    let request = v1::ListJobsRequest { namespace, page_size, page_token };
    answer(services.jobs.list_jobs(Request::new(request)).await)
}

async fn apply_job(State(services): State<Services>, Query(place): Query<Where>, body: Bytes) -> Answer {
    let mut job: v1::Job = read(&body)?;
    if job.namespace.is_empty() {
        job.namespace = place.namespace;
    }
    let request = v1::ApplyJobRequest { job: Some(job), request_id: String::new() };
    answer(services.jobs.apply_job(Request::new(request)).await)
}

async fn get_job(
    State(services): State<Services>,
    Path(name): Path<String>,
    Query(Where { namespace }): Query<Where>,
) -> Answer {
    answer(services.jobs.get_job(Request::new(v1::GetJobRequest { namespace, name })).await)
}

async fn act_on_job(
    State(services): State<Services>,
    Path(target): Path<String>,
    Query(Where { namespace }): Query<Where>,
    body: Bytes,
) -> Answer {
    let name = with_verb(&target, "trigger")?;
    let mut request: v1::TriggerJobRequest = read_or_default(&body)?;
    (request.namespace, request.name) = (namespace, name);
    answer(services.jobs.trigger_job(Request::new(request)).await)
}

async fn list_runs(State(services): State<Services>, Query(asked): Query<Asked>) -> Answer {
    let Asked { namespace, job, page_size, page_token, states } = asked;
    let states: Vec<_> = states.split(',').filter(|state| !state.is_empty()).collect();
    // Through the JSON form, which knows the short names of the states.
    let mut request: v1::ListRunsRequest = read_value(json!({ "states": states }))?;
    (request.namespace, request.job) = (namespace, job);
    (request.page_size, request.page_token) = (page_size, page_token);
    answer(services.runs.list_runs(Request::new(request)).await)
}

async fn create_run(State(services): State<Services>, Query(place): Query<Where>, body: Bytes) -> Answer {
    let mut request: v1::CreateRunRequest = read(&body)?;
    if request.namespace.is_empty() {
        request.namespace = place.namespace;
    }
    answer(services.runs.create_run(Request::new(request)).await)
}

async fn get_run(State(services): State<Services>, Path(id): Path<String>) -> Answer {
    answer(services.runs.get_run(Request::new(v1::GetRunRequest { id })).await)
}

async fn act_on_run(State(services): State<Services>, Path(target): Path<String>, body: Bytes) -> Answer {
    let id = with_verb(&target, "cancel")?;
    let request = v1::CancelRunRequest { id, ..read_or_default(&body)? };
    answer(services.runs.cancel_run(Request::new(request)).await)
}

/// What is asked for at a path that nothing answers at.
pub(super) async fn unknown(request: axum::extract::Request) -> Response {
    let status = Status::from(ApiError::NoSuchMethod(request.uri().path().to_owned()));
    if is_grpc(request.headers()) {
        return status.into_http();
    }
    let mut response = to_response(&status);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The name before `:verb`.
fn with_verb(target: &str, verb: &'static str) -> Result<String, Refusal> {
    match target.rsplit_once(':') {
        Some((name, given)) if given == verb => Ok(name.to_owned()),
        Some(_) | None => {
            Err(ApiError::field("path", format!("POST {target:?}: expected NAME:{verb}")).into())
        }
    }
}

fn read<M: Message + Name + Default>(body: &[u8]) -> Result<M, Refusal> {
    let value = serde_json::from_slice(body)
        .map_err(|error| ApiError::field("body", format!("is not JSON: {error}")))?;
    read_value(value)
}

fn read_or_default<M: Message + Name + Default>(body: &[u8]) -> Result<M, Refusal> {
    if body.is_empty() { Ok(M::default()) } else { read(body) }
}

fn read_value<M: Message + Name + Default>(value: Value) -> Result<M, Refusal> {
    json::from_value(value).map_err(|error| ApiError::field("body", error.to_string()).into())
}

fn answer<M: Message + Name + Default>(answered: Result<tonic::Response<M>, Status>) -> Answer {
    answered.map(|response| Json(json::to_value(response.get_ref()))).map_err(Refusal)
}

/// A status on its way to an HTTP client.
struct Refusal(Status);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        to_response(&self.0)
    }
}

/// `{"error": {"code", "reason", "message", "fields": [{"field", "message"}]}}`.
pub(super) fn to_response(status: &Status) -> Response {
    let details = status.get_error_details();
    let fields: Vec<_> = details
        .bad_request()
        .map(|bad| &bad.field_violations[..])
        .unwrap_or_default()
        .iter()
        .map(|wrong| json!({ "field": wrong.field, "message": wrong.description }))
        .collect();
    let mut error = json!({ "code": code_name(status.code()), "message": status.message() });
    if let Some(info) = details.error_info() {
        error["reason"] = json!(info.reason);
    }
    if !fields.is_empty() {
        error["fields"] = json!(fields);
    }
    let code = http_status(status.code());
    let mut response = (code, Json(json!({ "error": error }))).into_response();
    if code == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
