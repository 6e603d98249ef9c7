//! Keeping the disk in proportion to what is wanted: full segments of which most is not are written anew without it.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use punctual_queue_log::log::Log;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::record::Record;
use punctual_queue_log::rewrite::Rewritten;
use punctual_queue_wire::bodies::Packing;
use roaring::RoaringTreemap;

use super::record::{self, Entry};
use super::segments::{Contents, Segments};
use super::{Core, Topic};
use crate::channel::Progress;
use crate::error::TopicError;
use crate::message::{Batch, Sequence};

/// A segment to be rewritten, and the messages in it that nobody wants.
#[derive(Debug)]
pub(super) struct Rewrite {
    pub(super) segment: SegmentId,
    contents: Contents,
    unwanted: RoaringTreemap,
}

/// A rewritten segment that is not in its place yet.
#[derive(Debug)]
pub(super) struct Replacement {
    rewritten: Rewritten,
    contents: Contents,
}

/// What decides which segments are rewritten, as of one moment.
#[derive(Debug)]
pub(super) struct Survey {
    /// All full segments and their sizes, but for damaged ones, which stay as they are.
    sealed: Vec<(SegmentId, u32)>,
    /// Those before this one may be rewritten: all their messages are known to the channels.
    before: SegmentId,
    contents: Segments,
    channels: Vec<Progress>,
    /// Those behind this one are wanted whatever the channels did.
    unwanted_before: Sequence,
    /// Bytes the log may take beside twice what is wanted.
    slack: u64,
}

impl Survey {
    /// Called with the core locked; `end` is where the log ended a moment before.
    pub(super) fn new(log: &Log, core: &Core, end: Position, now_ns: i64) -> Self {
        let damaged: BTreeSet<_> = log.damage().iter().map(|range| range.segment).collect();
        let mut sealed = log.sealed_segments();
        sealed.retain(|(segment, _)| *segment < end.segment && !damaged.contains(segment));
        // A message that is not announced to the keeper yet would not hear that it has moved.
        let nothing_under_way = core.next == core.committed_end;
        let before = if nothing_under_way { Some(end.segment) } else { core.waypoints.last_segment() };
        Self {
            sealed,
            before: before.unwrap_or(SegmentId(0)),
            contents: core.segments.clone(),
            channels: core.channels.values().map(|channel| channel.look(|c| c.progress().clone())).collect(),
            unwanted_before: core.announced_end.min(core.kept_from(now_ns)),
            slack: u64::from(log.segment_capacity()),
        }
    }

    fn total_bytes(&self) -> u64 {
        self.sealed.iter().map(|(_, bytes)| u64::from(*bytes)).sum()
    }

    /// The segments to rewrite, those first of which least is wanted, until the log takes no more than twice what is.
    pub(super) fn plan(&self) -> VecDeque<Rewrite> {
        let mut excess = self.total_bytes();
        if excess <= self.slack {
            return VecDeque::new();
        }
        let mut candidates = Vec::new();
        let mut live_total = 0;
        for &(segment, bytes) in &self.sealed {
            let contents =
                self.contents.get(segment).unwrap_or(Contents { first: 0, end: 0, messages: 0, bytes: 0 });
            let unwanted = self.unwanted(contents);
            let live = contents.live_bytes((contents.end - contents.first).saturating_sub(unwanted.len()));
            live_total += live;
            if segment < self.before && live * 2 < u64::from(bytes) {
                candidates.push((live, u64::from(bytes), Rewrite { segment, contents, unwanted }));
            }
        }
        candidates.sort_by_key(|(live, bytes, _)| live * 1000 / bytes);
        let allowed = 2 * live_total + self.slack;
        let mut plan = VecDeque::new();
        for (live, bytes, rewrite) in candidates {
            if excess <= allowed {
                break;
            }
            excess = excess.saturating_sub(bytes.saturating_sub(live));
            plan.push_back(rewrite);
        }
        plan
    }

    /// Those of a segment's messages that every channel is done with.
    fn unwanted(&self, contents: Contents) -> RoaringTreemap {
        let numbers = contents.numbers();
        let end = numbers.end.min(self.unwanted_before);
        let mut unwanted = RoaringTreemap::new();
        unwanted.insert_range(numbers.start.0..end.0.max(numbers.start.0));
        for channel in &self.channels {
            channel.retain_done(&mut unwanted, end);
        }
        unwanted
    }
}

impl Rewrite {
    /// Writes the segment's new content beside the old. Blocks on the disk.
    pub(super) fn write(&self, log: &Log) -> Result<Replacement, TopicError> {
        let mut contents = self.contents.emptied();
        let mut keep = |position, record: Bytes| self.keep(position, record, &mut contents);
        let rewritten = log.rewrite(self.segment, &mut keep)?;
        Ok(Replacement { rewritten, contents })
    }

    /// What is left of a record. What channels did is in the checkpoint that was written before.
    fn keep(&self, position: Position, record: Bytes, kept: &mut Contents) -> Option<Record> {
        let (batches, delay) = match record::decode(position, record.clone()) {
            Entry::Messages(batch, delay) => (vec![batch], delay),
            Entry::Rest(batches, delay) => (batches, delay),
            Entry::Progress(..) | Entry::Change(_) => return None,
            Entry::Unknown => return Some(Record::from(record)),
        };
        let is_whole = |batch: &Batch| self.unwanted.range_cardinality(batch.first.0..batch.end().0) == 0;
        if batches.iter().all(is_whole) {
            batches.iter().for_each(|batch| kept.add(batch));
            return Some(Record::from(record));
        }
        let runs: Vec<_> = batches.iter().flat_map(|batch| self.runs_of(batch)).collect();
        runs.iter().for_each(|run| kept.add(run));
        (!runs.is_empty()).then(|| record::rest(&runs, delay))
    }

    /// The wanted messages of a batch, those with numbers in a row together.
    fn runs_of(&self, batch: &Batch) -> Vec<Batch> {
        let mut runs: Vec<(Sequence, Packing)> = Vec::new();
        for message in batch.messages().filter(|message| !self.unwanted.contains(message.sequence.0)) {
            let goes_on =
                runs.last().is_some_and(|(first, run)| first.plus(run.len() as u64) == message.sequence);
            if !goes_on {
                runs.push((message.sequence, Packing::default()));
            }
            if let Some((_, run)) = runs.last_mut() {
                run.push(&message.body);
            }
        }
        let (position, timestamp_ns) = (batch.position, batch.timestamp_ns);
        let run = |(first, run): (_, Packing)| Batch {
            position,
            first,
            timestamp_ns,
            due: None,
            bodies: run.finish(),
        };
        runs.into_iter().map(run).collect()
    }
}

impl Topic {
    /// Whether there is a segment to rewrite.
    pub(super) fn has_unwanted_segments(&self) -> bool {
        let end = self.log.end();
        let survey = Survey::new(&self.log, &self.core.lock(), end, self.context.unix_ns());
        !survey.plan().is_empty()
    }

    /// Puts a rewritten segment in its place. No load may be under way, and none may begin until the channels
    /// [follow](Self::follow). Blocks on the disk.
    pub(super) fn replace(&self, replacement: &Replacement) -> Result<(), TopicError> {
        let _files = self.files.lock();
        if self.is_retired() {
            return Err(TopicError::Deleted);
        }
        Ok(self.log.replace(&replacement.rewritten)?)
    }

    /// Tells the channels where their messages are now, if the rewritten segment is in its place.
    pub(super) fn follow(&self, replacement: &Replacement) {
        let Replacement { rewritten, contents } = replacement;
        if !rewritten.is_in_place() {
            return;
        }
        let mut core = self.core.lock();
        core.segments.set(rewritten.segment(), *contents);
        for channel in core.channels.values() {
            channel.with_for_keeper(|channel, _| channel.moved(|position| rewritten.map(position)));
        }
    }
}
