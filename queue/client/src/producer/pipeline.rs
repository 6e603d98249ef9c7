//! The loop of a producer's connection: publishes go out in order, and their answers come back in the same order.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::BytesMut;
use punctual_queue_wire::{
    command::Command,
    frame::{Frame, HEARTBEAT, OK},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use super::PublishOutcome;
use crate::connection::{CommandWriter, Connection, ConnectionError, FrameReader, ProtocolViolation};

/// Publishes taken from the queue at once.
const BATCH: usize = 256;

/// Bytes collected before they are written, so that a batch of large publishes does not lie in memory twice.
const WRITE_BYTES: usize = 256 * 1024;

const QUEUED: u8 = 0;
const WRITTEN: u8 = 1;
const TAKEN_BACK: u8 = 2;

/// A publish on its way to the loop. Who changes `state` first, the loop or the impatient caller, decides whether it
/// is written.
#[derive(Debug)]
pub(super) struct Request {
    command: Command,
    state: Arc<AtomicU8>,
    outcome: oneshot::Sender<PublishOutcome>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The caller's end of a [`Request`].
#[derive(Debug)]
pub(super) struct Answer {
    state: Arc<AtomicU8>,
    outcome: oneshot::Receiver<PublishOutcome>,
}

impl Request {
    pub(super) fn new(command: Command) -> (Self, Answer) {
        let state = Arc::new(AtomicU8::new(QUEUED));
        let (sender, receiver) = oneshot::channel();
        let request = Self { command, state: state.clone(), outcome: sender, permit: None };
        (request, Answer { state, outcome: receiver })
    }

    /// The permit is held until the answer is there, also when nobody waits for it any more.
    pub(super) fn with(self, permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    fn claim(&self) -> bool {
        change(&self.state, WRITTEN)
    }
}

impl Answer {
    pub(super) async fn outcome(&mut self) -> Result<PublishOutcome, oneshot::error::RecvError> {
        (&mut self.outcome).await
    }

    /// Whether the publish was kept from being written.
    pub(super) fn take_back(&self) -> bool {
        change(&self.state, TAKEN_BACK)
    }
}

impl Drop for Answer {
    /// What nobody waits for any more need not be written, should it still be in the queue.
    fn drop(&mut self) {
        self.take_back();
    }
}

fn change(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// A written publish: who waits for its answer, and its place among those in flight.
type Awaiting = (oneshot::Sender<PublishOutcome>, Option<OwnedSemaphorePermit>);

/// What the reading and the writing side of the loop share.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    awaiting: Mutex<VecDeque<Awaiting>>,
    heartbeat: Notify,
}

impl Pipeline {
    /// Runs until the connection ends. What was not answered is dropped, which its callers notice.
    pub(super) async fn run(
        self,
        connection: Connection,
        mut queue: mpsc::Receiver<Request>,
    ) -> ConnectionError {
        let Connection { frames, commands, .. } = connection;
        tokio::select! {
            end = self.read(frames) => end,
            end = self.write(commands, &mut queue) => end,
        }
    }

    async fn read(&self, mut frames: FrameReader) -> ConnectionError {
        loop {
            let outcome = match frames.next().await {
                Ok(Frame::Response(data)) if data == HEARTBEAT => {
                    self.heartbeat.notify_one();
                    continue;
                }
                Ok(Frame::Response(data)) if data == OK => PublishOutcome::Acknowledged,
                Ok(Frame::Error { code, text }) => PublishOutcome::Refused { code, text },
                Ok(Frame::Response(_) | Frame::Message(_)) => {
                    return frames.violation(ProtocolViolation::UnexpectedAnswer);
                }
                Err(error) => return error,
            };
            // Every error of a publish ends the connection on the node's side.
            let end = match &outcome {
                PublishOutcome::Refused { code, text } => Some(frames.refused(code, text)),
                _ => None,
            };
            let awaiting = self.awaiting().pop_front();
            match awaiting {
                // A caller that has gone does not need its outcome.
                Some((caller, _permit)) => drop(caller.send(outcome)),
                None if end.is_none() => return frames.violation(ProtocolViolation::UnexpectedAnswer),
                None => {}
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn write(
        &self,
        mut commands: CommandWriter,
        queue: &mut mpsc::Receiver<Request>,
    ) -> ConnectionError {
        let mut batch = Vec::with_capacity(BATCH);
        let mut out = BytesMut::new();
        loop {
            tokio::select! {
                // Zero means that the producer is gone; its loop is about to be dropped with it.
                taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 {
                    std::future::pending::<()>().await;
                },
                () = self.heartbeat.notified() => Command::Nop.encode(&mut out),
            }
            for request in batch.drain(..).filter(Request::claim) {
                request.command.encode(&mut out);
                self.awaiting().push_back((request.outcome, request.permit));
                if out.len() >= WRITE_BYTES
                    && let Err(error) = commands.write(&out.split()).await
                {
                    return error;
                }
            }
            if let Err(error) = commands.write(&out.split()).await {
                return error;
            }
        }
    }

    fn awaiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Awaiting>> {
        self.awaiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
