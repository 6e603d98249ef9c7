//! A run of a job, whatever asks for it, as it is written down.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::{JobId, RunId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use uuid::Uuid;

use super::live::{HeldKey, LiveRun, first};
use super::state::{Lane, State};
use crate::store::RunLinks;

/// What differs from one run of a job to another.
pub(super) struct RunOfJob<'a> {
    pub(super) job: JobId,
    pub(super) version: u32,
    /// Of that version.
    pub(super) spec: &'a JobSpec,
    pub(super) origin: RunOrigin,
    pub(super) overlap: Overlap,
    pub(super) due_at: DateTime<Utc>,
    pub(super) run_at: DateTime<Utc>,
    /// What its time-outs count from.
    pub(super) timed_from: DateTime<Utc>,
    pub(super) links: RunLinks,
}

impl State {
    /// Writes a run of a job down, to be admitted at its time.
    pub(super) fn write_down(&mut self, run: RunOfJob<'_>) {
        let RunOfJob { job, version, spec, origin, overlap, due_at, run_at, timed_from, links } = run;
        let namespace = self.jobs[&job].namespace.clone();
        let timeouts = &spec.timeouts;
        let (start_deadline, close_deadline) =
            (timeouts.start_deadline(timed_from), timeouts.close_deadline(timed_from));
        let run = LiveRun {
            id: RunId(Uuid::now_v7()),
            state: RunState::Scheduled,
            lane: self.lane(Lane::of_job(&namespace, spec)),
            shard: Shard::of_job(job),
            version: Some((job, version)),
            origin,
            overlap,
            max_running: spec.max_running,
            key: spec.key_claim(&spec.task.payload()).map(|claim| HeldKey::of(&namespace, claim)),
            block: None,
            due_at,
            run_at,
            created_at: self.now,
            start_deadline,
            close_deadline,
            start_to_close: timeouts.start_to_close,
            cancel_grace: timeouts.cancel_grace,
            payload: None,
            retry: None,
            attempt: None,
            tries_used: 0,
            dispatch_seq: 0,
            redeliveries: 0,
            dispatch: None,
            session: None,
            worker: String::new(),
            started_at: None,
            cancel_requested_at: None,
            cancel_reason: String::new(),
            error: String::new(),
            reap_at: first([start_deadline, close_deadline]),
            links,
        };
        self.live.insert(run);
    }
}
