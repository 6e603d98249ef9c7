//! All that the ledger remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::{BackfillId, JobId, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{Job, JobSpec, JobState};
use punctual_scheduler_domain::name::{CalendarName, JobName, Kind, Namespace, TaskQueue, TaskQueuePath};
use punctual_scheduler_domain::plan::MissedRange;
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::retention::Retention;
use punctual_scheduler_domain::schedule::{ScheduleError, ScheduleSet};

use super::backfill::BackfillRecord;
use super::live::LiveRuns;
use super::nodes::Node;
use super::workers::Session;
use crate::store::{Attempt, LaneId, NamedCalendar, NamespaceRecord, RecordedEvent, Run, StoreError};

/// One kind of work of one priority in one task queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) namespace: Namespace,
    pub(super) task_queue: TaskQueue,
    pub(super) kind: Kind,
    pub(super) priority: Priority,
}

impl Lane {
    /// The lane of a job's runs.
    pub(super) fn of_job(namespace: &Namespace, spec: &JobSpec) -> Self {
        Self {
            namespace: namespace.clone(),
            task_queue: spec.task_queue.clone(),
            kind: spec.task.kind(),
            priority: spec.priority,
        }
    }

    pub(super) fn queue(&self) -> TaskQueuePath {
        TaskQueuePath { namespace: self.namespace.clone(), task_queue: self.task_queue.clone() }
    }
}

/// One version of a job, which never changes.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) spec: JobSpec,
    pub(super) author: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) schedule: Result<ScheduleSet, ScheduleError>,
}

/// A run that is final.
#[derive(Debug)]
pub(super) struct EndedRun {
    pub(super) job: Option<JobId>,
    pub(super) run: Run,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: DateTime<Utc>,
    pub(super) namespaces: BTreeMap<Namespace, NamespaceRecord>,
    pub(super) calendars: BTreeMap<(Namespace, CalendarName), NamedCalendar>,

    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) definitions: BTreeMap<(JobId, u32), Arc<Definition>>,
    /// What was done to jobs, in order.
    pub(super) events: Vec<RecordedEvent>,
    /// Instants that became no run, and why.
    pub(super) missed: Vec<(JobId, MissedRange)>,
    /// Where the end of a job's last run has put its next instant.
    pub(super) delayed: BTreeMap<JobId, DateTime<Utc>>,
    /// Ends of runs that the planner has not taken into account yet.
    pub(super) run_ends: Vec<(JobId, DateTime<Utc>)>,
    /// Method and job of each request id.
    pub(super) job_requests: BTreeMap<String, (&'static str, JobId)>,
    /// Method and answer of each request id of the other calls.
    pub(super) call_requests: BTreeMap<String, (&'static str, String)>,
    /// What makes an instant one run.
    pub(super) ledger: BTreeSet<(JobId, DateTime<Utc>)>,

    pub(super) backfills: BTreeMap<BackfillId, BackfillRecord>,

    pub(super) lanes: Vec<Lane>,
    /// Since when those are paused that are, and why.
    pub(super) paused: BTreeMap<TaskQueuePath, (DateTime<Utc>, String)>,
    /// Those that were ever paused.
    pub(super) known_queues: BTreeSet<TaskQueuePath>,
    pub(super) live: LiveRuns,
    pub(super) ended: BTreeMap<RunId, EndedRun>,
    pub(super) attempts: BTreeMap<RunId, Vec<Attempt>>,
    /// Run and job of each idempotency key; no job for a one-off run.
    pub(super) run_requests: BTreeMap<(Namespace, String), (RunId, Option<JobName>)>,

    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) ended_sessions: BTreeSet<SessionId>,
    /// When each replica's lease runs out.
    pub(super) replicas: BTreeMap<ReplicaId, DateTime<Utc>>,
    pub(super) shards: BTreeMap<Shard, Option<ReplicaId>>,
    /// A node's number is its place here, counted from 1.
    pub(super) nodes: Vec<Node>,
}

fn default_namespace(now: DateTime<Utc>) -> NamespaceRecord {
    NamespaceRecord { name: Namespace::default(), created_at: now, retention: Retention::default() }
}

impl State {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            namespaces: BTreeMap::from([(Namespace::default(), default_namespace(now))]),
            calendars: BTreeMap::new(),
            jobs: BTreeMap::new(),
            definitions: BTreeMap::new(),
            events: Vec::new(),
            missed: Vec::new(),
            delayed: BTreeMap::new(),
            run_ends: Vec::new(),
            job_requests: BTreeMap::new(),
            call_requests: BTreeMap::new(),
            ledger: BTreeSet::new(),
            backfills: BTreeMap::new(),
            lanes: Vec::new(),
            paused: BTreeMap::new(),
            known_queues: BTreeSet::new(),
            live: LiveRuns::default(),
            ended: BTreeMap::new(),
            attempts: BTreeMap::new(),
            run_requests: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended_sessions: BTreeSet::new(),
            replicas: BTreeMap::new(),
            shards: Shard::all().map(|shard| (shard, None)).collect(),
            nodes: Vec::new(),
        }
    }

    /// Fails when nobody made the namespace.
    pub(super) fn require(&self, namespace: &Namespace) -> Result<(), StoreError> {
        if self.namespaces.contains_key(namespace) {
            return Ok(());
        }
        Err(StoreError::UnknownNamespace(namespace.clone()))
    }

    /// The job of that name that is not deleted.
    pub(super) fn job_named(&self, namespace: &Namespace, name: &JobName) -> Option<&Job> {
        self.jobs
            .values()
            .find(|job| job.namespace == *namespace && job.name == *name && job.state != JobState::Deleted)
    }

    /// Keeps a version of a job, compiled.
    pub(super) fn define(
        &mut self,
        job: JobId,
        version: u32,
        spec: JobSpec,
        author: &str,
        job_created_at: DateTime<Utc>,
    ) {
        let schedule = ScheduleSet::compile_for(&spec.schedule, job_created_at);
        let definition = Definition { spec, author: author.to_owned(), created_at: self.now, schedule };
        self.definitions.insert((job, version), Arc::new(definition));
    }

    /// The lane's number; made when it is new.
    pub(super) fn lane(&mut self, lane: Lane) -> LaneId {
        let place = self.lanes.iter().position(|known| *known == lane).unwrap_or_else(|| {
            self.lanes.push(lane);
            self.lanes.len() - 1
        });
        LaneId(i32::try_from(place).unwrap_or(i32::MAX))
    }

    /// A lane that was given its number here.
    pub(super) fn lane_of(&self, lane: LaneId) -> &Lane {
        &self.lanes[usize::try_from(lane.0).expect("numbers of lanes are places in this list")]
    }

    /// The job's name; empty for a run of no job.
    pub(super) fn job_name(&self, job: Option<JobId>) -> String {
        job.and_then(|job| self.jobs.get(&job)).map(|job| job.name.to_string()).unwrap_or_default()
    }
}
