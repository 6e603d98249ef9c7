//! A guess at the room in each task queue's window, for runs that are created due: good for a few tens of
//! milliseconds, and wrong by no more than a few runs, which the window allows for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use punctual_scheduler_domain::admission::window;
use punctual_scheduler_domain::id::Shard;
use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue, TaskQueuePath};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::store::{DueLane, Fleet, NodeId, StoreError};

const REFRESH_EVERY: Duration = Duration::from_millis(50);

/// The guess. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Rooms {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    queues: HashMap<TaskQueuePath, Room>,
    waiting: HashSet<TaskQueuePath>,
    next_node: usize,
}

impl Inner {
    /// Whether some worker has a handler for the lane's kind: what nobody serves keeps nothing else waiting.
    fn serves(&self, lane: &DueLane) -> bool {
        self.queues.get(&lane.queue()).is_none_or(|room| room.kinds.contains(&lane.kind))
    }
}

struct Room {
    free: usize,
    kinds: HashSet<Kind>,
}

impl Rooms {
    /// Takes one place in the window, on one of these nodes in turn.
    pub(super) fn take(
        &self,
        namespace: &Namespace,
        task_queue: &TaskQueue,
        kind: &Kind,
        nodes: &[NodeId],
    ) -> Option<NodeId> {
        let path = TaskQueuePath { namespace: namespace.clone(), task_queue: task_queue.clone() };
        let mut inner = self.lock();
        // What was there first goes first.
        if nodes.is_empty() || inner.waiting.contains(&path) {
            return None;
        }
        let room = inner.queues.get_mut(&path)?;
        if !room.kinds.contains(kind) {
            return None;
        }
        room.free = room.free.checked_sub(1)?;
        inner.next_node = inner.next_node.wrapping_add(1);
        Some(nodes[inner.next_node % nodes.len()])
    }

    /// Task queues in which something due waits already.
    pub(super) fn set_waiting<'a>(&self, lanes: impl Iterator<Item = &'a DueLane>) {
        let mut inner = self.lock();
        let waiting = lanes.filter(|lane| inner.serves(lane)).map(DueLane::queue).collect();
        inner.waiting = waiting;
    }

    fn set(&self, queues: HashMap<TaskQueuePath, Room>) {
        self.lock().queues = queues;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the fleets and the windows until `shutdown`.
pub(super) async fn refresh(shared: Shared, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(REFRESH_EVERY)).await.is_some() {
        match look(&shared).await {
            Ok(queues) => shared.rooms.set(queues),
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "could not look at the task queues"
                );
                shared.rooms.set(HashMap::new());
            }
        }
    }
}

async fn look(shared: &Shared) -> Result<HashMap<TaskQueuePath, Room>, StoreError> {
    let fleets = shared.store.fleets().await?;
    let queued = shared.store.queued_counts().await?;
    // Every replica takes calls, so each has its part of the window.
    let replicas = shared.owned.replicas();
    let part = u8::try_from(u32::from(Shard::COUNT).div_ceil(replicas)).unwrap_or(Shard::COUNT);
    Ok(fleets
        .into_iter()
        .map(|Fleet { namespace, task_queue, places, kinds }| {
            let path = TaskQueuePath { namespace, task_queue };
            let taken = queued.get(&path).copied().unwrap_or(0).div_ceil(replicas);
            let free = window(places, part).saturating_sub(taken as usize);
            (path, Room { free, kinds: kinds.into_iter().collect() })
        })
        .collect())
}
