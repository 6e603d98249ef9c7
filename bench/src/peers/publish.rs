//! Publishing as fast as a server acknowledges.

use std::io::Write;
use std::time::{Duration, Instant};

use super::peer::{Peer, Publisher};
use crate::queue::publish::{Pattern, Published};

/// Publishes `body` over and over for as long as `round`.
pub(super) fn run(
    peer: &dyn Peer,
    pattern: Pattern,
    topic: &str,
    body: &[u8],
    round: Duration,
) -> anyhow::Result<Published> {
    let publishers: Vec<_> =
        (0..pattern.connections).map(|_| peer.publisher(topic)).collect::<anyhow::Result<_>>()?;
    let started = Instant::now();
    let until = started + round;
    let outcomes: Vec<_> = std::thread::scope(|threads| {
        let threads: Vec<_> = publishers
            .into_iter()
            .map(|mut publisher| threads.spawn(move || connection(publisher.as_mut(), pattern, body, until)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a publisher's thread panicked")).collect()
    });
    let mut all = Published { messages: 0, took: started.elapsed(), waits_us: Vec::new() };
    for outcome in outcomes {
        let (messages, waits) = outcome?;
        all.messages += messages;
        all.waits_us.extend(waits);
    }
    Ok(all)
}

/// Keeps so many commands waiting; counts messages, because some servers acknowledge each and some a batch.
fn connection(
    publisher: &mut dyn Publisher,
    pattern: Pattern,
    body: &[u8],
    until: Instant,
) -> anyhow::Result<(usize, Vec<f64>)> {
    let mut sender = publisher.sender()?;
    let mut command = Vec::new();
    publisher.publish(body, pattern.batch, &mut command);
    let commands = command.repeat(pattern.in_flight);
    let most = pattern.in_flight * pattern.batch;
    let mut waits = Vec::new();
    let (mut acknowledged, mut waiting) = (0, 0);
    loop {
        let sent = Instant::now();
        if sent < until {
            let free = (most - waiting) / pattern.batch;
            sender.write_all(&commands[..free * command.len()])?;
            waiting += free * pattern.batch;
        } else if waiting == 0 {
            return Ok((acknowledged, waits));
        }
        let came = publisher.acknowledged(pattern.batch)?;
        waiting -= came;
        acknowledged += came;
        if most == 1 {
            waits.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
}
