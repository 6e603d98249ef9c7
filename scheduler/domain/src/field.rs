//! What is wrong with one field of a definition.

use std::fmt;

/// One field that cannot be used. A definition is checked as a whole, so that people see all their mistakes at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// Its path as in a job file: `schedule[0].cron`.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl FieldError {
    /// What is wrong with `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same with the path of the part that the field belongs to put in front.
    #[must_use]
    pub fn within(self, part: &str) -> Self {
        Self { field: format!("{part}.{}", self.field), message: self.message }
    }
}
