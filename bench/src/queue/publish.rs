//! Publishing as fast as the server acknowledges.

use std::time::{Duration, Instant};

use super::link::{self, Link};

/// How messages are published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) what: &'static str,
    pub(crate) aim: &'static str,
    pub(crate) connections: usize,
    /// Commands on each connection that wait for their answer.
    pub(crate) in_flight: usize,
    /// Messages of a command.
    pub(crate) batch: usize,
    /// Each connection publishes to these in turn.
    pub(crate) topics: usize,
}

/// What one round gave.
pub(crate) struct Published {
    pub(crate) messages: usize,
    pub(crate) took: Duration,
    /// From a command to its answer, in microseconds; only with one in flight.
    pub(crate) waits_us: Vec<f64>,
}

/// Publishes bodies of `body` bytes for as long as `round`; the topics' names begin with `topic`.
pub(crate) fn run(
    address: &str,
    pattern: Pattern,
    topic: &str,
    body: &[u8],
    round: Duration,
) -> anyhow::Result<Published> {
    let started = Instant::now();
    let outcomes: Vec<_> = std::thread::scope(|threads| {
        let connections: Vec<_> = (0..pattern.connections)
            .map(|_| threads.spawn(move || connection(address, pattern, topic, body, started + round)))
            .collect();
        connections.into_iter().map(|thread| thread.join().expect("a connection's thread panicked")).collect()
    });
    let took = started.elapsed();
    let mut all = Published { messages: 0, took, waits_us: Vec::new() };
    for outcome in outcomes {
        let (messages, waits) = outcome?;
        all.messages += messages;
        all.waits_us.extend(waits);
    }
    Ok(all)
}

fn connection(
    address: &str,
    pattern: Pattern,
    topic: &str,
    body: &[u8],
    until: Instant,
) -> anyhow::Result<(usize, Vec<f64>)> {
    let mut link = Link::open(address)?;
    let commands: Vec<_> = (0..pattern.topics)
        .map(|number| link::publish(&format!("{topic}-{number}"), body, pattern.batch))
        .collect();
    let mut turns = (0..commands.len()).cycle();
    let mut waits = Vec::new();
    let (mut acknowledged, mut free, mut waiting) = (0, pattern.in_flight, 0);
    let mut output = Vec::new();
    loop {
        let sent = Instant::now();
        if sent < until {
            output.clear();
            for turn in turns.by_ref().take(free) {
                output.extend_from_slice(&commands[turn]);
            }
            link.send(&output)?;
            waiting += free;
        } else if waiting == 0 {
            return Ok((acknowledged * pattern.batch, waits));
        }
        free = link.answers(waiting)?;
        waiting -= free;
        acknowledged += free;
        if pattern.in_flight == 1 {
            waits.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
}
