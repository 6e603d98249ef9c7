//! Backfills.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use punctual_scheduler_domain::backfill::{BackfillState, Chunk, REFILL_AT, next_chunk};
use punctual_scheduler_domain::id::{BackfillId, JobId};
use punctual_scheduler_domain::job::JobState;
use punctual_scheduler_domain::run::{RunOrigin, RunState};

use super::live::LiveRun;
use super::run_of_job::RunOfJob;
use super::state::{Definition, State};
use super::{ModelStore, calendars, cancel, requests};
use crate::store::{
    Backfill, BackfillPlanned, BackfillSelection, BackfillStore, NewBackfill, RequestId, RunLinks, StoreError,
};

/// A backfill and how far it is.
#[derive(Debug)]
pub(super) struct BackfillRecord {
    new: NewBackfill,
    state: BackfillState,
    state_reason: String,
    next_due_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// What makes an instant one run, and how it ended.
    runs: BTreeMap<DateTime<Utc>, Option<RunState>>,
}

impl BackfillRecord {
    fn live(&self) -> usize {
        self.runs.values().filter(|state| state.is_none()).count()
    }

    fn stop(&mut self, state: BackfillState, reason: &str, now: DateTime<Utc>) {
        self.state = state;
        reason.clone_into(&mut self.state_reason);
        self.next_due_at = None;
        self.updated_at = now;
    }
}

#[async_trait]
impl BackfillStore for ModelStore {
    async fn create_backfill(
        &self,
        new: NewBackfill,
        request: Option<RequestId>,
    ) -> Result<Option<Backfill>, StoreError> {
        create(&mut self.lock(), new, request.as_ref())
    }

    async fn get_backfill(&self, backfill: BackfillId) -> Result<Option<Backfill>, StoreError> {
        Ok(read(&self.lock(), backfill))
    }

    async fn list_backfills(&self, selection: &BackfillSelection) -> Result<Vec<Backfill>, StoreError> {
        let state = self.lock();
        state.require(&selection.namespace)?;
        Ok(list(&state, selection))
    }

    async fn cancel_backfill(
        &self,
        backfill: BackfillId,
        reason: &str,
    ) -> Result<Option<Backfill>, StoreError> {
        let mut state = self.lock();
        cancel_one(&mut state, backfill, reason);
        Ok(read(&state, backfill))
    }

    async fn plan_backfill(&self) -> Result<Option<BackfillPlanned>, StoreError> {
        Ok(plan(&mut self.lock()))
    }
}

fn create(
    state: &mut State,
    new: NewBackfill,
    request: Option<&RequestId>,
) -> Result<Option<Backfill>, StoreError> {
    if let Some(earlier) = requests::earlier(state, request, "create_backfill")? {
        return Ok(earlier.parse().ok().and_then(|id| read(state, id)));
    }
    let current = state.jobs.get(&new.job).filter(|job| job.state != JobState::Deleted);
    if current.is_none_or(|job| job.version != new.version) {
        return Ok(None);
    }
    requests::remember(state, request, "create_backfill", new.id.to_string());
    let (id, now) = (new.id, state.now);
    let record = BackfillRecord {
        state: BackfillState::Planning,
        state_reason: String::new(),
        next_due_at: Some(new.from),
        created_at: now,
        updated_at: now,
        runs: BTreeMap::new(),
        new,
    };
    state.backfills.insert(id, record);
    Ok(read(state, id))
}

fn read(state: &State, id: BackfillId) -> Option<Backfill> {
    let record = state.backfills.get(&id)?;
    let job = &state.jobs[&record.new.job];
    let live = record.live() as u64;
    let mut ended = BTreeMap::new();
    for state in record.runs.values().flatten() {
        *ended.entry(*state).or_default() += 1;
    }
    Some(Backfill {
        id,
        namespace: job.namespace.clone(),
        job: job.name.to_string(),
        job_version: record.new.version,
        from: record.new.from,
        until: record.new.until,
        overlap: record.new.overlap,
        state: record.state.with_live(live),
        state_reason: record.state_reason.clone(),
        instants: record.new.instants,
        planned: record.runs.len() as u64,
        live,
        ended,
        created_at: record.created_at,
    })
}

fn list(state: &State, selection: &BackfillSelection) -> Vec<Backfill> {
    state
        .backfills
        .keys()
        .rev()
        .filter(|id| selection.before.is_none_or(|before| **id < before))
        .filter_map(|id| read(state, *id))
        .filter(|found| found.namespace == selection.namespace)
        .filter(|found| selection.job.as_ref().is_none_or(|job| found.job == job.as_ref()))
        .take(usize::try_from(selection.limit).unwrap_or(usize::MAX))
        .collect()
}

fn cancel_one(state: &mut State, id: BackfillId, reason: &str) {
    let now = state.now;
    let Some(record) = state.backfills.get_mut(&id) else { return };
    let stoppable = match record.state.with_live(record.live() as u64) {
        BackfillState::Planning | BackfillState::Running => true,
        BackfillState::Done | BackfillState::Cancelled | BackfillState::Errored => false,
    };
    if stoppable {
        record.stop(BackfillState::Cancelled, reason, now);
        let waiting: Vec<_> = state
            .live
            .all()
            .filter(|run| run.links.backfill == Some(id) && run.state != RunState::Running)
            .map(|run| run.id)
            .collect();
        for run in waiting {
            cancel::cancel(state, run, reason);
        }
    }
}

/// Stops the backfills of a job that is deleted; its runs are cancelled with it.
pub(super) fn cancel_of_job(state: &mut State, job: JobId, reason: &str) {
    let now = state.now;
    for record in state.backfills.values_mut().filter(|record| record.new.job == job) {
        match record.state {
            BackfillState::Planning => record.stop(BackfillState::Cancelled, reason, now),
            BackfillState::Running
            | BackfillState::Done
            | BackfillState::Cancelled
            | BackfillState::Errored => {}
        }
    }
}

/// Notes how a run of a backfill ended.
pub(super) fn ended(state: &mut State, run: &LiveRun, to: RunState) {
    let record = run.links.backfill.and_then(|id| state.backfills.get_mut(&id));
    if let Some(ended) = record.and_then(|record| record.runs.get_mut(&run.due_at)) {
        *ended = Some(to);
    }
}

fn plan(state: &mut State) -> Option<BackfillPlanned> {
    let now = state.now;
    let (cursor, id) = state
        .backfills
        .iter()
        .filter(|(_, record)| record.live() <= REFILL_AT)
        .filter_map(|(id, record)| Some((record.updated_at, *id, record.next_due_at?)))
        .min()
        .map(|(_, id, cursor)| (cursor, id))?;
    let record = &state.backfills[&id];
    let definition = Arc::clone(&state.definitions[&(record.new.job, record.new.version)]);
    let calendars = calendars::all(state, &state.jobs[&record.new.job].namespace);
    let planned = definition
        .schedule
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|schedule| next_chunk(schedule, &calendars, cursor, record.new.until, record.live()));
    let mut runs = 0;
    match planned {
        Ok(Chunk { due, next }) => {
            for due_at in due {
                runs += u32::from(materialise(state, id, &definition, due_at));
            }
            if let Some(record) = state.backfills.get_mut(&id) {
                record.next_due_at = next;
                record.updated_at = now;
                if next.is_none() {
                    record.state = BackfillState::Running;
                }
            }
        }
        Err(error) => {
            if let Some(record) = state.backfills.get_mut(&id) {
                record.stop(BackfillState::Errored, &error.to_string(), now);
            }
        }
    }
    Some(BackfillPlanned { backfill: id, runs })
}

/// Writes the run of one instant down, unless it has been before.
fn materialise(state: &mut State, id: BackfillId, definition: &Definition, due_at: DateTime<Utc>) -> bool {
    let now = state.now;
    let Some(record) = state.backfills.get_mut(&id) else { return false };
    if record.runs.contains_key(&due_at) {
        return false;
    }
    record.runs.insert(due_at, None);
    let (job, version, overlap) = (record.new.job, record.new.version, record.new.overlap);
    state.write_down(RunOfJob {
        job,
        version,
        spec: &definition.spec,
        origin: RunOrigin::Backfill,
        overlap,
        due_at,
        run_at: now,
        // Its instant is long past.
        timed_from: now,
        links: RunLinks { backfill: Some(id), ..RunLinks::default() },
    });
    true
}
