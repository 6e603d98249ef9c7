//! What the API needs of the publisher.

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};

use crate::store::{Dispatch, NodeId};

/// The publisher, as the calls that create runs see it. Nothing here waits.
pub trait Doorbells: Send + Sync + 'static {
    /// A node for a run that is due now, when its task queue's window has room, a worker serves its kind and nothing
    /// waits before it. `None`: create it `scheduled`, and the owner of its shard takes it from there.
    fn room_for(&self, namespace: &Namespace, task_queue: &TaskQueue, kind: &Kind) -> Option<NodeId>;
    /// Takes doorbells of runs that this replica's call has just queued, to be published at once.
    fn send(&self, dispatches: Vec<Dispatch>);
    /// Says that a job has changed or a run was created, so that something may be due.
    fn wake(&self);
}
