//! What bodies hold on to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use punctual_queue_wire::bodies::Bodies;

use super::*;

const ID: ConnectionId = ConnectionId(1);
const BATCHES: u64 = 200;
const MESSAGES: u64 = 64;
const BODY_BYTES: usize = 1024;
const BATCH_BYTES: u64 = 64 * (BODY_BYTES as u64 + 4);

/// Counts the bytes of what is still in memory.
#[derive(Default, Clone)]
struct Memory(Arc<AtomicU64>);

struct Buffer(Vec<u8>, Memory);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.1.0.fetch_sub(self.0.len() as u64, Ordering::Relaxed);
    }
}

impl Memory {
    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The batch of this number, all in one buffer.
    fn batch(&self, number: u64) -> Batch {
        let first = Sequence(1 + number * MESSAGES);
        let bodies: Bodies = (0..MESSAGES).map(|n| body(first.plus(n))).collect();
        let packed = bodies.packed().to_vec();
        self.0.fetch_add(packed.len() as u64, Ordering::Relaxed);
        let bodies = Bodies::parse(Bytes::from_owner(Buffer(packed, self.clone())), MESSAGES as u32).unwrap();
        Batch { position: Position::from_u64(number + 1), first, timestamp_ns: 7, due: None, bodies }
    }
}

fn body(sequence: Sequence) -> Vec<u8> {
    let mut body = sequence.to_string().into_bytes();
    body.resize(BODY_BYTES, b'.');
    body
}

fn a_channel(end: Sequence) -> Channel {
    let mut channel = Channel::new(origin(Progress::starting_at(Sequence::FIRST), end));
    channel.subscribe(ID, Consumer::new(TIMEOUT, 0));
    channel.set_ready_count(ID, 10_000);
    channel
}

/// Gives out what there is; the consumer finishes all but the first message of each batch.
fn consume(channel: &mut Channel, now: Instant) {
    let mut deliveries = Vec::new();
    channel.deliver(now, &mut deliveries);
    for Delivery { message, .. } in deliveries {
        channel.written(ID, message.body.len());
        if message.sequence.0 % MESSAGES != 1 {
            channel.finish(ID, message.sequence, now).unwrap();
        }
    }
}

/// The consumer ends and comes back: what it held is given out again, as it was, though it is read from the log.
fn give_all_again(channel: &mut Channel, memory: &Memory, now: Instant) {
    let held = channel.in_flight_count();
    channel.unsubscribe(ID, false);
    channel.subscribe(ID, Consumer::new(TIMEOUT, 0));
    channel.set_ready_count(ID, 10_000);
    let mut again = Vec::new();
    while again.len() < held {
        let seen = again.len();
        channel.deliver(now, &mut again);
        channel.written(ID, again[seen..].iter().map(|delivery| delivery.message.body.len()).sum());
        match channel.take_load(now) {
            Some(Load::Again(wanted)) => {
                let read = |(sequence, position): &(Sequence, Position)| {
                    let batch = memory.batch(position.to_u64() - 1);
                    let mut message = batch.messages().find(|message| message.sequence == *sequence).unwrap();
                    message.body = Bytes::copy_from_slice(&message.body);
                    message
                };
                channel.reloaded(&wanted, wanted.iter().map(read).collect());
            }
            other => assert_eq!(other, None),
        }
    }
    for Delivery { message, attempts, .. } in again {
        assert_eq!((message.body, attempts), (Bytes::from(body(message.sequence)), 2));
        channel.finish(ID, message.sequence, now).unwrap();
    }
    assert_eq!((channel.depth(), channel.in_flight_count()), (0, 0));
}

#[test]
fn slow_messages_do_not_keep_all_in_memory_that_was_published_with_them() {
    let (memory, now) = (Memory::default(), Instant::now());
    let mut channel = a_channel(Sequence::FIRST);
    for number in 0..BATCHES {
        let batch = memory.batch(number);
        channel.published(&batch, batch.first, now);
        drop(batch);
        consume(&mut channel, now);
        assert!(memory.bytes() <= given::KEPT_BYTES + BATCH_BYTES, "{} after {number}", memory.bytes());
    }
    assert_eq!(channel.in_flight_count() as u64, BATCHES);
    give_all_again(&mut channel, &memory, now);
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn slow_messages_do_not_keep_all_in_memory_that_was_read_with_them() {
    let (memory, now) = (Memory::default(), Instant::now());
    let mut channel = a_channel(Sequence(1 + BATCHES * MESSAGES));
    while let Some(Load::Next { from, .. }) = channel.take_load(now) {
        let numbers = from.to_u64().max(1) - 1..(from.to_u64().max(1) + 9).min(BATCHES);
        let next = Position::from_u64(numbers.end + 1);
        let read_to = (numbers.end == BATCHES).then_some(Sequence(1 + BATCHES * MESSAGES));
        let batches: Vec<_> = numbers.map(|number| memory.batch(number)).collect();
        let bytes = BATCH_BYTES * batches.len() as u64;
        channel.loaded(Loaded { batches, next, read_to, bytes, damaged: false }, now);
        consume(&mut channel, now);
        assert!(memory.bytes() <= given::KEPT_BYTES + 10 * BATCH_BYTES, "{} bytes", memory.bytes());
    }
    assert_eq!(channel.in_flight_count() as u64, BATCHES);
    give_all_again(&mut channel, &memory, now);
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn what_is_given_back_soon_is_given_out_again_without_a_read() {
    let (memory, now) = (Memory::default(), Instant::now());
    let mut channel = a_channel(Sequence::FIRST);
    let batch = memory.batch(0);
    channel.published(&batch, batch.first, now);
    for attempt in 1..100 {
        let mut deliveries = Vec::new();
        channel.deliver(now, &mut deliveries);
        assert_eq!(deliveries.len() as u64, MESSAGES);
        for Delivery { message, attempts, .. } in deliveries {
            assert_eq!(attempts, attempt);
            channel.written(ID, message.body.len());
            channel.requeue(ID, message.sequence, Duration::ZERO, now).unwrap();
        }
        assert_eq!(channel.take_load(now), None);
    }
}
