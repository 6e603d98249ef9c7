//! The bounds of a definition that its types leave open.

use std::collections::BTreeMap;

use super::{ExecTask, JobSpec, Task};
use crate::field::FieldError;
use crate::schedule::{Schedule, When};

/// The most bytes a payload may have: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

const MOST_SCHEDULES: usize = 100;
const MOST_LABELS: usize = 64;
const MOST_LABEL_KEY: usize = 63;
const MOST_LABEL_VALUE: usize = 256;
const MOST_DESCRIPTION: usize = 1_000;

impl JobSpec {
    /// Checks everything, and compiles every schedule to do so.
    ///
    /// # Errors
    /// Every field that cannot be used, with its path as in a job file.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.schedule.len() > MOST_SCHEDULES {
            let message = format!("{} schedules, the most is {MOST_SCHEDULES}", self.schedule.len());
            errors.push(FieldError::new("schedule", message));
        }
        for (index, spec) in self.schedule.iter().take(MOST_SCHEDULES).enumerate() {
            if let Err(error) = Schedule::compile(spec) {
                let field = format!("schedule[{index}].{}", error.field());
                errors.push(FieldError::new(field, error.to_string()));
            }
        }
        if let Some(index) = self.schedule.iter().position(|spec| matches!(spec.when, When::Delay(_)))
            && self.schedule.len() > 1
        {
            let message = "stands alone: other schedules beside it would have no end to wait for";
            errors.push(FieldError::new(format!("schedule[{index}].delay"), message));
        }
        errors.extend(self.catchup.validate().err().unwrap_or_default());
        errors.extend(self.task.validate().err().unwrap_or_default());
        check_labels(&self.labels, &mut errors);
        if !(1..=Self::MOST_RUNNING).contains(&self.max_running) {
            let message = format!("is {}, expected 1 to {}", self.max_running, Self::MOST_RUNNING);
            errors.push(FieldError::new("max_running", message));
        }
        let limit = self.concurrency.as_ref().and_then(|concurrency| concurrency.validate().err());
        errors.extend(limit.map(|error| error.within("concurrency")));
        let within = |part: &'static str| move |error: FieldError| error.within(part);
        errors.extend(self.retry.validate().err().unwrap_or_default().into_iter().map(within("retry")));
        errors.extend(self.timeouts.validate().err().unwrap_or_default().into_iter().map(within("timeouts")));
        let length = self.description.chars().count();
        if length > MOST_DESCRIPTION {
            let message = format!("{length} characters, the most is {MOST_DESCRIPTION}");
            errors.push(FieldError::new("description", message));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Task {
    /// Checks what a run executes; for one-off runs too.
    ///
    /// # Errors
    /// Every field that cannot be used.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        match self {
            Self::Exec(exec) => exec.check(&mut errors),
            Self::Handler { kind, payload } => {
                if kind.is_reserved() {
                    let message = "is the runner's own kind: give `exec` with an `argv` instead";
                    errors.push(FieldError::new("kind", message));
                }
                errors.extend(validate_payload(payload).err());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Checks a payload: JSON text of at most [`MAX_PAYLOAD_BYTES`]. It may be empty.
///
/// # Errors
/// When it is neither.
pub fn validate_payload(payload: &str) -> Result<(), FieldError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        let message = format!("{} bytes, the most is {MAX_PAYLOAD_BYTES}", payload.len());
        return Err(FieldError::new("payload", message));
    }
    if payload.is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(payload)
        .map(|_| ())
        .map_err(|error| FieldError::new("payload", format!("is not JSON: {error}")))
}

impl ExecTask {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if self.argv.first().is_none_or(String::is_empty) {
            errors.push(FieldError::new("exec.argv", "names no program: its first entry must"));
        }
        for (index, argument) in self.argv.iter().enumerate() {
            check_nul(argument, || format!("exec.argv[{index}]"), errors);
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message =
                    format!("{name:?} is no name of a variable: it must not be empty or have `=` or NUL");
                errors.push(FieldError::new("exec.env", message));
            }
            check_nul(value, || format!("exec.env.{name}"), errors);
        }
        check_nul(&self.working_dir, || "exec.working_dir".to_owned(), errors);
        let bytes = serde_json::to_string(self).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_PAYLOAD_BYTES {
            let message = format!("{bytes} bytes as JSON, the most is {MAX_PAYLOAD_BYTES}");
            errors.push(FieldError::new("exec", message));
        }
    }
}

fn check_nul(text: &str, field: impl FnOnce() -> String, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError::new(field(), "has a NUL character, which no program can be given"));
    }
}

fn check_labels(labels: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    if labels.len() > MOST_LABELS {
        errors.push(FieldError::new("labels", format!("{} labels, the most is {MOST_LABELS}", labels.len())));
    }
    for (key, value) in labels {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if key_length == 0 || key_length > MOST_LABEL_KEY {
            let message = format!("key {key:?} has {key_length} characters, expected 1 to {MOST_LABEL_KEY}");
            errors.push(FieldError::new("labels", message));
        }
        if value_length > MOST_LABEL_VALUE {
            let message = format!("{value_length} characters, the most is {MOST_LABEL_VALUE}");
            errors.push(FieldError::new(format!("labels.{key}"), message));
        }
        // Postgres keeps no NUL in text or JSON.
        check_nul(key, || "labels".to_owned(), errors);
        check_nul(value, || format!("labels.{key}"), errors);
    }
}

#[cfg(test)]
mod tests;
