//! The task that keeps a topic going: hands new messages to the channels, reads old ones for them, minds their
//! time-outs, and writes down how far they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use punctual_queue_log::error::LogError;
use punctual_queue_log::log::Durability;
use punctual_queue_log::position::Position;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::snapshot::Checkpointed;
use super::{ChannelHandle, Topic, load, record};
use crate::channel::{Load, Loaded};
use crate::error::TopicError;
use crate::message::{Sequence, StoredMessage};

/// Checkpoints are this far apart at least, however fast segments fill.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for anything when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Something that was done on a thread that may block.
enum Done {
    Next(Arc<ChannelHandle>, Result<Loaded, LogError>),
    Again(Arc<ChannelHandle>, Vec<(Sequence, Position)>, Result<Vec<StoredMessage>, LogError>),
    Checkpoint(Result<Checkpointed, TopicError>),
}

struct Keeper {
    topic: Arc<Topic>,
    jobs: JoinSet<Done>,
    checkpointing: bool,
    last_checkpoint: Option<Checkpointed>,
    checkpoint_not_before: Instant,
}

impl Topic {
    /// Keeps the topic going until `stop`, or until it is retired. Stopped, it leaves a checkpoint of everything.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut keeper = Keeper {
            topic: Arc::clone(&self),
            jobs: JoinSet::new(),
            checkpointing: false,
            last_checkpoint: None,
            checkpoint_not_before: Instant::now() + CHECKPOINT_INTERVAL,
        };
        while !self.is_retired() {
            let wake_at = keeper.tend();
            tokio::select! {
                () = self.keeper.notified() => {}
                () = sleep_until(wake_at.into()) => {}
                Some(done) = keeper.jobs.join_next() => {
                    if let Ok(done) = done {
                        keeper.on_done(done);
                    }
                }
                () = stop.cancelled() => break,
            }
        }
        keeper.finish().await;
    }
}

impl Keeper {
    /// Does all that is to be done now; says when to come back.
    fn tend(&mut self) -> Instant {
        let topic = Arc::clone(&self.topic);
        topic.distribute();
        let now = Instant::now();
        let mut wake_at = now + IDLE;
        let mut unwritten = Vec::new();
        for handle in topic.channels() {
            let load = handle.with_for_keeper(|channel, now| {
                channel.handle_timeout(now);
                if let Some(news) = channel.take_unwritten(now).filter(|_| !handle.name.is_ephemeral()) {
                    unwritten.push((handle.number, news));
                }
                channel.take_load(now)
            });
            wake_at = wake_at.min(handle.plan().unwrap_or(wake_at));
            if let Some(load) = load {
                self.start(handle, load);
            }
        }
        if !unwritten.is_empty() {
            topic.write_progress(&unwritten);
        }
        if self.wants_checkpoint() && !self.checkpointing {
            if now >= self.checkpoint_not_before {
                self.checkpointing = true;
                topic.wants_checkpoint.store(false, Ordering::Relaxed);
                self.jobs.spawn_blocking(move || Done::Checkpoint(topic.checkpoint()));
            } else {
                wake_at = wake_at.min(self.checkpoint_not_before);
            }
        }
        wake_at
    }

    fn start(&mut self, handle: Arc<ChannelHandle>, load: Load) {
        let log = self.topic.log.clone();
        let now = load::Now::of(&self.topic.context);
        self.jobs.spawn_blocking(move || match load {
            Load::Next { from, end } => Done::Next(handle, load::next(&log, from, end, now)),
            Load::Again(wanted) => {
                let messages = load::again(&log, &wanted);
                Done::Again(handle, wanted, messages)
            }
        });
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Next(handle, Ok(loaded)) => {
                self.topic.context.metrics.corrupt_records(u64::from(loaded.damaged));
                handle.with(|channel, now| channel.loaded(loaded, now));
            }
            Done::Again(handle, wanted, Ok(messages)) => {
                handle.with(|channel, _| channel.reloaded(&wanted, messages));
            }
            Done::Next(handle, Err(e)) | Done::Again(handle, _, Err(e)) => {
                let (topic, channel) = (&self.topic.name, &handle.name);
                tracing::error!(%topic, %channel, error = %e, "could not read messages; trying again");
                handle.with(|channel, now| channel.load_failed(now));
            }
            Done::Checkpoint(result) => {
                self.checkpointing = false;
                self.checkpoint_not_before = Instant::now() + CHECKPOINT_INTERVAL;
                match result {
                    Ok(checkpointed) => self.last_checkpoint = Some(checkpointed),
                    Err(e) => {
                        let topic = &self.topic.name;
                        tracing::warn!(%topic, error = %e, "could not write a checkpoint; trying again");
                        self.topic.want_checkpoint();
                    }
                }
            }
        }
    }

    /// Whether a segment was filled since the last checkpoint, or one could be removed.
    fn wants_checkpoint(&self) -> bool {
        let topic = &self.topic;
        if topic.wants_checkpoint.load(Ordering::Relaxed) {
            return true;
        }
        let (first, end) = (topic.log.first_segment(), topic.log.end());
        let covered = self.last_checkpoint.map(|last| last.position.segment);
        let filled = covered.is_some_and(|covered| covered < end.segment)
            || covered.is_none() && first.is_some_and(|first| first < end.segment);
        filled || first.is_some_and(|first| first < end.segment) && first < Some(topic.needed().segment)
    }

    /// The last words before the process ends.
    async fn finish(mut self) {
        while self.jobs.join_next().await.is_some() {}
        if self.topic.is_retired() {
            return;
        }
        self.topic.distribute();
        let topic = Arc::clone(&self.topic);
        self.jobs.spawn_blocking(move || Done::Checkpoint(topic.checkpoint()));
        while let Some(done) = self.jobs.join_next().await {
            if let Ok(Done::Checkpoint(Err(e))) = done {
                // The log has it all; the next start only takes longer.
                tracing::warn!(topic = %self.topic.name, error = %e, "could not write the last checkpoint");
            }
        }
    }
}

impl Topic {
    /// Hands what has reached the disk to the channels.
    fn distribute(&self) {
        let batches = std::mem::take(&mut *self.committed.lock());
        let mut core = self.core.lock();
        let before = core.committed_end;
        for batch in &batches {
            core.waypoints.note(batch.first, batch.position);
            core.committed_end = core.committed_end.max(batch.end());
            core.message_count += batch.bodies.len() as u64;
            core.message_bytes += batch.bodies.body_bytes() as u64;
        }
        if core.paused || core.channels.is_empty() {
            return;
        }
        let waited = core.announced_end < before;
        core.announced_end = core.committed_end;
        let end = core.committed_end;
        // The core stays locked: a pause or a delete must not come between the decision and the channels.
        for handle in core.channels.values() {
            handle.with_for_keeper(|channel, now| {
                if waited {
                    channel.released(end); // the topic was paused; they are read from the log
                }
                let mut previous_end = before;
                for batch in &batches {
                    channel.published(batch, previous_end, now);
                    previous_end = batch.end();
                }
            });
        }
    }

    /// Writes down what channels finished and delivered, without waiting for the disk.
    fn write_progress(self: &Arc<Self>, unwritten: &[(record::ChannelNumber, crate::channel::Unwritten)]) {
        let topic = Arc::clone(self);
        let complete = move |result: Result<Position, _>| {
            if result.is_err() {
                topic.want_checkpoint(); // no room in the log: the checkpoint will say it
            }
        };
        self.log.append(
            record::progress(unwritten, self.context.unix_ns()),
            Durability::Written,
            Box::new(complete),
        );
    }

    /// From where on the log holds messages that are wanted.
    fn needed(&self) -> Position {
        let core = self.core.lock();
        core.waypoints.before(core.floor())
    }
}
