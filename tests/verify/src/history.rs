//! The input: JSON Lines, one event a line, stamped by one recorder.
//!
//! Every line has `ts` (nanoseconds on the recorder's monotonic clock), optionally `p` (who), and `k` (what):
//!
//! | `k` | further fields | meaning |
//! | --- | --- | --- |
//! | `clock` | `db`, `took_ns` | the database's clock showed `db` at some moment of the last `took_ns` |
//! | `job.put` | `ph`, `op`, `job`, `spec`, `witness`; `ok`: `ver` | a definition is created or changed |
//! | `job.pause`, `job.resume`, `job.del` | `ph`, `op`, `job` | |
//! | `job.trigger`, `run.create` | `ph`, `op`, `job`, `request_id`, `witness`; `ok`: `run` | a run is asked for |
//! | `run.cancel` | `ph`, `op`, `run` | |
//! | `lease.grant` | `run`, `att`, `session`, `at` | an attempt was granted |
//! | `lease.renew` | `ph`, `op`, `session`, `ttl_ms` | a heartbeat, as its sender saw it |
//! | `report` | `run`, `att`, `status`, `at`, `ph` | the end of an attempt: stored (`ok`), refused (`fail`), unknown |
//! | `eff.start`, `eff.end` | `run`, `att` | the witness heard from the code itself |
//! | `run` | the row, see [`RunRow`] | what the database holds of a run at the end |
//! | `missed` | `job`, `from`, `to`, `count`, `at` | instants that were only counted |
//! | `nem` | `fault`, `target`, `on` | a fault begins or ends |
//! | `quiesce` | | faults are over, everything had its time |
//! | `final` | `runs` | how many `run` lines there are: a cut file is noticed |
//!
//! A call is two lines with the same `op`: `ph` `inv` when it is sent, then `ok`, `fail` (it did not happen, and
//! never will) or `info` (it may have happened, or may yet: time-out, broken connection, crash). Lines of an
//! unknown `k` are passed over.

mod run_row;

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::spec::{JobSpec, SpecError};
use crate::time::{DbTime, Tick};

pub use run_row::{Origin, RunRow, State};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the recorder wrote it down.
    pub ts: Tick,
    /// Who did it; for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub p: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "k")]
#[allow(missing_docs, reason = "the table at the head of this file describes them")]
pub enum What {
    #[serde(rename = "clock")]
    Clock { db: DbTime, took_ns: i64 },
    #[serde(rename = "job.put")]
    JobPut(Call),
    #[serde(rename = "job.pause")]
    JobPause(Call),
    #[serde(rename = "job.resume")]
    JobResume(Call),
    #[serde(rename = "job.del")]
    JobDelete(Call),
    #[serde(rename = "job.trigger")]
    JobTrigger(Call),
    #[serde(rename = "run.create")]
    RunCreate(Call),
    #[serde(rename = "run.cancel")]
    RunCancel(Call),
    #[serde(rename = "lease.grant")]
    Grant { run: String, att: u32, session: String, at: DbTime },
    #[serde(rename = "lease.renew")]
    Renew { ph: Phase, op: u64, session: String, ttl_ms: u64 },
    #[serde(rename = "report")]
    Report { run: String, att: u32, status: Outcome, at: DbTime, ph: Phase },
    #[serde(rename = "eff.start")]
    EffectStart { run: String, att: u32 },
    #[serde(rename = "eff.end")]
    EffectEnd { run: String, att: u32 },
    #[serde(rename = "run")]
    Run(RunRow),
    #[serde(rename = "missed")]
    Missed { job: String, from: DbTime, to: DbTime, count: u64, at: DbTime },
    #[serde(rename = "nem")]
    Nemesis { fault: String, target: String, on: bool },
    #[serde(rename = "quiesce")]
    Quiesce,
    #[serde(rename = "final")]
    Final { runs: usize },
    #[serde(other)]
    Unknown,
}

/// One half of a call to the system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Sent, or how it ended.
    pub ph: Phase,
    /// Joins the two halves.
    pub op: u64,
    /// The job's name; only on `inv`, as the four below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The definition, of `job.put`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<JobSpec>,
    /// Set when the code of these runs reports to the witness.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub witness: bool,
    /// The idempotency key sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The run that is asked for (`run.cancel`) or was made (`ok` of the others).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The version that the `ok` of `job.put` named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<u32>,
}

/// A moment of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Sent.
    #[default]
    Inv,
    /// Done.
    Ok,
    /// Surely not done.
    Fail,
    /// Nobody knows.
    Info,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of the system's own guarantees")]
pub enum Outcome {
    Succeeded,
    Failed,
    TimedOut,
    Lost,
    Cancelled,
    Released,
}

/// A whole history.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Line `n` of the file is `events[n - 1]`.
    pub events: Vec<Event>,
}

impl History {
    /// Reads JSON Lines; blank lines are not allowed, so that line numbers stay true.
    ///
    /// # Errors
    /// The first line that cannot be read, with its number.
    pub fn read(input: impl BufRead) -> Result<Self, HistoryError> {
        let mut events = Vec::new();
        for (index, line) in input.lines().enumerate() {
            let line = line.map_err(HistoryError::Io)?;
            let event = serde_json::from_str(&line)
                .map_err(|source| HistoryError::Line { number: index + 1, source })?;
            events.push(event);
        }
        Ok(Self { events })
    }

    /// Writes JSON Lines.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&self, output: &mut impl std::io::Write) -> std::io::Result<()> {
        for event in &self.events {
            serde_json::to_writer(&mut *output, event)?;
            output.write_all(b"\n")?;
        }
        output.flush()
    }
}

/// Why a history cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be read.
    #[error("could not read the history")]
    Io(#[source] std::io::Error),
    /// A line is not an event.
    #[error("line {number} is not an event")]
    Line {
        /// Counts from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Without one, ticks cannot be related to due times.
    #[error("the history holds no `clock` reading")]
    NoClock,
    /// Without it, nobody knows what should have happened by the end.
    #[error("the history holds no `quiesce`")]
    NoQuiesce,
    /// Lines are missing, or doubled by the export.
    #[error("`final` counts {counted} runs, the history holds {found}")]
    Cut {
        /// By the recorder.
        counted: usize,
        /// `run` lines.
        found: usize,
    },
    /// The second half of a call comes without the first.
    #[error("line {line}: call {op} ends without having begun")]
    Orphan {
        /// Where.
        line: usize,
        /// Which.
        op: u64,
    },
    /// A `job.put` without a job or a definition, a `job.pause` without a job, …
    #[error("line {line}: `{field}` is missing")]
    Incomplete {
        /// Where.
        line: usize,
        /// Which field.
        field: &'static str,
    },
    /// A definition that the checker cannot walk.
    #[error("line {line}: the definition cannot be walked")]
    Spec {
        /// Where.
        line: usize,
        /// Why.
        #[source]
        source: SpecError,
    },
}
