//! Jobs.

use punctual_proto::v1;
use punctual_scheduler_domain::job::{Job, JobSpec, JobState, Task};
use punctual_scheduler_domain::name::{JobName as Name, Namespace, TaskQueue};

use super::fields::{Fields, join};
use super::policy::{
    at_least_one, concurrency_to_proto, misfire_to_proto, overlap_to_proto, read_catchup, read_concurrency,
    read_misfire, read_overlap, read_priority, read_retention, read_retry, read_timeouts, retention_to_proto,
    retry_to_proto, timeouts_to_proto,
};
use super::schedule::{read_schedules, schedule_to_proto};
use super::task::{Given, exec_to_proto, read_task};
use super::time::{duration_to_proto, timestamp_to_proto};
use crate::api::error::ApiError;
use crate::api::etag::Etag;
use crate::store::{RequestId, Revision};

/// The most characters of a request id.
const MAX_REQUEST_ID: usize = 128;

/// Which job.
#[derive(Debug, Clone)]
pub(in crate::api) struct JobKey {
    pub(in crate::api) namespace: Namespace,
    pub(in crate::api) name: Name,
}

/// A job as somebody defines it.
#[derive(Debug, Clone)]
pub(in crate::api) struct JobDefinition {
    pub(in crate::api) key: JobKey,
    pub(in crate::api) spec: JobSpec,
    /// What the caller saw.
    pub(in crate::api) revision: Option<Revision>,
}

/// The job a request names by `namespace` and `name`.
pub(in crate::api) fn read_job_key(namespace: &str, name: &str) -> Result<JobKey, ApiError> {
    let mut fields = Fields::new();
    let key = key(&mut fields, "", namespace, name);
    fields.finish(key)
}

fn key(fields: &mut Fields, at: &str, namespace: &str, name: &str) -> Option<JobKey> {
    let namespace = namespace_in(fields, &join(at, "namespace"), namespace);
    let name = fields.take(join(at, "name"), Name::new(name));
    Some(JobKey { namespace: namespace?, name: name? })
}

/// Empty means `default`.
pub(super) fn namespace_in(fields: &mut Fields, at: &str, namespace: &str) -> Option<Namespace> {
    if namespace.is_empty() { Some(Namespace::default()) } else { fields.take(at, Namespace::new(namespace)) }
}

/// Empty means `default`.
pub(super) fn task_queue_in(fields: &mut Fields, at: &str, task_queue: &str) -> Option<TaskQueue> {
    if task_queue.is_empty() {
        Some(TaskQueue::default())
    } else {
        fields.take(at, TaskQueue::new(task_queue))
    }
}

/// Empty means none.
pub(in crate::api) fn read_request_id(request_id: String) -> Result<Option<RequestId>, ApiError> {
    let mut fields = Fields::new();
    let request_id = fields.text("request_id", request_id, MAX_REQUEST_ID);
    fields.finish(Some((!request_id.is_empty()).then_some(RequestId(request_id))))
}

/// Empty means none.
pub(in crate::api) fn read_etag(etag: &str) -> Result<Option<Revision>, ApiError> {
    let mut fields = Fields::new();
    let revision = etag_in(&mut fields, "etag", etag);
    fields.finish(Some(revision))
}

fn etag_in(fields: &mut Fields, field: &str, etag: &str) -> Option<Revision> {
    if etag.is_empty() { None } else { fields.take(field, etag.parse::<Etag>()).map(|etag| etag.0) }
}

/// The namespace in the field of that name. Empty means `default`.
pub(in crate::api) fn read_namespace(namespace: &str) -> Result<Namespace, ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", namespace);
    fields.finish(namespace)
}

/// The definition in the field `job`, checked as a whole.
pub(in crate::api) fn read_job(job: Option<v1::Job>) -> Result<JobDefinition, ApiError> {
    let Some(job) = job else { return Err(ApiError::field("job", "is missing")) };
    let mut fields = Fields::new();
    let key = key(&mut fields, "job", &job.namespace, &job.name);
    let revision = etag_in(&mut fields, "job.etag", &job.etag);
    let spec = read_spec(&mut fields, "job", &job);
    // What is already known to be wrong is not said twice.
    if let Some(spec) = &spec
        && fields.is_clean()
        && let Err(found) = spec.validate()
    {
        fields.extend("job", found);
    }
    let definition = key.zip(spec).map(|(key, spec)| JobDefinition { key, spec, revision });
    fields.finish(definition)
}

fn read_spec(fields: &mut Fields, at: &str, job: &v1::Job) -> Option<JobSpec> {
    let schedule = read_schedules(fields, &join(at, "schedule"), &job.schedule);
    let given = job.task.as_ref().map(|task| match task {
        v1::job::Task::Exec(exec) => Given::Exec(exec),
        v1::job::Task::Kind(kind) => Given::Kind(kind),
    });
    let task = read_task(fields, at, given, &job.payload);
    let task_queue = task_queue_in(fields, &join(at, "task_queue"), &job.task_queue);
    let overlap = read_overlap(fields, &join(at, "overlap"), job.overlap);
    let concurrency = read_concurrency(fields, &join(at, "concurrency"), job.concurrency.as_ref());
    let priority = read_priority(fields, &join(at, "priority"), job.priority);
    let misfire = read_misfire(fields, &join(at, "misfire"), job.misfire);
    let catchup = read_catchup(fields, at, job);
    let retention = read_retention(fields, &join(at, "retention"), job.retention.as_ref());
    let retry = read_retry(fields, &join(at, "retry"), job.retry.as_ref());
    let timeouts = read_timeouts(fields, &join(at, "timeouts"), job.timeouts.as_ref());
    let description = fields.text(join(at, "description"), job.description.clone(), 1_000);
    Some(JobSpec {
        schedule,
        task: task?,
        task_queue: task_queue?,
        labels: job.labels.clone(),
        overlap: overlap?,
        max_running: at_least_one(job.max_running),
        concurrency,
        priority,
        misfire: misfire?,
        catchup,
        retry,
        timeouts,
        retention: retention?,
        description,
    })
}

pub(in crate::api) fn job_to_proto(job: &Job) -> v1::Job {
    let spec = &job.spec;
    let (task, payload) = match &spec.task {
        Task::Exec(exec) => (v1::job::Task::Exec(exec_to_proto(exec)), String::new()),
        Task::Handler { kind, payload } => (v1::job::Task::Kind(kind.to_string()), payload.clone()),
    };
    v1::Job {
        name: job.name.to_string(),
        namespace: job.namespace.to_string(),
        schedule: spec.schedule.iter().map(schedule_to_proto).collect(),
        task: Some(task),
        payload,
        task_queue: spec.task_queue.to_string(),
        labels: spec.labels.clone(),
        overlap: overlap_to_proto(spec.overlap).into(),
        misfire: misfire_to_proto(spec.misfire).into(),
        misfire_after: Some(duration_to_proto(spec.catchup.after)),
        catchup_window: Some(duration_to_proto(spec.catchup.window)),
        catchup_limit: spec.catchup.limit,
        retention: retention_to_proto(spec.retention),
        retry: Some(retry_to_proto(&spec.retry)),
        timeouts: Some(timeouts_to_proto(&spec.timeouts)),
        description: spec.description.clone(),
        version: job.version,
        etag: Etag(job.revision).to_string(),
        state: state_to_proto(job.state).into(),
        state_reason: job.state_reason.clone(),
        created_at: Some(timestamp_to_proto(job.created_at)),
        updated_at: Some(timestamp_to_proto(job.updated_at)),
        next_due_at: job.next_due_at.map(timestamp_to_proto),
        priority: Some(spec.priority.into()),
        max_running: spec.max_running,
        concurrency: spec.concurrency.as_ref().map(concurrency_to_proto),
        paused_by: job.pause.as_ref().map(|pause| pause.by.clone()).unwrap_or_default(),
        paused_at: job.pause.as_ref().map(|pause| timestamp_to_proto(pause.at)),
        paused_until: job.pause.as_ref().and_then(|pause| pause.until).map(timestamp_to_proto),
    }
}

pub(super) fn state_to_proto(state: JobState) -> v1::JobState {
    match state {
        JobState::Active => v1::JobState::Active,
        JobState::Paused => v1::JobState::Paused,
        JobState::Exhausted => v1::JobState::Exhausted,
        JobState::Errored => v1::JobState::Errored,
        JobState::Deleted => v1::JobState::Deleted,
    }
}
