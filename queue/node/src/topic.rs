//! A topic: its log, and the channels that read it.

mod burial;
mod channel_handle;
mod channels;
mod checkpoint;
mod compaction;
mod counts;
mod keeper;
mod load;
mod mailbox;
mod opening;
mod peek;
mod publishing;
mod record;
mod recovery;
mod retention;
mod seeking;
mod segments;
mod settings;
mod snapshot;
mod upkeep;
mod waypoints;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::DamagedRange;
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
use peek::Peek;
pub(crate) use peek::{Seen, due_in};
pub(crate) use record::count_messages;
use record::{Change, ChannelNumber};
use recovery::Recovered;
use seeking::Seek;
use segments::Segments;
pub(crate) use settings::{DepthLimit, TopicSettings, WhenFull};
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
    /// When the first of those was published: nanoseconds since the Unix epoch. Nothing where there is none.
    waiting_since_ns: i64,
    paused: bool,
    /// The lookups were not asked yet which channels it has elsewhere.
    held: bool,
    deleted: bool,
    settings: TopicSettings,
    is_ephemeral: bool,
    /// How many messages may wait where that is ephemeral.
    most_ephemeral: u64,
    channels: BTreeMap<ChannelName, Arc<ChannelHandle>>,
    next_channel: ChannelNumber,
    waypoints: Waypoints,
    segments: Segments,
    /// When the last message was published that is on the disk: nanoseconds since the Unix epoch.
    last_published_ns: i64,
    /// Messages that were too old before any channel had them.
    expired: u64,
    /// Messages that were too many before any channel had them.
    overflowed: u64,
    /// Since the process started.
    message_count: u64,
    message_bytes: u64,
    /// Who waits to see messages.
    peeks: Vec<Peek>,
    /// Who waits for a channel to go back.
    seeks: Vec<Seek>,
}

/// What is known of the files beside the log.
#[derive(Debug)]
struct Files {
    /// The place of the checkpoint on the disk, or of its copy where that is older.
    checkpointed: Option<Position>,
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
        let is_ephemeral = name.is_ephemeral();
        let core = Core { is_ephemeral, ..Core::from_recovered(recovered, &keeper, &context) };
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
            self.skip(&mut core, end);
            self.record(&Change::TopicEmptied { start: start.0, end: end.0 })
        };
        received(receipt).await
    }

    /// No channel gets what waits in the topic itself before `end`.
    fn skip(&self, core: &mut Core, end: Sequence) {
        core.announced_end = end;
        core.waiting_since_ns = core.waypoints.published_ns(end);
        for channel in core.channels.values() {
            channel.with(|channel, _| channel.skipped(end));
        }
    }

    /// Refuses everything from now on and ends the consumers' connections; the files stay.
    pub(crate) fn retire(&self) {
        let channels = {
            let mut core = self.core.lock();
            core.deleted = true;
            std::mem::take(&mut core.channels)
        };
        self.turn_away();
        self.log.close();
        for channel in channels.values() {
            channel.delete();
        }
        self.keeper.notify_one();
    }

    /// Whoever waits for the keeper waits in vain.
    fn turn_away(&self) {
        let mut core = self.core.lock();
        core.peeks.clear();
        core.seeks.clear();
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
    /// Whether messages stay in the topic although there may be channels.
    fn keeps_back(&self) -> bool {
        self.paused || self.held
    }

    fn from_recovered(recovered: Recovered, keeper: &Arc<Notify>, context: &Context) -> Self {
        let Recovered { next, announced_end, paused, held, next_channel, waypoints, channels, .. } =
            recovered;
        let Recovered { segments, settings, last_published_ns, waiting_since_ns, .. } = recovered;
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
                dead_letters: recovered.dead_letters,
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
            waiting_since_ns,
            paused,
            held,
            deleted: false,
            settings,
            is_ephemeral: false,
            most_ephemeral: context.options.mem_queue_size,
            next_channel,
            waypoints,
            segments,
            last_published_ns,
            expired: 0,
            overflowed: 0,
            message_count: 0,
            message_bytes: 0,
            peeks: Vec::new(),
            seeks: Vec::new(),
        }
    }
}

/// Waits for a receipt.
pub(crate) async fn received(receipt: Receipt) -> Result<(), TopicError> {
    // Every append is completed; one that is not was dropped with a committer that is gone.
    receipt.await.unwrap_or(Err(TopicError::Exiting))
}

/// The same, where there may be nothing to wait for.
async fn received_if_any(receipt: Option<Receipt>) -> Result<(), TopicError> {
    match receipt {
        Some(receipt) => received(receipt).await,
        None => Ok(()),
    }
}
