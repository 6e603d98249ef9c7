use punctual_proto::json::to_value;
use punctual_proto::v1::Job;
use serde_json::{Value, json};

use crate::output::yaml;

/// The job without what the server keeps about it, as someone would write it down.
pub(super) fn definition(job: Job) -> Value {
    to_value(&Job {
        version: 0,
        etag: String::new(),
        state: 0,
        state_reason: String::new(),
        created_at: None,
        updated_at: None,
        next_due_at: None,
        paused_by: String::new(),
        paused_at: None,
        paused_until: None,
        ..job
    })
}

/// A file that `job apply` takes.
pub(super) fn job_file(definitions: &[Value]) -> String {
    yaml(&json!({ "jobs": definitions }))
}
