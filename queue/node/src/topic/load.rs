//! Reading for a channel what it wants from the log. Blocks on the disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use punctual_queue_log::error::LogError;
use punctual_queue_log::log::{Damage, Log};
use punctual_queue_log::position::Position;
use punctual_queue_log::reader::Entry as LogEntry;

use super::record::{self, Entry};
use crate::channel::Loaded;
use crate::message::{Batch, Sequence, StoredMessage};
use crate::node::Context;

/// How much is read for a channel at a time, once the last record that begins in it is complete.
const LOAD_BYTES: usize = 1024 * 1024;

/// How many messages are read at a time at most, the last record's included whole.
const LOAD_MESSAGES: usize = 4096;

const READ_AHEAD_BYTES: usize = 256 * 1024;

/// One moment, by the time of day and by the clock that only goes forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) unix_ns: i64,
    pub(super) instant: Instant,
}

impl Now {
    pub(super) fn of(context: &Context) -> Self {
        Self { unix_ns: context.unix_ns(), instant: Instant::now() }
    }

    /// When something is due that was put off by `delay` at `from_ns`; `None` when it is due already.
    pub(super) fn instant_of(self, from_ns: i64, delay: Duration) -> Option<Instant> {
        let delay_ns = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
        let left_ns = from_ns.saturating_add(delay_ns).saturating_sub(self.unix_ns);
        // A clock that was set back does not put off longer than was asked.
        let left = Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)).min(delay);
        (!left.is_zero()).then(|| self.instant + left)
    }
}

/// Reads messages that precede `end`.
pub(super) fn next(log: &Log, from: Position, end: Sequence, now: Now) -> Result<(Loaded, Damage), LogError> {
    let mut damage = Damage::new();
    let mut reader = log.read_from(from, READ_AHEAD_BYTES);
    let mut loaded = Loaded { batches: Vec::new(), next: from, read_to: None, bytes: 0, damaged: false };
    let (mut messages, mut bytes) = (0, 0);
    let mut read_ahead = READ_AHEAD_BYTES;
    while messages < LOAD_MESSAGES && bytes < LOAD_BYTES {
        let Some(entry) = reader.next_entry()? else {
            loaded.read_to = Some(end);
            read_ahead = 0;
            break;
        };
        match entry {
            LogEntry::Damaged(range) => {
                loaded.damaged = true;
                damage.push(range);
            }
            LogEntry::Record { position, record } => {
                bytes += record.len();
                let count = loaded.batches.len();
                let delay = match record::decode(position, record) {
                    Entry::Messages(batch, delay) => {
                        loaded.batches.push(batch);
                        delay
                    }
                    Entry::Rest(batches, delay) => {
                        loaded.batches.extend(batches);
                        delay
                    }
                    Entry::Progress(..) | Entry::Change(_) | Entry::Unknown => Duration::ZERO,
                };
                let read = &mut loaded.batches[count..];
                if read.first().is_some_and(|batch| batch.first >= end) {
                    loaded.batches.truncate(count);
                    loaded.read_to = Some(end);
                    break;
                }
                for batch in read {
                    batch.due = now.instant_of(batch.timestamp_ns, delay);
                    messages += batch.bodies.len();
                }
            }
        }
        loaded.next = reader.position();
    }
    loaded.bytes = (bytes + read_ahead) as u64;
    Ok((loaded, damage))
}

/// When `sequence` was published, which stands at `from` or behind it; `None` if it is there no more.
pub(super) fn age(log: &Log, from: Position, sequence: Sequence) -> Result<(Option<i64>, Damage), LogError> {
    let mut damage = Damage::new();
    let mut reader = log.read_from(from, READ_AHEAD_BYTES);
    while let Some(entry) = reader.next_entry()? {
        let batches = match entry {
            LogEntry::Damaged(range) => {
                damage.push(range);
                continue;
            }
            LogEntry::Record { position, record } => match record::decode(position, record) {
                Entry::Messages(batch, _) => vec![batch],
                Entry::Rest(batches, _) => batches,
                Entry::Progress(..) | Entry::Change(_) | Entry::Unknown => continue,
            },
        };
        if let Some(batch) = batches.iter().find(|batch| batch.end() > sequence) {
            return Ok(((batch.first <= sequence).then_some(batch.timestamp_ns), damage));
        }
    }
    Ok((None, damage))
}

/// Single messages that were read.
pub(super) struct Again {
    /// Which were looked for.
    pub(super) asked: Vec<(Sequence, Position)>,
    /// Those of them that can be read.
    pub(super) messages: Vec<StoredMessage>,
}

/// Reads single messages, the first of them at least, and no more than fit into memory well.
pub(super) fn again(log: &Log, wanted: &[(Sequence, Position)]) -> Result<(Again, Damage), LogError> {
    let mut by_record: HashMap<Position, Vec<Sequence>> = HashMap::new();
    for (sequence, position) in wanted {
        by_record.entry(*position).or_default().push(*sequence);
    }
    let mut again = Again { asked: Vec::with_capacity(wanted.len()), messages: Vec::new() };
    let mut damage = Damage::new();
    let mut bytes = 0;
    for (_, at) in wanted {
        let Some(sequences) = by_record.remove(at) else { continue }; // read with one before
        if bytes >= LOAD_BYTES {
            break;
        }
        again.asked.extend(sequences.iter().map(|sequence| (*sequence, *at)));
        for batch in batches_at(log, *at, &mut damage)? {
            for mut message in batch.messages().filter(|message| sequences.contains(&message.sequence)) {
                // Else it would hold on to the whole record.
                message.body = Bytes::copy_from_slice(&message.body);
                bytes += message.body.len();
                again.messages.push(message);
            }
        }
    }
    Ok((again, damage))
}

/// The messages of one record; none where it cannot be read.
fn batches_at(log: &Log, at: Position, damage: &mut Damage) -> Result<Vec<Batch>, LogError> {
    let record = match log.read_from(at, 0).next_entry()? {
        Some(LogEntry::Record { position, record }) if position == at => record,
        Some(LogEntry::Damaged(range)) => {
            damage.push(range);
            return Ok(Vec::new());
        }
        Some(LogEntry::Record { .. }) | None => return Ok(Vec::new()),
    };
    Ok(match record::decode(at, record) {
        Entry::Messages(batch, _) => vec![batch],
        Entry::Rest(batches, _) => batches,
        Entry::Progress(..) | Entry::Change(_) | Entry::Unknown => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_puts_off_longer_than_was_asked() {
        const SECOND_NS: i64 = 1_000_000_000;
        let delay = Duration::from_secs(10);
        let instant = Instant::now();
        let left_at = |unix_ns| {
            let now = Now { unix_ns, instant };
            now.instant_of(100 * SECOND_NS, delay).map_or(Duration::ZERO, |due| due - instant)
        };
        assert_eq!(left_at(100 * SECOND_NS), delay);
        assert_eq!(left_at(104 * SECOND_NS), Duration::from_secs(6));
        assert_eq!(left_at(110 * SECOND_NS), Duration::ZERO);
        assert_eq!(left_at(50 * SECOND_NS), delay, "the clock was set back");
    }
}
