//! What the database holds of a run at the end.

use serde::{Deserialize, Serialize};

use crate::time::DbTime;

/// One run, as exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// The job's name; empty for a one-off run.
    #[serde(default)]
    pub job: String,
    /// What made it.
    pub origin: Origin,
    /// Its nominal instant.
    pub due_at: DbTime,
    /// Part of the key where a due time becomes several runs.
    #[serde(default)]
    pub shard: u32,
    /// Where it stands.
    pub state: State,
    /// Why it was skipped, expired or cancelled.
    #[serde(default)]
    pub reason: String,
    /// The version of the definition it was made under.
    #[serde(default)]
    pub ver: Option<u32>,
    /// When its row was made.
    pub created_at: DbTime,
    /// When its first attempt was granted.
    #[serde(default)]
    pub started_at: Option<DbTime>,
    /// When it became final.
    #[serde(default)]
    pub ended_at: Option<DbTime>,
    /// Attempts granted.
    #[serde(default)]
    pub attempts: u32,
    /// Attempts that used up a try.
    #[serde(default)]
    pub tries_used: u32,
    /// Its last error was not to be retried.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
}

/// What made a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the system's own guarantees")]
pub enum Origin {
    Schedule,
    Trigger,
    OneOff,
    Backfill,
    After,
    Rerun,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the system's own guarantees")]
pub enum State {
    Scheduled,
    Blocked,
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
    Skipped,
}

impl State {
    /// Whether it is an end.
    pub fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Blocked | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired | Self::Skipped => true,
        }
    }
}
