//! One topic: from its consumer to its files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use punctual_queue_client::consumer::{Consumer, Delivery};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::spool::{Record, Spool, SpoolError};
use crate::time_of_day::TimeOfDay;

/// Writes what a consumer receives, and finishes it once it is durable.
#[derive(Debug)]
pub(super) struct TopicWriter {
    consumer: Consumer,
    /// Used by one thread at a time; the lock hands it over.
    spool: Arc<Mutex<Spool>>,
    batch: Batch<Delivery>,
    time_of_day: TimeOfDay,
}

enum Event {
    Reopen,
    Tick,
    Message(Delivery),
}

impl TopicWriter {
    /// At most `limit` messages are written before they are synced. That many have to be allowed in flight.
    pub(super) fn new(
        consumer: Consumer,
        spool: Spool,
        limit: usize,
        sync_interval: Duration,
        time_of_day: TimeOfDay,
    ) -> Self {
        let batch = Batch::new(limit, sync_interval, Instant::now());
        Self { consumer, spool: Arc::new(Mutex::new(spool)), batch, time_of_day }
    }

    /// Runs until `stop`, and then finishes what it has. Whenever `reopen` changes, the file is closed.
    ///
    /// # Errors
    /// A file failed: what was not yet finished is delivered again.
    pub(super) async fn run(
        mut self,
        stop: CancellationToken,
        mut reopen: watch::Receiver<u64>,
    ) -> Result<(), SpoolError> {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = reopen.changed() => Event::Reopen,
                () = sleep_until(self.batch.next_sync()) => Event::Tick,
                Some(delivery) = self.consumer.recv() => Event::Message(delivery),
            };
            match event {
                Event::Reopen => {
                    self.sync().await?;
                    self.on_disk(Spool::close).await?;
                }
                Event::Tick => self.tick().await?,
                Event::Message(delivery) => self.write(delivery).await?,
            }
        }
        self.stop().await
    }

    /// Writes a message and those that came with it.
    async fn write(&mut self, first: Delivery) -> Result<(), SpoolError> {
        let (now, at) = (Instant::now(), self.time_of_day.now());
        let mut records = Vec::new();
        let mut next = Some(first);
        while let Some(delivery) = next {
            records.push(Record { body: delivery.message().body.clone(), at });
            let timeout = delivery.timeout();
            self.batch.push(delivery, timeout, now);
            next = if self.batch.is_full() { None } else { self.consumer.try_recv() };
        }
        let has_rotated = self.on_disk(move |spool| spool.write(&records)).await?;
        if has_rotated || self.batch.is_full() || self.consumer.is_starved() {
            self.sync().await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), SpoolError> {
        if self.batch.tick(Instant::now()) {
            let now = self.time_of_day.now();
            self.on_disk(move |spool| spool.tick(&now)).await?;
        }
        self.sync().await
    }

    /// Makes what was written durable, and finishes it.
    async fn sync(&mut self) -> Result<(), SpoolError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.on_disk(Spool::sync).await?;
        for delivery in self.batch.take() {
            delivery.finish();
        }
        Ok(())
    }

    async fn stop(mut self) -> Result<(), SpoolError> {
        self.consumer.set_max_in_flight(0);
        while let Some(delivery) = self.consumer.try_recv() {
            self.write(delivery).await?;
        }
        self.sync().await?;
        self.on_disk(Spool::close).await?;
        self.consumer.close().await;
        Ok(())
    }

    /// Does something with the files on a thread that may block.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let spool = Arc::clone(&self.spool);
        let done = spawn_blocking(move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner)));
        match done.await {
            Ok(outcome) => outcome,
            // Nothing cancels it.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
