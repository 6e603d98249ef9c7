//! Task queues that are paused and go on.

use std::collections::BTreeSet;

use punctual_scheduler_domain::id::Shard;
use punctual_scheduler_domain::name::{Namespace, TaskQueuePath};

use super::state::{Lane, State};
use super::{due, unblock, workers};
use crate::store::{StoreError, TaskQueue, TaskQueueChange};

pub(super) fn change(
    state: &mut State,
    path: &TaskQueuePath,
    change: &TaskQueueChange,
) -> Result<TaskQueue, StoreError> {
    state.require(&path.namespace)?;
    match change {
        TaskQueueChange::Pause { reason } => {
            let since = state.paused.get(path).map_or(state.now, |(since, _)| *since);
            state.paused.insert(path.clone(), (since, reason.clone()));
            state.known_queues.insert(path.clone());
        }
        TaskQueueChange::Resume => {
            state.paused.remove(path);
            unblock::resumed(state);
        }
    }
    let found = list(state, &path.namespace)?.into_iter().find(|queue| queue.path == *path);
    Ok(found.unwrap_or_else(|| TaskQueue::idle(path.clone())))
}

pub(super) fn list(state: &State, namespace: &Namespace) -> Result<Vec<TaskQueue>, StoreError> {
    state.require(namespace)?;
    let all: Vec<_> = Shard::all().collect();
    let queued = due::queued_counts(state, &all);
    let fleets = workers::fleets(state);
    let known: BTreeSet<_> =
        state.lanes.iter().map(Lane::queue).chain(state.known_queues.iter().cloned()).collect();
    let ours = known.into_iter().filter(|path| path.namespace == *namespace);
    Ok(ours
        .map(|path| {
            let paused = state.paused.get(&path);
            let fleet = fleets
                .iter()
                .find(|fleet| fleet.namespace == path.namespace && fleet.task_queue == path.task_queue);
            TaskQueue {
                paused_at: paused.map(|(since, _)| *since),
                pause_reason: paused.map(|(_, reason)| reason.clone()).unwrap_or_default(),
                queued: queued.get(&path).copied().unwrap_or(0),
                places: fleet.map_or(0, |fleet| fleet.places),
                path,
            }
        })
        .collect())
}
