//! The runs that are not final, findable by what the ledger asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::admission::{Age, BlockReason};
use punctual_scheduler_domain::concurrency::{KeyClaim, KeyPath};
use punctual_scheduler_domain::id::{AttemptNumber, JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::{RunFacts, RunOrigin, RunState};

use crate::store::{CANCEL_MARGIN, LaneId, NodeId, RunLinks};

/// A run that is not final.
#[derive(Debug, Clone)]
pub(super) struct LiveRun {
    pub(super) id: RunId,
    pub(super) state: RunState,
    pub(super) lane: LaneId,
    pub(super) shard: Shard,
    /// Job and version; `None` for a one-off run.
    pub(super) version: Option<(JobId, u32)>,
    pub(super) origin: RunOrigin,
    pub(super) overlap: Overlap,
    pub(super) max_running: u32,
    /// The key under which it needs a place.
    pub(super) key: Option<HeldKey>,
    /// What it waits for while it is blocked.
    pub(super) block: Option<BlockReason>,
    pub(super) due_at: DateTime<Utc>,
    pub(super) run_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) start_deadline: Option<DateTime<Utc>>,
    pub(super) close_deadline: Option<DateTime<Utc>>,
    pub(super) start_to_close: Duration,
    pub(super) cancel_grace: Duration,
    /// Its own, where it is not its job's.
    pub(super) payload: Option<String>,
    /// Of a one-off run.
    pub(super) retry: Option<RetryPolicy>,
    pub(super) attempt: Option<AttemptNumber>,
    pub(super) tries_used: u32,
    pub(super) dispatch_seq: u32,
    /// How often in a row nobody answered in time.
    pub(super) redeliveries: u32,
    /// While queued: where, by whom and since when.
    pub(super) dispatch: Option<(NodeId, ReplicaId, DateTime<Utc>)>,
    /// While running.
    pub(super) session: Option<SessionId>,
    pub(super) worker: String,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) cancel_requested_at: Option<DateTime<Utc>>,
    pub(super) cancel_reason: String,
    pub(super) error: String,
    /// When the reaper must look at it.
    pub(super) reap_at: Option<DateTime<Utc>>,
    pub(super) links: RunLinks,
}

/// A concurrency key as a run has it.
#[derive(Debug, Clone)]
pub(super) struct HeldKey {
    pub(super) path: KeyPath,
    pub(super) limit: u32,
    /// The number of the place that it has.
    pub(super) place: Option<u32>,
}

impl HeldKey {
    pub(super) fn of(namespace: &Namespace, claim: KeyClaim) -> Self {
        let path = KeyPath { namespace: namespace.clone(), key: claim.key };
        Self { path, limit: claim.limit, place: None }
    }
}

impl LiveRun {
    /// Its place in line.
    pub(super) fn age(&self) -> Age {
        (self.due_at, self.run_at, self.id)
    }

    /// Is due and was not judged yet, or waits for what it was judged on.
    pub(super) fn is_undecided(&self, now: DateTime<Utc>) -> bool {
        self.state == RunState::Scheduled && self.dispatch_seq == 0 && self.run_at <= now
    }

    /// Stands in line for a place under its key. One whose task queue is paused has left the line.
    pub(super) fn is_in_line(&self, now: DateTime<Utc>) -> bool {
        let waits = matches!(self.block, Some(BlockReason::Overlap | BlockReason::ConcurrencyKey));
        self.dispatch_seq == 0 && (waits || self.is_undecided(now))
    }

    /// Waits among the runs of its job.
    pub(super) fn is_blocked_in_job(&self) -> bool {
        self.state == RunState::Blocked && self.dispatch_seq == 0 && self.overlap != Overlap::Allow
    }

    /// What the state machine decides by.
    pub(super) fn facts(&self) -> RunFacts {
        RunFacts {
            state: self.state,
            attempt: self.attempt,
            dispatch_seq: self.dispatch_seq,
            cancel_requested: self.cancel_requested_at.is_some(),
        }
    }

    pub(super) fn job(&self) -> Option<JobId> {
        self.version.map(|(job, _)| job)
    }

    /// When an attempt that was asked to stop is given up.
    pub(super) fn cancel_deadline(&self) -> Option<DateTime<Utc>> {
        self.cancel_requested_at.map(|at| at + span(self.cancel_grace + CANCEL_MARGIN))
    }

    /// The deadlines of the run as a whole: to start, as long as it never did, and to end.
    pub(super) fn deadline(&self) -> Option<DateTime<Utc>> {
        let start = self.start_deadline.filter(|_| self.attempt.is_none());
        first([start, self.close_deadline])
    }

    /// Where it stands in the index by state.
    fn place(&self) -> (RunState, LaneId, MayOverlap, DateTime<Utc>, RunId) {
        (self.state, self.lane, may_overlap(self.overlap), self.run_at, self.id)
    }

    /// Was admitted and is not final: it stands in the way of later runs of its job.
    pub(super) fn is_unfinished(&self) -> bool {
        self.dispatch_seq > 0
    }
}

fn may_overlap(overlap: Overlap) -> MayOverlap {
    match overlap {
        Overlap::Allow => true,
        Overlap::Skip
        | Overlap::QueueOne
        | Overlap::QueueAll
        | Overlap::CancelRunning
        | Overlap::KillRunning => false,
    }
}

/// The first of those that are.
pub(super) fn first<const N: usize>(deadlines: [Option<DateTime<Utc>>; N]) -> Option<DateTime<Utc>> {
    deadlines.into_iter().flatten().min()
}

/// As the database keeps durations: whole milliseconds.
pub(super) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 1000))
}

/// Whether a run may be admitted beside others of its job.
type MayOverlap = bool;

/// All of them. A run is changed through [`LiveRuns::change`] alone, which keeps the indexes.
#[derive(Debug, Default)]
pub(super) struct LiveRuns {
    runs: BTreeMap<RunId, LiveRun>,
    by_state: BTreeSet<(RunState, LaneId, MayOverlap, DateTime<Utc>, RunId)>,
    by_deadline: BTreeSet<(DateTime<Utc>, RunId)>,
    by_job: BTreeSet<(JobId, RunId)>,
    by_key: BTreeSet<(KeyPath, Age)>,
}

impl LiveRuns {
    pub(super) fn insert(&mut self, run: LiveRun) {
        self.by_state.insert(run.place());
        self.by_deadline.extend(run.reap_at.map(|at| (at, run.id)));
        self.by_job.extend(run.job().map(|job| (job, run.id)));
        self.by_key.extend(run.key.as_ref().map(|key| (key.path.clone(), run.age())));
        self.runs.insert(run.id, run);
    }

    pub(super) fn remove(&mut self, id: RunId) -> Option<LiveRun> {
        let run = self.runs.remove(&id)?;
        self.by_state.remove(&run.place());
        if let Some(at) = run.reap_at {
            self.by_deadline.remove(&(at, id));
        }
        if let Some(job) = run.job() {
            self.by_job.remove(&(job, id));
        }
        if let Some(key) = &run.key {
            self.by_key.remove(&(key.path.clone(), run.age()));
        }
        Some(run)
    }

    pub(super) fn change(&mut self, id: RunId, change: impl FnOnce(&mut LiveRun)) {
        if let Some(mut run) = self.remove(id) {
            change(&mut run);
            self.insert(run);
        }
    }

    pub(super) fn get(&self, id: RunId) -> Option<&LiveRun> {
        self.runs.get(&id)
    }

    /// By id.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &LiveRun> {
        self.runs.values()
    }

    /// Those of one state, lane by lane.
    pub(super) fn in_state(&self, state: RunState) -> impl Iterator<Item = &LiveRun> {
        let from = (state, LaneId(i32::MIN), false, DateTime::<Utc>::MIN_UTC, RunId(uuid::Uuid::nil()));
        self.by_state
            .range(from..)
            .take_while(move |(found, ..)| *found == state)
            .filter_map(|(.., id)| self.runs.get(id))
    }

    /// The scheduled ones of one lane that may overlap, or those that may not, by the time they may be queued.
    pub(super) fn scheduled(&self, lane: LaneId, overlap: Overlap) -> impl Iterator<Item = &LiveRun> {
        let wanted = (RunState::Scheduled, lane, may_overlap(overlap));
        let (state, lane, may_overlap) = wanted;
        self.by_state
            .range((state, lane, may_overlap, DateTime::<Utc>::MIN_UTC, RunId(uuid::Uuid::nil()))..)
            .take_while(move |(state, lane, may_overlap, ..)| (*state, *lane, *may_overlap) == wanted)
            .filter_map(|(.., id)| self.runs.get(id))
    }

    /// Those whose deadline has passed, the earliest first.
    pub(super) fn overdue(&self, now: DateTime<Utc>) -> impl Iterator<Item = &LiveRun> {
        self.by_deadline.iter().take_while(move |(at, _)| *at <= now).filter_map(|(_, id)| self.runs.get(id))
    }

    /// Those with one key, the oldest first.
    pub(super) fn of_key<'a>(&'a self, path: &'a KeyPath) -> impl Iterator<Item = &'a LiveRun> {
        let from = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MIN_UTC, RunId(uuid::Uuid::nil()));
        self.by_key
            .range((path.clone(), from)..)
            .take_while(move |(found, _)| found == path)
            .filter_map(|(_, (.., id))| self.runs.get(id))
    }

    /// Those of one job, by id.
    pub(super) fn of_job(&self, job: JobId) -> impl Iterator<Item = &LiveRun> {
        self.by_job
            .range((job, RunId(uuid::Uuid::nil()))..)
            .take_while(move |(found, _)| *found == job)
            .filter_map(|(_, id)| self.runs.get(id))
    }
}
