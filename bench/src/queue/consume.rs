//! Consuming as fast as the server delivers.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::link::{Arrival, Link};
use super::publish::{self, Pattern};

/// Messages that each consumer lets be in flight.
pub(crate) const READY: usize = 2500;
/// The last messages are not counted: a last timer must not blur the rate.
pub(crate) const COUNTED: f64 = 0.98;

/// Publishers go on this much longer than consumers, so that none of these waits for a message in vain.
pub(crate) const LONGER: Duration = Duration::from_millis(300);

/// How a backlog is made.
pub(crate) const FILL: Pattern = Pattern {
    what: "MPUB of 200, 2 connections, 8 in flight",
    aim: "",
    connections: 2,
    in_flight: 8,
    batch: 200,
    topics: 1,
};

/// Consumers, each on a channel and a connection of its own or all on one channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consumers {
    pub(super) connections: usize,
    pub(super) channels: usize,
}

/// Publishes `messages` or a few more to topic `name-0`; how many it were.
pub(super) fn fill(address: &str, name: &str, body: &[u8], messages: usize) -> anyhow::Result<usize> {
    let mut filled = 0;
    while filled < messages {
        let round = Duration::from_millis(100);
        filled += publish::run(address, FILL, name, body, round)?.messages;
    }
    Ok(filled)
}

/// Makes the channels, so that they have what is published from now on.
pub(crate) fn make_channels(address: &str, topic: &str, channels: usize) -> anyhow::Result<()> {
    for channel in 0..channels {
        Link::subscribe(address, topic, &format!("channel-{channel}"), 0)?;
    }
    Ok(())
}

/// Consumes `messages` of each channel of `topic` and answers in what time `COUNTED` of all deliveries came, and how
/// many those are.
pub(super) fn drain(
    address: &str,
    topic: &str,
    consumers: Consumers,
    messages: usize,
) -> anyhow::Result<(usize, Duration)> {
    let counted = (messages as f64 * COUNTED) as usize;
    let barrier = Barrier::new(consumers.connections + 1);
    std::thread::scope(|threads| {
        let mut connections = Vec::new();
        for number in 0..consumers.connections {
            let channel = format!("channel-{}", number % consumers.channels);
            let share = counted * consumers.channels / consumers.connections;
            let barrier = &barrier;
            connections.push(threads.spawn(move || {
                barrier.wait();
                consume(address, topic, &channel, |finished| finished < share)
            }));
        }
        barrier.wait();
        let started = Instant::now();
        let mut deliveries = 0;
        for connection in connections {
            deliveries += connection.join().expect("a consumer's thread panicked")?;
        }
        Ok((deliveries, started.elapsed()))
    })
}

/// Finishes messages for as long as `goes_on` with so many says so; how many it were.
pub(super) fn consume(
    address: &str,
    topic: &str,
    channel: &str,
    goes_on: impl Fn(usize) -> bool,
) -> anyhow::Result<usize> {
    let mut link = Link::subscribe(address, topic, channel, READY)?;
    let mut finished = 0;
    let mut output = Vec::new();
    while goes_on(finished) {
        output.clear();
        link.receive(|arrival| {
            if let Arrival::Message { id, .. } = arrival {
                output.extend_from_slice(b"FIN ");
                output.extend_from_slice(id);
                output.push(b'\n');
                finished += 1;
            }
        })?;
        link.send(&output)?;
    }
    Ok(finished)
}

/// Publishes for as long as `round` and consumes at once; messages consumed and in what time.
pub(super) fn both(
    address: &str,
    name: &str,
    body: &[u8],
    round: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let topic = format!("{name}-0");
    make_channels(address, &topic, 1)?;
    let started = Instant::now();
    std::thread::scope(|threads| {
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let topic = topic.clone();
                threads.spawn(move || consume(address, &topic, "channel-0", |_| started.elapsed() < round))
            })
            .collect();
        publish::run(address, FILL, name, body, round + LONGER)?;
        let mut consumed = 0;
        for consumer in consumers {
            consumed += consumer.join().expect("a consumer's thread panicked")?;
        }
        Ok((consumed, round))
    })
}
