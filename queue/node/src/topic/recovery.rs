//! A topic's state from its checkpoint and the log behind it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use punctual_queue_log::log::Log;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::{DamagedRange, Entry as LogEntry};
use punctual_queue_wire::name::ChannelName;

use super::checkpoint::{ChannelCheckpoint, Checkpoint};
use super::load::Now;
use super::record::{self, Change, ChannelNumber, Entry};
use super::segments::Segments;
use super::settings::TopicSettings;
use super::waypoints::Waypoints;
use crate::channel::{DeadLetters, Progress};
use crate::error::TopicError;
use crate::message::{Batch, Sequence};

const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// A topic's state, built up record by record.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) next: Sequence,
    pub(crate) announced_end: Sequence,
    /// When the first message behind it was published; 0 where there is none.
    pub(crate) waiting_since_ns: i64,
    pub(crate) paused: bool,
    pub(crate) held: bool,
    pub(crate) settings: TopicSettings,
    pub(crate) next_channel: ChannelNumber,
    pub(crate) waypoints: Waypoints,
    pub(crate) segments: Segments,
    pub(crate) last_published_ns: i64,
    pub(crate) channels: BTreeMap<ChannelNumber, RecoveredChannel>,
    /// Records that have no meaning.
    pub(crate) unknown: u64,
    /// What could not be read.
    pub(crate) damage: Vec<DamagedRange>,
    /// How long the node keeps messages.
    retain: Option<Duration>,
    /// The number after the last message come across.
    seen_end: Sequence,
}

#[derive(Debug)]
pub(crate) struct RecoveredChannel {
    pub(crate) name: ChannelName,
    pub(crate) paused: bool,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) progress: Progress,
    pub(crate) attempts: HashMap<Sequence, u16>,
    put_off: HashMap<Sequence, PutOff>,
}

/// A message that a consumer put off.
#[derive(Debug, Clone, Copy)]
struct PutOff {
    /// When it was written down: nanoseconds since the Unix epoch.
    written_ns: i64,
    /// For how much longer, then.
    left: Duration,
}

impl Recovered {
    /// Reads the log from the checkpoint's place to its end. Messages are kept for `retain`.
    pub(crate) fn read(
        log: &Log,
        checkpoint: Option<Checkpoint>,
        retain: Option<Duration>,
    ) -> Result<Self, TopicError> {
        let from =
            checkpoint.as_ref().map_or(Position::START, |checkpoint| Position::from_u64(checkpoint.position));
        let mut recovered = Self::from_checkpoint(checkpoint.unwrap_or_default());
        recovered.retain = retain;
        let mut reader = log.read_from(from, READ_AHEAD_BYTES);
        while let Some(entry) = reader.next_entry()? {
            match entry {
                LogEntry::Record { position, record } => {
                    recovered.apply(position, record::decode(position, record));
                }
                LogEntry::Damaged(range) => recovered.damage.push(range),
            }
        }
        if !recovered.has_begun() {
            recovered.begin_at(Sequence::anywhere());
        }
        if recovered.hands_out() {
            recovered.announced_end = recovered.next;
        }
        Ok(recovered)
    }

    fn from_checkpoint(checkpoint: Checkpoint) -> Self {
        let (waypoints, segments) = (checkpoint.waypoints.into_iter(), checkpoint.segments.into_iter());
        let announced_end = Sequence(checkpoint.announced_end);
        Self {
            next: Sequence(checkpoint.next),
            announced_end,
            waiting_since_ns: checkpoint.waiting_since_ns,
            paused: checkpoint.paused,
            held: checkpoint.held,
            settings: checkpoint.settings,
            next_channel: ChannelNumber(checkpoint.next_channel),
            waypoints: waypoints.map(Into::into).collect(),
            segments: segments.map(|(segment, contents)| (SegmentId(segment), contents)).collect(),
            last_published_ns: checkpoint.last_published_ns,
            channels: checkpoint
                .channels
                .into_iter()
                .map(|channel| RecoveredChannel::from_checkpoint(channel, checkpoint.written_ns))
                .collect(),
            unknown: 0,
            damage: Vec::new(),
            retain: None,
            seen_end: announced_end,
        }
    }

    /// Whether it is known from where on the topic counts: a checkpoint says it, and all that names a message.
    fn has_begun(&self) -> bool {
        self.next > Sequence::ZERO
    }

    /// Nothing is known of any message before `first`. Later calls change nothing.
    fn begin_at(&mut self, first: Sequence) {
        if !self.has_begun() {
            (self.next, self.announced_end, self.seen_end) = (first, first, first);
        }
    }

    fn apply(&mut self, position: Position, entry: Entry) {
        match entry {
            Entry::Messages(batch, _) => self.apply_messages(&batch),
            Entry::Rest(batches, _) => batches.iter().for_each(|batch| self.apply_messages(batch)),
            Entry::Progress(channels, written_ns) => {
                for (number, unwritten) in channels {
                    for range in &unwritten.finished {
                        self.begin_at(range.end);
                        self.next = self.next.max(range.end);
                    }
                    let Some(channel) = self.channels.get_mut(&number) else { continue };
                    for range in unwritten.finished {
                        channel.progress.add_range(range);
                    }
                    channel.attempts.extend(unwritten.attempts);
                    for (sequence, left) in unwritten.put_off {
                        channel.put_off(sequence, PutOff { written_ns, left });
                    }
                }
            }
            Entry::Change(change) => self.apply_change(change),
            Entry::Unknown => {
                self.unknown += 1;
                tracing::error!(log.position = %position, "a record of the log has no meaning; it is left out");
            }
        }
    }

    fn apply_messages(&mut self, batch: &Batch) {
        self.begin_at(batch.first);
        self.waypoints.note(batch, self.settings.noted_every(self.retain));
        self.segments.note(batch);
        self.last_published_ns = self.last_published_ns.max(batch.timestamp_ns);
        if self.waiting_since_ns == 0 && batch.end() > self.announced_end {
            self.waiting_since_ns = batch.timestamp_ns;
        }
        self.seen_end = self.seen_end.max(batch.end());
        self.next = self.next.max(batch.end());
    }

    fn apply_change(&mut self, change: Change) {
        match change {
            Change::ChannelCreated { channel, name, start } => {
                self.next_channel = self.next_channel.max(ChannelNumber(channel.0 + 1));
                let start = Sequence(start);
                self.begin_at(start);
                self.channels.entry(channel).or_insert_with(|| RecoveredChannel {
                    name,
                    paused: false,
                    dead_letters: None,
                    progress: Progress::starting_at(start),
                    attempts: HashMap::new(),
                    put_off: HashMap::new(),
                });
                self.announce();
            }
            Change::ChannelDeleted { channel } => {
                self.announce();
                self.channels.remove(&channel);
            }
            Change::ChannelPaused { channel, paused } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.paused = paused;
                }
            }
            Change::ChannelDeadLetters { channel, dead_letters } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.dead_letters = dead_letters;
                }
            }
            Change::ChannelEmptied { channel, end } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.progress.add_range(channel.progress.floor()..Sequence(end));
                }
            }
            Change::TopicPaused { paused } => {
                self.announce();
                self.paused = paused;
                self.announce();
            }
            Change::TopicHeld { held } => {
                self.announce();
                self.held = held;
                self.announce();
            }
            Change::ChannelSought { channel, to } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.seek(Sequence(to));
                }
            }
            Change::TopicSettings { settings } => self.settings = settings,
            Change::TopicEmptied { start, end } => {
                let emptied: Range<_> = Sequence(start)..Sequence(end);
                self.begin_at(emptied.start);
                for channel in self.channels.values_mut() {
                    channel.progress.add_range(emptied.clone());
                }
                self.announced_end = self.announced_end.max(emptied.end);
                let some_wait = self.announced_end < self.seen_end;
                self.waiting_since_ns =
                    if some_wait { self.waypoints.published_ns(self.announced_end) } else { 0 };
            }
        }
    }

    fn hands_out(&self) -> bool {
        !self.paused && !self.held && !self.channels.is_empty()
    }

    /// What came before a change was the channels', unless the topic was paused.
    fn announce(&mut self) {
        if self.hands_out() {
            self.announced_end = self.announced_end.max(self.seen_end);
            self.waiting_since_ns = 0;
        }
    }
}

impl RecoveredChannel {
    fn from_checkpoint(checkpoint: ChannelCheckpoint, written_ns: i64) -> (ChannelNumber, Self) {
        let mut progress = Progress::starting_at(Sequence(checkpoint.floor));
        for (start, end) in checkpoint.finished {
            progress.add_range(Sequence(start)..Sequence(end));
        }
        let attempts = checkpoint.attempts.into_iter().map(|(s, attempts)| (Sequence(s), attempts));
        let mut channel = Self {
            name: checkpoint.name,
            paused: checkpoint.paused,
            dead_letters: checkpoint.dead_letters,
            progress,
            attempts: attempts.collect(),
            put_off: HashMap::new(),
        };
        for (sequence, left_ms) in checkpoint.put_off {
            channel.put_off(Sequence(sequence), PutOff { written_ns, left: Duration::from_millis(left_ms) });
        }
        (checkpoint.channel, channel)
    }

    fn seek(&mut self, to: Sequence) {
        self.progress.forget_from(to);
        self.attempts.retain(|sequence, _| *sequence < to);
        self.put_off.retain(|sequence, _| *sequence < to);
    }

    fn put_off(&mut self, sequence: Sequence, put_off: PutOff) {
        self.attempts.entry(sequence).or_insert(1); // who put it off had got it; how often is written later
        self.put_off.insert(sequence, put_off);
    }

    /// Until when messages before `end` are put off that are not done and not due.
    pub(crate) fn take_put_off(&mut self, end: Sequence, now: Now) -> HashMap<Sequence, Instant> {
        let put_off = std::mem::take(&mut self.put_off).into_iter();
        put_off
            .filter(|(sequence, _)| *sequence < end && !self.progress.contains(*sequence))
            .filter_map(|(sequence, put_off)| {
                Some((sequence, now.instant_of(put_off.written_ns, put_off.left)?))
            })
            .collect()
    }

    /// The attempts of messages that are not done.
    pub(crate) fn take_attempts(&mut self) -> HashMap<Sequence, u16> {
        let mut attempts = std::mem::take(&mut self.attempts);
        attempts.retain(|sequence, _| !self.progress.contains(*sequence));
        attempts
    }
}
