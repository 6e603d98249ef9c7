//! Task queues.

use punctual_proto::v1;
use punctual_scheduler_domain::name::TaskQueuePath;

use super::fields::Fields;
use super::job::{namespace_in, task_queue_in};
use super::time::timestamp_to_proto;
use crate::api::error::ApiError;
use crate::store::TaskQueue;

/// The task queue that a request names. Empty means `default`.
pub(in crate::api) fn read_task_queue(namespace: &str, name: &str) -> Result<TaskQueuePath, ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", namespace);
    let task_queue = task_queue_in(&mut fields, "name", name);
    let path =
        namespace.zip(task_queue).map(|(namespace, task_queue)| TaskQueuePath { namespace, task_queue });
    fields.finish(path)
}

pub(in crate::api) fn task_queue_to_proto(queue: TaskQueue) -> v1::TaskQueue {
    v1::TaskQueue {
        name: queue.path.task_queue.to_string(),
        namespace: queue.path.namespace.to_string(),
        paused_at: queue.paused_at.map(timestamp_to_proto),
        pause_reason: queue.pause_reason,
        queued: queue.queued,
        places: queue.places,
    }
}
