//! What is due, what is queued, and what the queued is announced with.

use std::collections::HashMap;

use punctual_scheduler_domain::id::Shard;
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::TaskQueuePath;
use punctual_scheduler_domain::run::RunState;

use super::live::LiveRun;
use super::state::State;
use crate::store::{Dispatch, DueLane, LaneId, NodeId};

pub(super) fn lanes(state: &State, shards: &[Shard]) -> Vec<DueLane> {
    let numbers = (0..state.lanes.len()).filter_map(|place| i32::try_from(place).ok()).map(LaneId);
    numbers
        .filter_map(|number| {
            // Those that may overlap, and all others.
            let first = |overlap: &Overlap| {
                state.live.scheduled(number, *overlap).find(|run| shards.contains(&run.shard))
            };
            let first =
                [Overlap::Allow, Overlap::Skip].iter().filter_map(first).min_by_key(|run| run.run_at)?;
            let lane = state.lane_of(number);
            Some(DueLane {
                lane: number,
                namespace: lane.namespace.clone(),
                task_queue: lane.task_queue.clone(),
                kind: lane.kind.clone(),
                priority: lane.priority,
                paused: state.paused.contains_key(&lane.queue()),
                first_run_at: first.run_at,
            })
        })
        .collect()
}

/// How many runs of these shards are queued in each task queue.
pub(super) fn queued_counts(state: &State, shards: &[Shard]) -> HashMap<TaskQueuePath, u32> {
    let mut counts = HashMap::new();
    for run in state.live.in_state(RunState::Queued).filter(|run| shards.contains(&run.shard)) {
        let lane = state.lane_of(run.lane);
        let path = TaskQueuePath { namespace: lane.namespace.clone(), task_queue: lane.task_queue.clone() };
        *counts.entry(path).or_insert(0) += 1;
    }
    counts
}

/// The doorbell of a run that is queued on `node`.
pub(super) fn dispatch(state: &State, run: &LiveRun, node: NodeId) -> Dispatch {
    let lane = state.lane_of(run.lane);
    Dispatch {
        run: run.id,
        dispatch_seq: run.dispatch_seq,
        node,
        namespace: lane.namespace.clone(),
        task_queue: lane.task_queue.clone(),
        job: state.job_name(run.job()),
        kind: lane.kind.clone(),
        run_at: run.run_at,
    }
}
