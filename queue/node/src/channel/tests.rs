//! Random operations against a model, and what a channel does at the edges.

mod bench;
mod large;
mod memory;
mod step;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use punctual_queue_log::position::Position;

use super::*;
use bench::Bench;
use step::a_step;

const TIMEOUT: Duration = Duration::from_secs(10);

fn origin(progress: Progress, end: Sequence) -> Origin {
    Origin {
        progress,
        attempts: HashMap::new(),
        put_off: HashMap::new(),
        paused: false,
        dead_letters: None,
        end,
        load_from: Position::START,
        max_message_timeout: Duration::from_secs(15 * 60),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_order_of_events_loses_a_message_or_gives_it_to_two(steps in prop::collection::vec(a_step(), 0..80)) {
        let mut bench = Bench::new();
        for step in steps {
            bench.step(step);
        }
        bench.drain();
    }
}

#[test]
fn attempts_stay_at_the_highest_number_there_is() {
    let mut bench = Bench::new();
    bench.publish(1);
    let mut origin = origin(Progress::starting_at(Sequence::FIRST), Sequence(2));
    origin.attempts.insert(Sequence::FIRST, u16::MAX);
    bench.channel = Channel::new(origin);
    bench.channel.subscribe(ConnectionId(1), Consumer::new(TIMEOUT, 0));
    bench.channel.set_ready_count(ConnectionId(1), 1);
    bench.load();
    let mut deliveries = Vec::new();
    bench.channel.deliver(bench.now, &mut deliveries);
    assert_eq!(deliveries[0].attempts, u16::MAX);
}

#[test]
fn a_sampling_consumer_gets_about_its_share_and_the_rest_is_counted() {
    let mut bench = Bench::new();
    bench.channel.subscribe(ConnectionId(1), Consumer::new(TIMEOUT, 10));
    bench.channel.set_ready_count(ConnectionId(1), 2500);
    let mut delivered = 0;
    for _ in 0..2000 {
        bench.publish(1);
        let mut deliveries = Vec::new();
        bench.channel.deliver(bench.now, &mut deliveries);
        delivered += deliveries.len();
    }
    assert!((150..250).contains(&delivered), "{delivered} of 2000 at 10 %");
    assert_eq!(bench.channel.counts().sampled_out as usize, 2000 - delivered);
    assert_eq!(bench.channel.depth(), 0);
}

#[test]
fn finished_messages_are_told_to_the_log_within_milliseconds_as_ranges() {
    let mut bench = Bench::new();
    let id = ConnectionId(1);
    bench.channel.subscribe(id, Consumer::new(TIMEOUT, 0));
    bench.channel.set_ready_count(id, 10);
    bench.publish(4);
    bench.channel.deliver(bench.now, &mut Vec::new());
    for number in [2, 1, 4] {
        bench.channel.finish(id, Sequence(number), bench.now).unwrap();
    }
    assert_eq!(bench.channel.take_unwritten(bench.now), None);
    let due = bench.channel.next_timeout().unwrap();
    assert!(due <= bench.now + Duration::from_millis(5));
    let unwritten = bench.channel.take_unwritten(due).unwrap();
    assert_eq!(unwritten.finished, [Sequence(1)..Sequence(3), Sequence(4)..Sequence(5)]);
    // What is still in flight is told too, later, for its attempts.
    let later = bench.channel.take_unwritten(bench.now + Duration::from_secs(1)).unwrap();
    assert_eq!(later.attempts, [(Sequence(3), 1)]);
    assert_eq!(bench.channel.take_unwritten(bench.now + Duration::from_secs(2)), None);
}

#[test]
fn a_message_that_was_put_off_is_told_to_the_log_unless_it_is_due_by_then() {
    let mut bench = Bench::new();
    let id = ConnectionId(1);
    bench.channel.subscribe(id, Consumer::new(TIMEOUT, 0));
    bench.channel.set_ready_count(id, 10);
    bench.publish(2);
    bench.channel.deliver(bench.now, &mut Vec::new());
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(1));
    bench.channel.requeue(id, Sequence(2), long, bench.now).unwrap();
    bench.channel.requeue(id, Sequence(1), short, bench.now).unwrap();
    let due = bench.now + Duration::from_millis(5);
    assert!(bench.channel.next_timeout().unwrap() <= due);
    let unwritten = bench.channel.take_unwritten(due).unwrap();
    assert_eq!(unwritten.put_off, [(Sequence(2), long - Duration::from_millis(5))]);
}

#[test]
fn touches_that_move_no_deadline_take_no_memory() {
    let mut bench = Bench::new();
    let id = ConnectionId(1);
    bench.channel.subscribe(id, Consumer::new(TIMEOUT, 0));
    bench.channel.set_ready_count(id, 1);
    bench.publish(1);
    bench.channel.deliver(bench.now, &mut Vec::new());
    for _ in 0..10_000 {
        bench.channel.touch(id, Sequence(1), bench.now).unwrap();
    }
    assert_eq!(bench.channel.in_flight.known_deadlines(), 1);
}
