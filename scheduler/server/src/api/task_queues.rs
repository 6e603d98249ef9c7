//! `TaskQueueService`.

use std::sync::Arc;

use punctual_proto::v1::{self, task_queue_service_server::TaskQueueService};
use tonic::{Request, Response, Status};

use super::convert::{Fields, MAX_REASON, read_namespace, read_task_queue, task_queue_to_proto};
use super::doorbells::Doorbells;
use super::error::ApiError;
use crate::store::{Store, TaskQueueChange};

/// Pauses task queues and lets them go on.
#[derive(Clone)]
pub(super) struct TaskQueues {
    pub(super) store: Arc<dyn Store>,
    pub(super) doorbells: Arc<dyn Doorbells>,
}

#[tonic::async_trait]
impl TaskQueueService for TaskQueues {
    async fn pause_task_queue(
        &self,
        request: Request<v1::PauseTaskQueueRequest>,
    ) -> Result<Response<v1::TaskQueue>, Status> {
        let v1::PauseTaskQueueRequest { namespace, name, reason } = request.into_inner();
        let path = read_task_queue(&namespace, &name)?;
        let mut fields = Fields::new();
        let reason = fields.text("reason", reason, MAX_REASON);
        let reason = fields.finish(Some(reason))?;
        let changed = self.store.change_task_queue(&path, &TaskQueueChange::Pause { reason }).await;
        Ok(Response::new(task_queue_to_proto(changed.map_err(ApiError::from)?)))
    }

    async fn resume_task_queue(
        &self,
        request: Request<v1::ResumeTaskQueueRequest>,
    ) -> Result<Response<v1::TaskQueue>, Status> {
        let v1::ResumeTaskQueueRequest { namespace, name } = request.into_inner();
        let path = read_task_queue(&namespace, &name)?;
        let changed = self.store.change_task_queue(&path, &TaskQueueChange::Resume).await;
        let changed = changed.map_err(ApiError::from)?;
        self.doorbells.wake();
        Ok(Response::new(task_queue_to_proto(changed)))
    }

    async fn list_task_queues(
        &self,
        request: Request<v1::ListTaskQueuesRequest>,
    ) -> Result<Response<v1::ListTaskQueuesResponse>, Status> {
        let namespace = read_namespace(&request.get_ref().namespace)?;
        let found = self.store.list_task_queues(&namespace).await.map_err(ApiError::from)?;
        let task_queues = found.into_iter().map(task_queue_to_proto).collect();
        Ok(Response::new(v1::ListTaskQueuesResponse { task_queues }))
    }
}
