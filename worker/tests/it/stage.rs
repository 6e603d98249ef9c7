//! A worker between one scheduler and one node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use punctual_proto::v1::FinishAttemptRequest;
use punctual_proto::v1::finish_attempt_request::Outcome;
use punctual_worker::{CancelReason, Context, HandlerError, Worker, WorkerBuilder, WorkerError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use crate::scheduler::Scheduler;

const LIMIT: Duration = Duration::from_secs(15);

pub(crate) struct Stage {
    pub(crate) scheduler: Scheduler,
    pub(crate) node: Node,
    pub(crate) shutdown: CancellationToken,
    /// Lets handlers of the kind `work` end, one for each call of `notify_one`.
    pub(crate) go: Arc<Notify>,
    started: mpsc::UnboundedReceiver<Context>,
    stopped: mpsc::UnboundedReceiver<(CancelReason, Instant)>,
    worker: JoinSet<Result<(), WorkerError>>,
}

impl Stage {
    /// A worker with 2 places and a handler that waits to be told to go on.
    pub(crate) async fn start() -> Self {
        Self::with(Scheduler::start().await, |worker| worker).await
    }

    pub(crate) async fn with(
        scheduler: Scheduler,
        change: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
    ) -> Self {
        let node = Node::start().await;
        let (start, started) = mpsc::unbounded_channel();
        let (stop, stopped) = mpsc::unbounded_channel();
        let go = Arc::new(Notify::new());
        let gate = Arc::clone(&go);
        let handler = move |context: Context| {
            let (start, stop, gate) = (start.clone(), stop.clone(), Arc::clone(&gate));
            async move {
                let _ = start.send(context.clone());
                tokio::select! {
                    () = gate.notified() => Ok("done".to_owned()),
                    reason = context.cancelled() => {
                        let _ = stop.send((reason, Instant::now()));
                        Err(HandlerError::new("stopped"))
                    }
                }
            }
        };
        let worker = Worker::builder()
            .server([scheduler.url.clone()])
            .queue_tcp_addresses([node.address.to_string()])
            .places(2)
            .handler("work", handler);
        let worker = change(worker).build().unwrap();
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(worker.run(shutdown.clone()));
        Self { scheduler, node, shutdown, go, started, stopped, worker: task }
    }

    /// The next attempt that a handler has begun.
    pub(crate) async fn begun(&mut self) -> Context {
        tokio::time::timeout(LIMIT, self.started.recv()).await.expect("a handler starts").unwrap()
    }

    /// How the next handler was stopped.
    pub(crate) async fn stopped(&mut self) -> (CancelReason, Instant) {
        tokio::time::timeout(LIMIT, self.stopped.recv()).await.expect("a handler is stopped").unwrap()
    }

    /// Waits for the worker's end.
    pub(crate) async fn ended(&mut self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(LIMIT, self.worker.join_next()).await;
        ended.expect("the worker ends").unwrap().unwrap()
    }
}

/// The outcome of a report in one word.
pub(crate) fn outcome(report: &FinishAttemptRequest) -> &'static str {
    match report.outcome.as_ref().unwrap() {
        Outcome::Succeeded(_) => "succeeded",
        Outcome::Failed(failed) if failed.timed_out => "timed out",
        Outcome::Failed(_) => "failed",
        Outcome::Cancelled(_) => "cancelled",
    }
}
