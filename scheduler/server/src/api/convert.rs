//! Between the generated types and our own. Generated types stop here: what comes in is checked, and has its defaults
//! filled in; what goes out is complete.

mod audit;
mod backfill;
mod calendar;
mod explain;
mod fields;
mod job;
mod pause;
mod policy;
mod run;
mod schedule;
mod task;
mod task_queue;
mod time;
mod worker;

pub(super) use audit::{event_to_proto, read_instant, read_window, reconciled_to_proto, version_to_proto};
pub(super) use backfill::{backfill_to_proto, read_backfill, read_backfill_id, read_backfills};
pub(super) use calendar::{
    calendar_to_proto, namespace_to_proto, read_calendar, read_calendar_key, read_namespace_name,
    read_new_namespace,
};
pub(super) use explain::{Explained, ExplainedRun, explained_to_proto};
pub(super) use fields::Fields;
pub(super) use job::{
    JobDefinition, JobKey, job_to_proto, read_etag, read_job, read_job_key, read_namespace, read_request_id,
};
pub(super) use pause::read_pause;
pub(super) use policy::read_trigger_options;
pub(super) use run::{MAX_REASON, read_new_run, read_run_filter, read_run_id, read_selection, run_to_proto};
pub(super) use schedule::{Preview, occurrence_to_proto, read_preview};
pub(super) use task_queue::{read_task_queue, task_queue_to_proto};
pub(super) use time::{duration_to_proto, timestamp_to_proto};
pub(super) use worker::{
    answer_to_proto, check_batch, read_beat, read_registration, read_release, read_report, read_session,
    read_start, read_starts, refs_to_proto,
};

#[cfg(test)]
mod tests;
