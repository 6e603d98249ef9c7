use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;

fn bytes_of(record: &Record) -> Bytes {
    record.to_bytes()
}

#[test]
fn changes_survive() {
    let channel = ChannelNumber(7);
    for expected in [
        Change::ChannelCreated { channel, name: "c#ephemeral".parse().unwrap(), start: 9 },
        Change::ChannelDeleted { channel },
        Change::ChannelPaused { channel, paused: true },
        Change::ChannelEmptied { channel, end: u64::MAX },
        Change::ChannelDeadLetters {
            channel,
            dead_letters: Some(DeadLetters { max_attempts: NonZeroU16::MAX, to: "dead".parse().unwrap() }),
        },
        Change::ChannelDeadLetters { channel, dead_letters: None },
        Change::ChannelSought { channel, to: 3 },
        Change::TopicPaused { paused: false },
        Change::TopicHeld { held: true },
        Change::TopicSettings {
            settings: TopicSettings { retain_ms: Some(1), keep_ms: Some(2), limit: None },
        },
        Change::TopicEmptied { start: 1, end: 2 },
    ] {
        let entry = decode(Position::START, bytes_of(&change(&expected)));
        assert_eq!(entry, Entry::Change(expected));
    }
}

#[test]
fn a_dead_letter_and_where_it_came_from_survive() {
    let longest = "n".repeat(64);
    let from = DeadLetterOrigin {
        topic: longest.parse().unwrap(),
        channel: longest.parse().unwrap(),
        id: "0123456789abcdef".to_owned(),
        timestamp: i64::MIN,
        attempts: u16::MAX,
    };
    let bodies = Bodies::from_iter(["poison"]);
    let record = bytes_of(&dead_letter(Sequence(7), 8, &bodies, &from));
    assert_eq!(origin(record.clone()), Some(from));
    assert_eq!(count_messages(Position::START, record.clone()), Some(1));
    let batch = Batch {
        position: Position::START,
        first: Sequence(7),
        timestamp_ns: 8,
        due: None,
        bodies: bodies.clone(),
    };
    assert_eq!(decode(Position::START, record), Entry::Messages(batch, Duration::ZERO));
    assert_eq!(origin(bytes_of(&messages(Sequence(7), 8, Duration::ZERO, &bodies))), None);
}

proptest! {
    #[test]
    fn messages_survive(
        first in any::<u64>(),
        timestamp_ns in any::<i64>(),
        delay_ms in prop_oneof![Just(0), any::<u64>()],
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..20),
    ) {
        let bodies: Bodies = bodies.iter().collect();
        let first = Sequence(first);
        let delay = Duration::from_millis(delay_ms);
        let record = messages(first, timestamp_ns, delay, &bodies);
        let position = Position::from_u64(77);
        let entry = decode(position, bytes_of(&record));
        let batch = Batch { position, first, timestamp_ns, due: None, bodies };
        prop_assert_eq!(entry, Entry::Messages(batch, delay));
    }

    #[test]
    fn what_is_left_of_messages_survives(
        timestamp_ns in any::<i64>(),
        delay_ms in prop_oneof![Just(0), any::<u64>()],
        runs in prop::collection::vec((1..1000_u64, prop::collection::vec(any::<[u8; 3]>(), 1..9)), 1..9),
    ) {
        let delay = Duration::from_millis(delay_ms);
        let position = Position::from_u64(77);
        let mut first = Sequence::FIRST;
        let mut batches = Vec::new();
        for (gap, bodies) in runs {
            let bodies = bodies.iter().collect();
            let run = Batch { position, first: first.plus(gap), timestamp_ns, due: None, bodies };
            first = run.end();
            batches.push(run);
        }
        let entry = decode(position, bytes_of(&rest(&batches, delay)));
        let expected = match &batches[..] {
            [run] => Entry::Messages(run.clone(), delay),
            _ => Entry::Rest(batches, delay),
        };
        prop_assert_eq!(entry, expected);
    }

    #[test]
    fn progress_survives(
        channel in any::<u32>(),
        finished in prop::collection::btree_set(0..10_000_u64, 0..100),
        attempts in prop::collection::btree_map(any::<u64>(), any::<u16>(), 0..100),
        put_off in prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..3),
        now_ns in any::<i64>(),
    ) {
        let as_put_off = |(n, left)| (Sequence(n), Duration::from_millis(left));
        let unwritten = Unwritten {
            finished: crate::channel::ranges_of(finished.into_iter()),
            attempts: attempts.into_iter().map(|(n, a)| (Sequence(n), a)).collect(),
            put_off: put_off.into_iter().map(as_put_off).collect(),
        };
        let written_ns = if unwritten.put_off.is_empty() { 0 } else { now_ns };
        let channels = vec![(ChannelNumber(channel), unwritten), (ChannelNumber(7), Unwritten::default())];
        let record = progress(&channels, now_ns);
        prop_assert_eq!(decode(Position::START, bytes_of(&record)), Entry::Progress(channels, written_ns));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        origin(bytes.clone());
        decode(Position::START, bytes);
    }
}
