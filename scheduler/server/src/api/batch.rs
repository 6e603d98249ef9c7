//! Gathers calls that arrive together into one call of the store.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

/// How a [`Batcher`] gathers.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    /// Items in one call.
    pub(super) items: usize,
    /// Bytes after which a call takes no further item.
    pub(super) bytes: usize,
    /// Bytes of all items that wait or are being answered. Further ones wait to be taken, which is what slows
    /// their senders down.
    pub(super) pending_bytes: usize,
}

/// What every item costs beside its own bytes.
const ITEM_OVERHEAD: usize = 1024;

/// Items handed over but not yet gathered. Short: those behind wait for room in `pending_bytes`.
const QUEUE: usize = 1024;

/// The owner of a batcher has stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this scheduler is stopping")]
pub(super) struct BatcherStopped;

/// Hands items in and gets each its own answer. Cheap to clone.
///
/// An idle batcher passes an item on at once. While a call runs, items gather, and go together when it ends or when
/// they fill a call of their own, of which a second may run beside the first. So the wait adapts to the load and no
/// timer delays anyone.
///
/// An item that was taken is answered even when its sender has left.
#[derive(Debug)]
pub(super) struct Batcher<T, R> {
    items: mpsc::Sender<Item<T, R>>,
    room: Arc<Semaphore>,
    pending_bytes: usize,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { items: self.items.clone(), room: Arc::clone(&self.room), pending_bytes: self.pending_bytes }
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// A batcher around `call`, which must answer every item in order. The loop is to be run by the caller; it ends
    /// when the last clone of the batcher is gone and everything is answered.
    pub(super) fn new<F>(limits: BatchLimits, call: F) -> (Self, BatchLoop<T, R>)
    where
        F: Fn(Vec<T>) -> BoxFuture<'static, Vec<R>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(QUEUE);
        let room = Arc::new(Semaphore::new(limits.pending_bytes));
        let batcher = Self { items: sender, room, pending_bytes: limits.pending_bytes };
        (batcher, BatchLoop { items, limits, call: Box::new(call) })
    }

    /// Hands one item of about `bytes` in and waits for its answer.
    ///
    /// # Errors
    /// When the loop has ended; the item may have been acted on.
    pub(super) async fn submit(&self, item: T, bytes: usize) -> Result<R, BatcherStopped> {
        self.enqueue(item, bytes).await?.await.map_err(|_| BatcherStopped)
    }

    /// Hands several items in, each with its bytes, and waits for all answers, in order.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub(super) async fn submit_all(&self, items: Vec<(T, usize)>) -> Result<Vec<R>, BatcherStopped> {
        // One after the other, so that many large items never need more room than there is.
        let mut answers = Vec::with_capacity(items.len());
        for (item, bytes) in items {
            answers.push(self.enqueue(item, bytes).await?);
        }
        let mut taken = Vec::with_capacity(answers.len());
        for answer in answers {
            taken.push(answer.await.map_err(|_| BatcherStopped)?);
        }
        Ok(taken)
    }

    async fn enqueue(&self, item: T, bytes: usize) -> Result<oneshot::Receiver<R>, BatcherStopped> {
        let bytes = (bytes + ITEM_OVERHEAD).min(self.pending_bytes);
        let weight = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(weight).await.map_err(|_| BatcherStopped)?;
        let (answer, answered) = oneshot::channel();
        self.items.send(Item { item, bytes, answer, room }).await.map_err(|_| BatcherStopped)?;
        Ok(answered)
    }
}

#[derive(Debug)]
struct Item<T, R> {
    item: T,
    bytes: usize,
    answer: oneshot::Sender<R>,
    room: OwnedSemaphorePermit,
}

type Call<T, R> = Box<dyn Fn(Vec<T>) -> BoxFuture<'static, Vec<R>> + Send>;

/// The task behind a [`Batcher`].
pub(super) struct BatchLoop<T, R> {
    items: mpsc::Receiver<Item<T, R>>,
    limits: BatchLimits,
    call: Call<T, R>,
}

/// Calls in flight at once: while one waits for the disk, a full one can be on its way.
const FLIGHTS: usize = 2;

impl<T: Send + 'static, R: Send + 'static> BatchLoop<T, R> {
    /// Gathers and calls until the last [`Batcher`] is gone and everything is answered.
    pub(super) async fn run(mut self) {
        let mut flights = JoinSet::new();
        let mut batch = Batch::new();
        loop {
            while !batch.is_full(&self.limits)
                && let Ok(item) = self.items.try_recv()
            {
                batch.push(item);
            }
            let full = batch.is_full(&self.limits);
            if !batch.items.is_empty() && (flights.is_empty() || (full && flights.len() < FLIGHTS)) {
                flights.spawn(batch.fly(&self.call));
                batch = Batch::new();
                continue;
            }
            tokio::select! {
                item = self.items.recv(), if !full => match item {
                    Some(item) => batch.push(item),
                    None => break, // the last batcher is gone
                },
                Some(landed) = flights.join_next() => log_panic(landed),
            }
        }
        flights.spawn(batch.fly(&self.call));
        while let Some(landed) = flights.join_next().await {
            log_panic(landed);
        }
    }
}

struct Batch<T, R> {
    items: Vec<T>,
    bytes: usize,
    waiting: Vec<(oneshot::Sender<R>, OwnedSemaphorePermit)>,
}

impl<T: Send + 'static, R: Send + 'static> Batch<T, R> {
    fn new() -> Self {
        Self { items: Vec::new(), bytes: 0, waiting: Vec::new() }
    }

    fn push(&mut self, item: Item<T, R>) {
        self.items.push(item.item);
        self.bytes += item.bytes;
        self.waiting.push((item.answer, item.room));
    }

    fn is_full(&self, limits: &BatchLimits) -> bool {
        self.items.len() >= limits.items || self.bytes >= limits.bytes
    }

    fn fly(self, call: &Call<T, R>) -> impl Future<Output = ()> + Send + use<T, R> {
        let Self { items, waiting, .. } = self;
        let called = (!items.is_empty()).then(|| call(items));
        async move {
            let Some(called) = called else { return };
            for ((answer, _room), result) in waiting.into_iter().zip(called.await) {
                // A sender that left no longer wants to know.
                let _gone = answer.send(result);
            }
        }
    }
}

fn log_panic(landed: Result<(), JoinError>) {
    if let Err(error) = landed {
        tracing::error!(%error, "a batched call panicked; its callers were told that nobody answered");
    }
}

#[cfg(test)]
mod tests;
