//! What large messages, and consumers that do not read, may make a channel hold.

use super::*;

const ID: ConnectionId = ConnectionId(1);
const OTHER: ConnectionId = ConnectionId(2);

const BODY_BYTES: usize = 256 * 1024;
const MESSAGES: u64 = 400;

/// What a consumer is given that writes nothing: enough, and one more.
const UNWRITTEN: usize = UNWRITTEN_BYTES / BODY_BYTES;

fn batch(number: u64) -> Batch {
    let bodies = [vec![b'x'; BODY_BYTES]].iter().collect();
    let position = Position::from_u64(number);
    Batch { position, first: Sequence(number), timestamp_ns: 7, due: None, bodies }
}

fn a_channel(end: Sequence, consumers: &[ConnectionId]) -> Channel {
    let mut channel = Channel::new(origin(Progress::starting_at(Sequence::FIRST), end));
    for id in consumers {
        channel.subscribe(*id, Consumer::new(TIMEOUT, 0));
        channel.set_ready_count(*id, 2500);
    }
    channel
}

fn delivered(channel: &mut Channel, now: Instant) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    channel.deliver(now, &mut deliveries);
    deliveries
}

#[test]
fn a_consumer_that_reads_nothing_is_given_no_more_than_a_little_and_the_others_the_rest() {
    let now = Instant::now();
    let mut channel = a_channel(Sequence::FIRST, &[ID, OTHER]);
    let (mut slow, mut quick) = (0, 0);
    for number in 1..=MESSAGES {
        let batch = batch(number);
        channel.published(&batch, batch.first, now);
        for Delivery { consumer, message, .. } in delivered(&mut channel, now) {
            if consumer == ID {
                slow += 1;
            } else {
                quick += 1;
                channel.written(OTHER, message.body.len());
            }
        }
    }
    assert_eq!((slow, quick), (UNWRITTEN, MESSAGES as usize - UNWRITTEN));
}

#[test]
fn a_consumer_that_reads_again_is_given_more() {
    let now = Instant::now();
    let mut channel = a_channel(Sequence(1 + MESSAGES), &[ID]);
    let mut given = 0;
    while given < MESSAGES as usize {
        load(&mut channel, now);
        let deliveries = delivered(&mut channel, now);
        assert!((1..=UNWRITTEN).contains(&deliveries.len()), "{} at once", deliveries.len());
        given += deliveries.len();
        let bytes = deliveries.iter().map(|delivery| delivery.message.body.len()).sum();
        channel.written(ID, bytes);
    }
    assert_eq!(channel.depth(), 0);
}

#[test]
fn large_messages_are_not_read_far_ahead() {
    let now = Instant::now();
    let mut channel = a_channel(Sequence(1 + MESSAGES), &[ID]);
    channel.set_ready_count(ID, 1);
    let mut given = 0;
    while given < MESSAGES as usize {
        load(&mut channel, now);
        assert!(
            channel.ready.len() * BODY_BYTES <= 4 * 1024 * 1024,
            "{} are read ahead",
            channel.ready.len()
        );
        for Delivery { message, .. } in delivered(&mut channel, now) {
            channel.written(ID, message.body.len());
            channel.finish(ID, message.sequence, now).unwrap();
            given += 1;
        }
    }
}

/// Reads all that the channel wants, a mebibyte at a time.
fn load(channel: &mut Channel, now: Instant) {
    while let Some(Load::Next { from, end }) = channel.take_load(now) {
        let first = from.to_u64().max(1);
        let batches: Vec<_> = (first..end.0).take(4).map(batch).collect();
        let next = first + batches.len() as u64;
        let read_to = (next == end.0).then_some(end);
        let bytes = (batches.len() * BODY_BYTES) as u64;
        let loaded = Loaded { batches, next: Position::from_u64(next), read_to, bytes, damaged: false };
        channel.loaded(loaded, now);
    }
}
