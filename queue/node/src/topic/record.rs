//! What stands in a topic's log: messages, what happened to the channels, and how far these are.
//!
//! A record begins with one byte for its kind. Messages and progress, of which there are many, are packed; the rest
//! is JSON.

mod dead_letter;
mod varint;

use std::ops::Range;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::name::ChannelName;
use serde::{Deserialize, Serialize};

use super::settings::TopicSettings;
use crate::channel::{DeadLetters, Unwritten};
use crate::message::{Batch, Sequence};
pub(crate) use dead_letter::{DeadLetterOrigin, dead_letter, origin};
use varint::{put_varint, take_varint};

const MESSAGES: u8 = 1;
const PROGRESS: u8 = 2;
const CHANGE: u8 = 3;
const DEFERRED_MESSAGES: u8 = 4;
const PROGRESS_WITH_DELAYS: u8 = 5;
const REST: u8 = 6;
const DEAD_LETTER: u8 = 7;

/// Bytes before the first message of a record: kind, delay, first number, timestamp, count.
const MESSAGES_HEADER_BYTES: usize = 1 + 8 + 8 + 8 + 4;

/// Names a channel in the records of its topic; not used again after the channel is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ChannelNumber(pub(crate) u32);

/// One record, as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// Messages, and how long after their publication they are due. The batch itself does not say when that is.
    Messages(Batch, Duration),
    /// What a rewriting kept of such messages, in runs.
    Rest(Vec<Batch>, Duration),
    /// What channels did, and when that was written: nanoseconds since the Unix epoch; 0 where nothing was put off.
    Progress(Vec<(ChannelNumber, Unwritten)>, i64),
    Change(Change),
    /// Written by a later version, or not by us.
    Unknown,
}

/// Something that happened to a topic or one of its channels. Applying one twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    ChannelCreated {
        channel: ChannelNumber,
        name: ChannelName,
        start: u64,
    },
    ChannelDeleted {
        channel: ChannelNumber,
    },
    ChannelPaused {
        channel: ChannelNumber,
        paused: bool,
    },
    ChannelDeadLetters {
        channel: ChannelNumber,
        dead_letters: Option<DeadLetters>,
    },
    ChannelEmptied {
        channel: ChannelNumber,
        end: u64,
    },
    TopicPaused {
        paused: bool,
    },
    /// Messages are not handed out until the lookups were asked for channels.
    TopicHeld {
        held: bool,
    },
    TopicSettings {
        settings: TopicSettings,
    },
    TopicEmptied {
        start: u64,
        end: u64,
    },
}

/// The record of messages published together.
pub(crate) fn messages(first: Sequence, timestamp_ns: i64, delay: Duration, bodies: &Bodies) -> Record {
    let mut header = BytesMut::with_capacity(MESSAGES_HEADER_BYTES);
    if delay.is_zero() {
        header.put_u8(MESSAGES);
    } else {
        header.put_u8(DEFERRED_MESSAGES);
        header.put_u64(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    }
    put_messages_header(&mut header, first, timestamp_ns, bodies);
    Record::new(vec![header.freeze(), bodies.packed().clone()])
}

fn put_messages_header(header: &mut BytesMut, first: Sequence, timestamp_ns: i64, bodies: &Bodies) {
    header.put_u64(first.0);
    header.put_i64(timestamp_ns);
    header.put_u32(u32::try_from(bodies.len()).expect("each takes bytes of a body far below 4 GiB"));
}

/// The record of those of the messages published together that are left: one run of numbers or more.
pub(crate) fn rest(runs: &[Batch], delay: Duration) -> Record {
    if let [run] = runs {
        return messages(run.first, run.timestamp_ns, delay, &run.bodies);
    }
    let mut parts = Vec::new();
    let mut out = BytesMut::new();
    out.put_u8(REST);
    out.put_u64(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
    out.put_i64(runs.first().map_or(0, |run| run.timestamp_ns));
    put_varint(&mut out, runs.len() as u64);
    let mut last = Sequence(0);
    for run in runs {
        put_varint(&mut out, run.first.0 - last.0);
        put_varint(&mut out, run.bodies.len() as u64);
        put_varint(&mut out, run.bodies.packed().len() as u64);
        parts.push(out.split().freeze());
        parts.push(run.bodies.packed().clone());
        last = run.end();
    }
    Record::new(parts)
}

/// The record of what channels did since the last one, as of `now_ns`.
pub(crate) fn progress(channels: &[(ChannelNumber, Unwritten)], now_ns: i64) -> Record {
    let mut out = BytesMut::new();
    let with_delays = channels.iter().any(|(_, unwritten)| !unwritten.put_off.is_empty());
    if with_delays {
        out.put_u8(PROGRESS_WITH_DELAYS);
        out.put_i64(now_ns);
    } else {
        out.put_u8(PROGRESS);
    }
    put_varint(&mut out, channels.len() as u64);
    for (channel, unwritten) in channels {
        put_varint(&mut out, channel.0.into());
        put_varint(&mut out, unwritten.finished.len() as u64);
        let mut last = 0;
        for range in &unwritten.finished {
            put_varint(&mut out, range.start.0 - last);
            put_varint(&mut out, range.end.0 - range.start.0);
            last = range.end.0;
        }
        put_varint(&mut out, unwritten.attempts.len() as u64);
        let mut last = 0;
        for (sequence, attempts) in &unwritten.attempts {
            put_varint(&mut out, sequence.0 - last);
            put_varint(&mut out, (*attempts).into());
            last = sequence.0;
        }
        if with_delays {
            put_varint(&mut out, unwritten.put_off.len() as u64);
            let mut last = 0;
            for (sequence, left) in &unwritten.put_off {
                put_varint(&mut out, sequence.0 - last);
                put_varint(&mut out, whole_ms(*left));
                last = sequence.0;
            }
        }
    }
    Record::from(out.freeze())
}

/// The record of a change.
pub(crate) fn change(change: &Change) -> Record {
    let mut out = vec![CHANGE];
    serde_json::to_writer(&mut out, change).expect("names and numbers always have a JSON form");
    Record::from(Bytes::from(out))
}

/// Reads what [`messages`], [`dead_letter`], [`rest`], [`progress`] and [`change`] made.
pub(crate) fn decode(position: Position, mut record: Bytes) -> Entry {
    let kind = record.try_get_u8().unwrap_or(0);
    let entry = match kind {
        MESSAGES => take_messages(position, record).map(|batch| Entry::Messages(batch, Duration::ZERO)),
        DEFERRED_MESSAGES => record.try_get_u64().ok().and_then(|delay_ms| {
            Some(Entry::Messages(take_messages(position, record)?, Duration::from_millis(delay_ms)))
        }),
        PROGRESS => take_progress(&mut record, false).map(|channels| Entry::Progress(channels, 0)),
        PROGRESS_WITH_DELAYS => record
            .try_get_i64()
            .ok()
            .and_then(|written_ns| Some(Entry::Progress(take_progress(&mut record, true)?, written_ns))),
        DEAD_LETTER => dead_letter::take_origin(&mut record)
            .and_then(|_| take_messages(position, record))
            .map(|batch| Entry::Messages(batch, Duration::ZERO)),
        REST => take_rest(position, record),
        CHANGE => serde_json::from_slice(&record).ok().map(Entry::Change),
        _ => None,
    };
    entry.unwrap_or(Entry::Unknown)
}

/// How many messages a record holds; `None` when it has no meaning.
pub(crate) fn count_messages(position: Position, record: Bytes) -> Option<u64> {
    match decode(position, record) {
        Entry::Messages(batch, _) => Some(batch.bodies.len() as u64),
        Entry::Rest(runs, _) => Some(runs.iter().map(|run| run.bodies.len() as u64).sum()),
        Entry::Progress(..) | Entry::Change(_) => Some(0),
        Entry::Unknown => None,
    }
}

fn take_messages(position: Position, mut record: Bytes) -> Option<Batch> {
    let first = Sequence(record.try_get_u64().ok()?);
    let timestamp_ns = record.try_get_i64().ok()?;
    let count = record.try_get_u32().ok()?;
    let bodies = Bodies::parse(record, count)?;
    Some(Batch { position, first, timestamp_ns, due: None, bodies })
}

fn take_rest(position: Position, mut record: Bytes) -> Option<Entry> {
    let delay = Duration::from_millis(record.try_get_u64().ok()?);
    let timestamp_ns = record.try_get_i64().ok()?;
    let mut runs = Vec::new();
    let mut last = 0_u64;
    for _ in 0..take_varint(&mut record)? {
        let first = last.checked_add(take_varint(&mut record)?)?;
        let count = u32::try_from(take_varint(&mut record)?).ok()?;
        let packed_bytes = usize::try_from(take_varint(&mut record)?).ok()?;
        let packed = (packed_bytes <= record.len()).then(|| record.split_to(packed_bytes))?;
        let bodies = Bodies::parse(packed, count)?;
        last = first.checked_add(bodies.len() as u64)?;
        runs.push(Batch { position, first: Sequence(first), timestamp_ns, due: None, bodies });
    }
    Some(Entry::Rest(runs, delay))
}

fn take_progress(record: &mut Bytes, with_delays: bool) -> Option<Vec<(ChannelNumber, Unwritten)>> {
    let count = take_varint(record)?;
    let mut channels = Vec::new();
    for _ in 0..count {
        let channel = ChannelNumber(u32::try_from(take_varint(record)?).ok()?);
        let mut unwritten = Unwritten::default();
        let mut last = 0_u64;
        for _ in 0..take_varint(record)? {
            let start = last.checked_add(take_varint(record)?)?;
            last = start.checked_add(take_varint(record)?)?;
            unwritten.finished.push(Range { start: Sequence(start), end: Sequence(last) });
        }
        let mut last = 0_u64;
        for _ in 0..take_varint(record)? {
            last = last.checked_add(take_varint(record)?)?;
            let attempts = u16::try_from(take_varint(record)?).ok()?;
            unwritten.attempts.push((Sequence(last), attempts));
        }
        let mut last = 0_u64;
        for _ in 0..if with_delays { take_varint(record)? } else { 0 } {
            last = last.checked_add(take_varint(record)?)?;
            let left = Duration::from_millis(take_varint(record)?);
            unwritten.put_off.push((Sequence(last), left));
        }
        channels.push((channel, unwritten));
    }
    Some(channels)
}

/// A delay in milliseconds, rounded up: nothing comes before its time.
pub(super) fn whole_ms(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
