//! How long the history of runs is kept.

use serde::{Deserialize, Serialize};

use crate::run::RunState;
use crate::word::words;

/// A length of time for which history is kept; each scheduler is told the days of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionClass {
    /// Days.
    Short,
    /// A month or so.
    #[default]
    Default,
    /// A year or so.
    Long,
}

words!(RetentionClass, "retention class", Short => "short", Default => "default", Long => "long");

/// The classes of a job's or a namespace's runs, by how they end. What is not said is as in the namespace, and there
/// [`RetentionClass::Default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// Of runs that succeeded or were skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<RetentionClass>,
    /// Of all others, and of attempts that were followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RetentionClass>,
}

impl Retention {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a run that ended so is kept as a success.
    pub fn is_success(state: RunState) -> bool {
        matches!(state, RunState::Succeeded | RunState::Skipped)
    }
}
