//! A topic: its log, and the channels that read it.

mod channel_handle;
mod channels;
mod checkpoint;
mod compaction;
mod keeper;
mod load;
mod mailbox;
mod record;
mod recovery;
mod retention;
mod segments;
mod snapshot;
mod upkeep;
mod waypoints;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::DamagedRange;
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::name::{ChannelName, TopicName};
use tokio::sync::{Notify, oneshot};

use crate::channel::{Channel, Origin};
use crate::error::TopicError;
use crate::latency::LatencyMeter;
use crate::message::{Batch, Sequence};
use crate::node::Context;
pub(crate) use channel_handle::{ChannelHandle, NotAdded};
pub use checkpoint::CheckpointHealth;
pub(crate) use checkpoint::{Checkpoint, Loaded};
pub(crate) use mailbox::Mailbox;
pub(crate) use record::count_messages;
use record::{Change, ChannelNumber};
use recovery::Recovered;
use segments::Segments;
use waypoints::Waypoints;

/// One topic. Its messages are in the log; here is what has happened to them.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    dir: PathBuf,
    log: Log,
    context: Arc<Context>,
    /// Held for computing and for handing records to the log, so that these stand there in the order of their
    /// numbers; never while waiting for the disk. Taken before a channel's lock, never after.
    core: Mutex<Core>,
    /// Batches that are on the disk and not yet with the channels. The committer's thread puts them here. Locked for a
    /// moment, with or without the core.
    committed: Mutex<Vec<Batch>>,
    keeper: Arc<Notify>,
    /// There is something that only a checkpoint keeps: a change that the disk refused, damage, segments to rewrite.
    wants_checkpoint: AtomicBool,
    /// Held while files are replaced or removed by their names, which are another topic's after a delete. Taken before
    /// the core.
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Core {
    /// The number of the next message to be published.
    next: Sequence,
    /// The number after the last message that is on the disk.
    committed_end: Sequence,
    /// The number after the last message that channels know of. Messages behind it wait in the topic, because it is
    /// paused or has no channels.
    announced_end: Sequence,
    paused: bool,
    deleted: bool,
    channels: BTreeMap<ChannelName, Arc<ChannelHandle>>,
    next_channel: ChannelNumber,
    waypoints: Waypoints,
    segments: Segments,
    /// When the last message was published that is on the disk: nanoseconds since the Unix epoch.
    last_published_ns: i64,
    /// Messages that were too old before any channel had them.
    expired: u64,
    /// Since the process started.
    message_count: u64,
    message_bytes: u64,
}

/// What is known of the files beside the log.
#[derive(Debug)]
struct Files {
    /// The place of the checkpoint on the disk, or of its copy where that is older.
    checkpointed: Option<Position>,
}

/// What `/stats` says of a topic itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopicCounts {
    pub(crate) depth: u64,
    pub(crate) message_count: u64,
    pub(crate) message_bytes: u64,
    pub(crate) expired: u64,
    pub(crate) paused: bool,
}

/// Says when, and how, a publish ended.
pub(crate) type Receipt = oneshot::Receiver<Result<(), TopicError>>;

impl Topic {
    /// Opens the topic in `dir`, making it where there is none. Blocks on the disk.
    pub(crate) fn open(
        name: TopicName,
        dir: PathBuf,
        context: Arc<Context>,
    ) -> Result<Arc<Self>, TopicError> {
        let disk = context.committer.disk();
        disk.create_dir_all(&dir).map_err(TopicError::io("make the directory of"))?;
        let Loaded { mut checkpoint, mut oldest, is_alone } = Checkpoint::load(disk.as_ref(), &dir)?;
        let intact_before =
            checkpoint.as_ref().map_or(Position::START, |checkpoint| Position::from_u64(checkpoint.position));
        let options = LogOptions::default();
        let (log, recovery) = Log::open(&dir.join("log"), options, &context.committer, intact_before)?;
        if recovery.torn_bytes > 0 {
            tracing::warn!(
                topic = %name, log.torn_bytes = recovery.torn_bytes,
                "dropped the end of the log: an append that was never acknowledged",
            );
        }
        if let Some(checkpoint) = &mut checkpoint
            && checkpoint.cut_to(log.end())
        {
            tracing::error!(
                topic = %name, log.end = %log.end(),
                "the log ends before its checkpoint: a part of it is gone, and the messages in that",
            );
            // Before anything is appended that the old one would skip.
            checkpoint.store(disk.as_ref(), &dir)?;
            oldest = Some(log.end());
        }
        let known = checkpoint.as_ref().map(|checkpoint| checkpoint.damage.clone()).unwrap_or_default();
        for (segment, from, to) in known {
            log.note_damage(DamagedRange { segment: SegmentId(segment), from, to }); // it was reported then
        }
        let mut recovered = Recovered::read(&log, checkpoint, context.options.retain)?;
        context.metrics.corrupt_records(recovered.unknown);
        let damage = recovery.damage.into_iter().chain(std::mem::take(&mut recovered.damage));
        let keeper = Arc::new(Notify::new());
        let core = Core::from_recovered(recovered, &keeper, &context);
        let topic = Arc::new(Self {
            name,
            dir,
            log,
            context,
            core: Mutex::new(core),
            committed: Mutex::default(),
            keeper,
            wants_checkpoint: AtomicBool::new(is_alone),
            files: Mutex::new(Files { checkpointed: oldest.filter(|_| !is_alone) }),
        });
        damage.for_each(|range| topic.report_damage(range));
        Ok(topic)
    }

    /// A part of the log cannot be read. It is stepped over, and its segment kept for a person to look at.
    fn report_damage(&self, range: DamagedRange) {
        if self.log.note_damage(range) {
            self.context.metrics.corrupt_records(1);
            self.want_checkpoint(); // so that it is known as long as the segment is there
            tracing::error!(
                topic = %self.name, log.segment = %range.segment, log.from = range.from, log.to = range.to,
                "a part of the log cannot be read; it is left out, and its segment is kept",
            );
        }
    }

    /// Publishes messages, all or none. The receipt says `Ok` once they are on the disk.
    /// They are delivered once `delay` is over.
    pub(crate) fn publish(self: &Arc<Self>, bodies: Bodies, delay: Duration) -> Receipt {
        let (done, receipt) = oneshot::channel();
        let timestamp_ns = self.context.unix_ns();
        let due = (!delay.is_zero()).then(|| Instant::now() + delay);
        let mut core = self.core.lock();
        if core.deleted {
            let _ = done.send(Err(TopicError::Deleted)); // the receipt is right here
            return receipt;
        }
        let first = core.next;
        core.next = first.plus(bodies.len() as u64);
        let record = record::messages(first, timestamp_ns, delay, &bodies);
        let topic = Arc::clone(self);
        let complete = move |result: Result<Position, AppendError>| {
            topic.context.health.wrote(&result);
            let answer = result.map_err(TopicError::from).map(|position| {
                topic.committed.lock().push(Batch { position, first, timestamp_ns, due, bodies });
            });
            let _ = done.send(answer); // a publisher that is gone does not want to know
            topic.keeper.notify_one(); // after it, for the publisher waits
        };
        self.log.append(record, Durability::Synced, Box::new(complete));
        receipt
    }

    /// Records a change to be followed by `Ok` once it is on the disk. Called with the core locked, so that changes
    /// stand in the log in the order they were made.
    fn record(&self, change: &Change) -> Receipt {
        let (done, receipt) = oneshot::channel();
        let complete = move |result: Result<Position, AppendError>| {
            let _ = done.send(result.map(drop).map_err(TopicError::from));
        };
        self.log.append(record::change(change), Durability::Synced, Box::new(complete));
        receipt
    }

    /// Stops or resumes handing messages to the channels.
    pub(crate) async fn set_paused(&self, paused: bool) -> Result<(), TopicError> {
        let receipt = {
            let mut core = self.core.lock();
            core.paused = paused;
            self.record(&Change::TopicPaused { paused })
        };
        self.keeper.notify_one();
        received(receipt).await
    }

    /// Drops what waits in the topic itself, because it is paused or has no channels.
    pub(crate) async fn empty(&self) -> Result<(), TopicError> {
        self.distribute();
        let receipt = {
            let mut core = self.core.lock();
            let (start, end) = (core.announced_end, core.committed_end);
            core.announced_end = end;
            for channel in core.channels.values() {
                channel.with(|channel, _| channel.skipped(end));
            }
            self.record(&Change::TopicEmptied { start: start.0, end: end.0 })
        };
        received(receipt).await
    }

    pub(crate) fn counts(&self) -> TopicCounts {
        self.distribute();
        let core = self.core.lock();
        TopicCounts {
            depth: core.committed_end.0 - core.announced_end.0,
            message_count: core.message_count,
            message_bytes: core.message_bytes,
            expired: core.expired,
            paused: core.paused,
        }
    }

    /// Refuses everything from now on and ends the consumers' connections; the files stay.
    pub(crate) fn retire(&self) {
        let channels = {
            let mut core = self.core.lock();
            core.deleted = true;
            std::mem::take(&mut core.channels)
        };
        self.log.close();
        for channel in channels.values() {
            channel.delete();
        }
        self.keeper.notify_one();
    }

    /// Gives the topic's directory another name. Blocks on the disk.
    pub(crate) fn move_files(&self, to: &Path) -> Result<(), TopicError> {
        let _files = self.files.lock();
        let disk = self.context.committer.disk();
        disk.rename(&self.dir, to).map_err(TopicError::io("remove"))
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.core.lock().deleted
    }

    fn want_checkpoint(&self) {
        self.wants_checkpoint.store(true, Ordering::Relaxed);
    }
}

impl Core {
    fn from_recovered(recovered: Recovered, keeper: &Arc<Notify>, context: &Context) -> Self {
        let Recovered { next, announced_end, paused, next_channel, waypoints, channels, .. } = recovered;
        let Recovered { segments, last_published_ns, .. } = recovered;
        let now = load::Now::of(context);
        let channels = channels.into_iter().map(|(number, mut recovered)| {
            let attempts = recovered.take_attempts();
            let put_off = recovered.take_put_off(announced_end, now);
            let origin = Origin {
                load_from: waypoints.before(recovered.progress.floor()),
                progress: recovered.progress,
                attempts,
                put_off,
                paused: recovered.paused,
                end: announced_end,
                max_message_timeout: context.options.max_msg_timeout,
            };
            let name = recovered.name;
            let (channel, latency) = (Channel::new(origin), LatencyMeter::of(context));
            let handle = ChannelHandle::new(name.clone(), number, channel, latency, Arc::clone(keeper));
            (name, Arc::new(handle))
        });
        Self {
            channels: channels.collect(),
            next,
            committed_end: next,
            announced_end,
            paused,
            deleted: false,
            next_channel,
            waypoints,
            segments,
            last_published_ns,
            expired: 0,
            message_count: 0,
            message_bytes: 0,
        }
    }
}

/// Waits for a receipt.
pub(crate) async fn received(receipt: Receipt) -> Result<(), TopicError> {
    // Every append is completed; one that is not was dropped with a committer that is gone.
    receipt.await.unwrap_or(Err(TopicError::Exiting))
}
