//! Runs and their attempts.

use punctual_proto::v1;
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::job::{CatchUp, JobSpec, Misfire, Overlap};
use punctual_scheduler_domain::name::JobName;
use punctual_scheduler_domain::retention::Retention;
use punctual_scheduler_domain::run::{RunOrigin, RunState};

use super::fields::Fields;
use super::job::{namespace_in, task_queue_in};
use super::policy::{read_concurrency, read_priority, read_retry, read_timeouts};
use super::task::{Given, read_task};
use super::time::{instant, timestamp_to_proto};
use crate::api::error::ApiError;
use crate::api::page;
use crate::store::{Attempt, NewRun, OneOffRun, RequestId, Run, RunFilter, RunSelection};

/// The most characters of a reason that people give.
pub(in crate::api) const MAX_REASON: usize = 1_000;

pub(in crate::api) fn read_run_id(field: &str, id: &str) -> Result<RunId, ApiError> {
    id.parse().map_err(|_| ApiError::field(field, "is not a run's id, which is a UUID"))
}

/// A one-off run with a new id; on which node it may be queued at once is the caller's to say.
pub(in crate::api) fn read_new_run(
    id: RunId,
    request: &v1::CreateRunRequest,
    request_id: Option<RequestId>,
) -> Result<NewRun, ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", &request.namespace);
    let task_queue = task_queue_in(&mut fields, "task_queue", &request.task_queue);
    let given = request.task.as_ref().map(|task| match task {
        v1::create_run_request::Task::Exec(exec) => Given::Exec(exec),
        v1::create_run_request::Task::Kind(kind) => Given::Kind(kind),
    });
    let task = read_task(&mut fields, "", given, &request.payload);
    let run_at = fields.take("run_at", request.run_at.as_ref().map(instant).transpose()).flatten();
    let priority = read_priority(&mut fields, "priority", request.priority);
    let concurrency = read_concurrency(&mut fields, "concurrency", request.concurrency.as_ref());
    let retry = read_retry(&mut fields, "retry", request.retry.as_ref());
    let timeouts = read_timeouts(&mut fields, "timeouts", request.timeouts.as_ref());
    let (Some(namespace), Some(task_queue), Some(task), true) =
        (namespace, task_queue, task, fields.is_clean())
    else {
        return fields.finish(None);
    };
    // The bounds are those of a job that is only triggered.
    let spec = JobSpec {
        schedule: Vec::new(),
        task,
        task_queue,
        labels: Default::default(),
        overlap: Overlap::Allow,
        max_running: 1,
        concurrency,
        priority,
        misfire: Misfire::default(),
        catchup: CatchUp::default(),
        retry,
        timeouts,
        retention: Retention::default(),
        description: String::new(),
    };
    if let Err(found) = spec.validate() {
        fields.extend("", found);
    }
    let JobSpec { task, task_queue, priority, concurrency, retry, timeouts, .. } = spec;
    let request = request_id;
    fields.finish(Some(NewRun::OneOff(Box::new(OneOffRun {
        id,
        namespace,
        task_queue,
        task,
        run_at,
        priority,
        concurrency,
        retry,
        timeouts,
        request,
        node: None,
    }))))
}

/// Which runs to list or to watch. Empty means any.
pub(in crate::api) fn read_run_filter(namespace: &str, job: &str, id: &str) -> Result<RunFilter, ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", namespace);
    let job = if job.is_empty() { None } else { fields.take("job", JobName::new(job)) };
    let run = if id.is_empty() { None } else { Some(read_run_id("id", id)?) };
    fields.finish(namespace.map(|namespace| RunFilter { namespace, job, run }))
}

/// A page of runs, with one more than it has so that the end is seen.
pub(in crate::api) fn read_selection(request: &v1::ListRunsRequest) -> Result<(RunSelection, u32), ApiError> {
    let filter = read_run_filter(&request.namespace, &request.job, "")?;
    let size = page::size(request.page_size)?;
    let before = page::read_token(&request.page_token)?;
    let mut fields = Fields::new();
    let given = request.states.iter().enumerate();
    let states = given
        .filter_map(|(index, state)| read_state(&mut fields, &format!("states[{index}]"), *state))
        .collect();
    fields.finish(Some((RunSelection { filter, states, before, limit: size + 1 }, size)))
}

fn read_state(fields: &mut Fields, at: &str, state: i32) -> Option<RunState> {
    Some(match fields.choice(at, state)? {
        v1::RunState::Unspecified => {
            fields.refuse(at, "names no state");
            return None;
        }
        v1::RunState::Scheduled => RunState::Scheduled,
        v1::RunState::Blocked => RunState::Blocked,
        v1::RunState::Queued => RunState::Queued,
        v1::RunState::Running => RunState::Running,
        v1::RunState::Succeeded => RunState::Succeeded,
        v1::RunState::Failed => RunState::Failed,
        v1::RunState::Cancelled => RunState::Cancelled,
        v1::RunState::Expired => RunState::Expired,
        v1::RunState::Skipped => RunState::Skipped,
    })
}

pub(in crate::api) fn run_to_proto(run: Run, attempts: Vec<Attempt>) -> v1::Run {
    v1::Run {
        id: run.id.to_string(),
        namespace: run.namespace.to_string(),
        job: run.job,
        job_version: run.job_version,
        origin: origin_to_proto(run.origin).into(),
        state: state_to_proto(run.state).into(),
        reason: run.reason,
        due_at: Some(timestamp_to_proto(run.due_at)),
        run_at: Some(timestamp_to_proto(run.run_at)),
        task_queue: run.task_queue.to_string(),
        kind: run.kind.to_string(),
        attempts: run.attempts,
        tries_used: run.tries_used,
        created_at: Some(timestamp_to_proto(run.created_at)),
        started_at: run.started_at.map(timestamp_to_proto),
        ended_at: run.ended_at.map(timestamp_to_proto),
        error: run.error,
        result: run.result,
        progress: run.progress,
        progress_note: run.progress_note,
        cancel_requested: run.cancel_requested,
        attempt_history: attempts.into_iter().map(attempt_to_proto).collect(),
        backfill: text(run.links.backfill),
        upstream_run: text(run.links.upstream_run),
        retry_of: text(run.links.retry_of),
        priority: run.priority.into(),
        concurrency_key: run.concurrency_key,
    }
}

/// Empty for none.
fn text(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn origin_to_proto(origin: RunOrigin) -> v1::RunOrigin {
    match origin {
        RunOrigin::Schedule => v1::RunOrigin::Schedule,
        RunOrigin::Trigger => v1::RunOrigin::Trigger,
        RunOrigin::OneOff => v1::RunOrigin::OneOff,
        RunOrigin::Backfill => v1::RunOrigin::Backfill,
        RunOrigin::After => v1::RunOrigin::After,
        RunOrigin::Rerun => v1::RunOrigin::Rerun,
    }
}

pub(super) fn state_to_proto(state: RunState) -> v1::RunState {
    match state {
        RunState::Scheduled => v1::RunState::Scheduled,
        RunState::Blocked => v1::RunState::Blocked,
        RunState::Queued => v1::RunState::Queued,
        RunState::Running => v1::RunState::Running,
        RunState::Succeeded => v1::RunState::Succeeded,
        RunState::Failed => v1::RunState::Failed,
        RunState::Cancelled => v1::RunState::Cancelled,
        RunState::Expired => v1::RunState::Expired,
        RunState::Skipped => v1::RunState::Skipped,
    }
}

fn attempt_to_proto(attempt: Attempt) -> v1::Attempt {
    let outcome = match attempt.outcome {
        None => v1::AttemptOutcome::Unspecified,
        Some(AttemptOutcome::Succeeded) => v1::AttemptOutcome::Succeeded,
        Some(AttemptOutcome::Failed) => v1::AttemptOutcome::Failed,
        Some(AttemptOutcome::TimedOut) => v1::AttemptOutcome::TimedOut,
        Some(AttemptOutcome::Lost) => v1::AttemptOutcome::Lost,
        Some(AttemptOutcome::Cancelled) => v1::AttemptOutcome::Cancelled,
        Some(AttemptOutcome::Released) => v1::AttemptOutcome::Released,
    };
    v1::Attempt {
        number: attempt.number.get(),
        outcome: outcome.into(),
        worker: attempt.worker,
        session: attempt.session.to_string(),
        started_at: Some(timestamp_to_proto(attempt.started_at)),
        ended_at: attempt.ended_at.map(timestamp_to_proto),
        error: attempt.error,
        error_kind: attempt.error_kind,
        output_tail: attempt.output_tail,
    }
}
