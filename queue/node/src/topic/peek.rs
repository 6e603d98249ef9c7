//! Reading messages for somebody who only looks. The keeper does it, as it does all reading.

use std::time::{Duration, Instant};

use bytes::Bytes;
use punctual_queue_log::error::LogError;
use punctual_queue_log::log::{Damage, Log};
use punctual_queue_log::position::Position;
use punctual_queue_log::reader::Entry as LogEntry;
use tokio::sync::oneshot;

use super::load::Now;
use super::record::{self, DeadLetterOrigin, Entry};
use super::{ChannelHandle, Topic};
use crate::channel::{Glimpse, MessageState};
use crate::error::TopicError;
use crate::message::{Batch, Sequence, StoredMessage};

const READ_AHEAD_BYTES: usize = 64 * 1024;

/// How many may wait for what they want to see.
const MAX_WAITING: usize = 16;

/// A message as it is seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) message: StoredMessage,
    pub(crate) attempts: u16,
    pub(crate) state: MessageState,
    /// Where it came from, if it is a dead letter.
    pub(crate) origin: Option<DeadLetterOrigin>,
}

/// Somebody waits to see these.
#[derive(Debug)]
pub(super) struct Peek {
    wanted: Vec<(Glimpse, Position)>,
    max_bytes: usize,
    reply: oneshot::Sender<Result<Vec<Seen>, TopicError>>,
}

impl Topic {
    /// The first `count` messages that a channel is not done with, and of those so many that their bodies have
    /// `max_bytes`, one at least.
    pub(crate) async fn peek_channel(
        &self,
        handle: &ChannelHandle,
        count: usize,
        max_bytes: usize,
    ) -> Result<Vec<Seen>, TopicError> {
        self.distribute();
        let glimpses = handle.look(|channel| channel.peek(count));
        self.see(glimpses, max_bytes).await
    }

    /// The same of the messages that wait in the topic itself, because it is paused or has no channel.
    pub(crate) async fn peek(&self, count: usize, max_bytes: usize) -> Result<Vec<Seen>, TopicError> {
        self.distribute();
        let (start, end) = {
            let core = self.core.lock();
            (core.announced_end, core.committed_end)
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let numbers = start.0..end.0.min(start.0.saturating_add(count));
        let glimpse =
            |number| Glimpse { sequence: Sequence(number), attempts: 0, state: MessageState::Waiting };
        self.see(numbers.map(glimpse).collect(), max_bytes).await
    }

    async fn see(&self, glimpses: Vec<Glimpse>, max_bytes: usize) -> Result<Vec<Seen>, TopicError> {
        if glimpses.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, seen) = oneshot::channel();
        {
            let mut core = self.core.lock();
            if core.deleted {
                return Err(TopicError::Deleted);
            }
            if core.peeks.len() >= MAX_WAITING {
                return Err(TopicError::Busy);
            }
            let at = |glimpse: &Glimpse| core.waypoints.before(glimpse.sequence);
            let wanted = glimpses.into_iter().map(|glimpse| (glimpse, at(&glimpse))).collect();
            core.peeks.push(Peek { wanted, max_bytes, reply });
        }
        self.keeper.notify_one();
        seen.await.unwrap_or(Err(TopicError::Exiting)) // the keeper ended before it came to this
    }

    /// What is to be read now.
    pub(super) fn take_peeks(&self) -> Vec<Peek> {
        std::mem::take(&mut self.core.lock().peeks)
    }
}

/// What a record holds of messages.
#[derive(Default)]
struct Content {
    batches: Vec<Batch>,
    delay: Duration,
    origin: Option<DeadLetterOrigin>,
}

impl Content {
    fn of(position: Position, record: Bytes) -> Self {
        let origin = record::origin(record.clone());
        let (batches, delay) = match record::decode(position, record) {
            Entry::Messages(batch, delay) => (vec![batch], delay),
            Entry::Rest(batches, delay) => (batches, delay),
            Entry::Progress(..) | Entry::Change(_) | Entry::Unknown => (Vec::new(), Duration::ZERO),
        };
        Self { batches, delay, origin }
    }

    fn message(&self, sequence: Sequence) -> Option<StoredMessage> {
        let holds = |batch: &&Batch| batch.first <= sequence && sequence < batch.end();
        let batch = self.batches.iter().find(holds)?;
        batch.messages().find(|message| message.sequence == sequence)
    }

    fn is_beyond(&self, sequence: Sequence) -> bool {
        self.batches.first().is_some_and(|batch| batch.first > sequence)
    }
}

impl Peek {
    /// Reads them for whoever waits; returns what was found to be damaged. Blocks on the disk.
    pub(super) fn answer(self, log: &Log, now: Now) -> Damage {
        let (seen, damage) = match self.read(log, now) {
            Ok((seen, damage)) => (Ok(seen), damage),
            Err(e) => (Err(e.into()), Damage::new()),
        };
        let _gone = self.reply.send(seen); // whoever gave up does not want to know
        damage
    }

    /// Those that cannot be read are left out.
    fn read(&self, log: &Log, now: Now) -> Result<(Vec<Seen>, Damage), LogError> {
        let (mut seen, mut damage) = (Vec::new(), Damage::new());
        let mut content = Content::default();
        let mut reader = log.read_from(Position::START, 0);
        let (mut bytes, mut begun) = (0, false);
        for (glimpse, place) in &self.wanted {
            let message = loop {
                if let Some(message) = content.message(glimpse.sequence) {
                    break Some(message);
                }
                if content.is_beyond(glimpse.sequence) {
                    break None;
                }
                if !begun || reader.position() < *place {
                    reader = log.read_from(*place, READ_AHEAD_BYTES);
                    begun = true;
                }
                match reader.next_entry()? {
                    None => return Ok((seen, damage)),
                    Some(LogEntry::Damaged(range)) => damage.push(range),
                    Some(LogEntry::Record { position, record }) => content = Content::of(position, record),
                }
            };
            let Some(mut message) = message else { continue };
            bytes += message.body.len();
            if bytes > self.max_bytes && !seen.is_empty() {
                break;
            }
            message.body = Bytes::copy_from_slice(&message.body); // else it would hold on to the whole record
            let due = now.instant_of(message.timestamp_ns, content.delay);
            let state = match (glimpse.state, due) {
                (MessageState::Waiting, Some(due)) if glimpse.attempts == 0 => MessageState::Deferred(due),
                (state, _) => state,
            };
            let origin = content.origin.clone();
            seen.push(Seen { message, attempts: glimpse.attempts, state, origin });
        }
        Ok((seen, damage))
    }
}

/// How much longer a message is put off.
pub(crate) fn due_in(state: MessageState, now: Instant) -> Option<Duration> {
    match state {
        MessageState::Deferred(until) => Some(until.saturating_duration_since(now)),
        MessageState::Waiting | MessageState::InFlight => None,
    }
}
