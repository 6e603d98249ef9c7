//! What the store takes and gives about workers and the attempts they hold.

use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use serde::{Deserialize, Serialize};

/// A worker process as it starts.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Random, chosen by the worker.
    pub session: SessionId,
    /// For people.
    pub name: String,
    /// Where it works.
    pub namespace: Namespace,
    /// Which task queue it serves.
    pub task_queue: TaskQueue,
    /// What it has handlers for.
    pub kinds: Vec<Kind>,
    /// How many attempts it executes at once.
    pub places: u32,
}

/// Whether a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// It lives until its lease ends.
    Opened,
    /// The session of that id has ended, within the last day; choose another.
    SessionLost,
}

/// The live workers of one task queue, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where.
    pub namespace: Namespace,
    /// Which task queue.
    pub task_queue: TaskQueue,
    /// Places of all that are not draining.
    pub places: u32,
    /// What at least one of them has a handler for.
    pub kinds: Vec<Kind>,
}

/// A doorbell that a worker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The run it announced.
    pub run: RunId,
    /// Its dispatch number.
    pub dispatch_seq: u32,
}

/// What a worker gets for a doorbell.
#[derive(Debug, Clone, PartialEq)]
pub enum StartAnswer {
    /// The attempt is its.
    Granted(Box<Grant>),
    /// There is nothing to do.
    Gone(GoneReason),
    /// A moment too early: ask again after this long.
    NotDue(Duration),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneReason {
    /// Never existed, or is final.
    UnknownRun,
    /// Scheduled again or blocked.
    NotQueued,
    /// Another session holds it.
    Held,
    /// A later dispatch is on its way.
    Superseded,
    /// The asking session has ended.
    SessionLost,
}

/// An attempt as its holder sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The run.
    pub run: RunId,
    /// The attempt's number, which is its token.
    pub attempt: AttemptNumber,
    /// Where.
    pub namespace: Namespace,
    /// The job's name; empty for a one-off run.
    pub job: String,
    /// Which handler.
    pub kind: Kind,
    /// For the handler: JSON text.
    pub payload: String,
    /// The nominal instant.
    pub due_at: DateTime<Utc>,
    /// How long the attempt may take from now. A session that asks again gets what is left.
    pub start_to_close: Duration,
    /// How long it may take to stop.
    pub cancel_grace: Duration,
    /// Tries used before this one.
    pub tries_used: u32,
}

impl Grant {
    /// Bytes of payloads that one call hands out, unless a single one is larger. What was granted beyond them is
    /// answered [`StartAnswer::NotDue`]: the session gets the same attempt when it asks again.
    pub const MOST_BYTES: usize = 4 << 20;
    /// How soon to ask again.
    pub const ASK_AGAIN: Duration = Duration::from_millis(1);
}

/// How much of [`Grant::MOST_BYTES`] a call has handed out.
#[derive(Debug, Default)]
pub(super) struct Handed {
    bytes: usize,
}

impl Handed {
    /// Whether a payload still goes out with the others, which it then does.
    pub(super) fn takes(&mut self, payload: usize) -> bool {
        let fits = self.bytes == 0 || self.bytes + payload <= Grant::MOST_BYTES;
        if fits {
            self.bytes += payload;
        }
        fits
    }
}

/// An attempt that a session holds or asks for, as its heartbeat lists it. Kept as JSON in the lease row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldAttempt {
    /// The run.
    pub run_id: RunId,
    /// 0 while it is being asked for.
    pub attempt: u32,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// Said with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub progress_note: String,
}

/// A heartbeat.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Whose.
    pub session: SessionId,
    /// Everything it holds or asks for.
    pub held: Vec<HeldAttempt>,
    /// Takes no more.
    pub draining: bool,
}

/// What a session learns from its heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BeatAnswer {
    /// To be stopped and reported as cancelled.
    pub cancel: Vec<(RunId, AttemptNumber)>,
    /// No longer held.
    pub lost: Vec<(RunId, AttemptNumber)>,
}

/// How an attempt ended, by its holder's word.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Who says so.
    pub session: SessionId,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// How.
    pub outcome: AttemptOutcome,
    /// With what.
    pub report: AttemptReport,
}

/// An attempt given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Who gives it back.
    pub session: SessionId,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// The run is scheduled again after this long.
    pub delay: Duration,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishAnswer {
    /// It is written down, now or by an earlier call with the same content.
    Stored,
    /// The attempt is not the current one; nothing changed.
    StaleAttempt,
    /// No such run.
    UnknownRun,
}

/// What one call of the reaper did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Sessions ended.
    pub sessions: u32,
    /// Runs moved, to whatever state.
    pub runs: u32,
}
