//! Jobs as tables.

use comfy_table::Cell;
use punctual_proto::v1::{Job, JobState};
use serde_json::Value;

use super::summary;
use crate::output::{Style, details, instant, table};

/// The most characters of a program's arguments in a list.
const TASK_CHARS: usize = 48;

/// A line for each job.
pub(super) fn list(jobs: &[Job], style: Style) -> String {
    if jobs.is_empty() {
        return "No jobs yet. Define some with: punctual job apply -f jobs.yaml".to_owned();
    }
    let rows = jobs.iter().map(|job| {
        vec![
            Cell::new(&job.name),
            style.state(&state(job)),
            Cell::new(summary::schedules(job)),
            Cell::new(instant(job.next_due_at.as_ref())),
            Cell::new(shortened(summary::task(job))),
        ]
    });
    table(style, &["NAME", "STATE", "SCHEDULE", "NEXT DUE", "TASK"], rows)
}

/// Everything about one job.
pub(super) fn one(job: &Job, style: Style) -> String {
    let value = punctual_proto::json::to_value(job);
    let mut rows = vec![
        ("Name", Cell::new(&job.name)),
        ("Namespace", Cell::new(&job.namespace)),
        ("State", style.state(&state(job))),
        ("Reason", Cell::new(&job.state_reason)),
        ("Paused by", Cell::new(&job.paused_by)),
        ("Paused at", Cell::new(instant(job.paused_at.as_ref()))),
        ("Paused until", Cell::new(instant(job.paused_until.as_ref()))),
        ("Description", Cell::new(&job.description)),
        ("Schedule", Cell::new(summary::schedules(job))),
        ("Next due", Cell::new(instant(job.next_due_at.as_ref()))),
        ("Task", Cell::new(summary::task(job))),
        ("Task queue", Cell::new(&job.task_queue)),
    ];
    for (name, field) in [
        ("Payload", "payload"),
        ("Labels", "labels"),
        ("Priority", "priority"),
        ("Overlap", "overlap"),
        ("Max running", "max_running"),
        ("Concurrency", "concurrency"),
        ("Misfire", "misfire"),
        ("Misfire after", "misfire_after"),
        ("Catch-up window", "catchup_window"),
        ("Catch-up limit", "catchup_limit"),
        ("Retention", "retention"),
        ("Retry", "retry"),
        ("Time-outs", "timeouts"),
    ] {
        rows.push((name, Cell::new(value.get(field).map(inline).unwrap_or_default())));
    }
    rows.extend([
        ("Version", Cell::new(job.version)),
        ("Created", Cell::new(instant(job.created_at.as_ref()))),
        ("Updated", Cell::new(instant(job.updated_at.as_ref()))),
    ]);
    rows.retain(|(_, cell)| !cell.content().is_empty());
    details(style, rows)
}

/// The job's state as people write it.
fn state(job: &Job) -> String {
    match JobState::try_from(job.state) {
        Ok(state) => state.as_str_name().trim_start_matches("JOB_STATE_").to_lowercase(),
        Err(_) => job.state.to_string(),
    }
}

/// A value in one line: `max_tries 3, exponential (initial 1s)`.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| match value {
                Value::Object(_) => format!("{name} ({})", inline(value)),
                value => format!("{name} {}", inline(value)),
            });
            each.collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(TASK_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
