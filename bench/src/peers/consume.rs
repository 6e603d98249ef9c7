//! Consuming as fast as a server delivers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::publish;
use crate::queue::BACKLOG;
use crate::queue::consume::{COUNTED, FILL, LONGER};

const CONSUMERS: usize = 2;
/// A backlog is what a server takes in so long, if that is less than ours: else the slow ones would take an hour.
const FILLED_FOR: Duration = Duration::from_secs(5);
/// A drain is given up after so long, and its rate is that of what came.
const DRAINED_FOR: Duration = Duration::from_secs(15);

/// Publishes a backlog; of how many messages.
pub(super) fn fill(peer: &dyn Peer, topic: &str, body: &[u8]) -> anyhow::Result<usize> {
    let started = Instant::now();
    let mut filled = 0;
    while filled < BACKLOG && started.elapsed() < FILLED_FOR {
        filled += publish::run(peer, FILL, topic, body, Duration::from_millis(100))?.messages;
    }
    Ok(filled)
}

/// Consumes nearly all of so many `messages`; how many it were and in what time.
pub(super) fn drain(peer: &dyn Peer, topic: &str, messages: usize) -> anyhow::Result<(usize, Duration)> {
    let counted = (messages as f64 * COUNTED) as usize;
    consume(peer, topic, counted, DRAINED_FOR, || Ok(()))
}

/// Publishes for as long as `round` and consumes at once; messages consumed and in what time.
pub(super) fn both(
    peer: &dyn Peer,
    topic: &str,
    body: &[u8],
    round: Duration,
) -> anyhow::Result<(usize, Duration)> {
    consume(peer, topic, usize::MAX, round, || {
        publish::run(peer, FILL, topic, body, round + LONGER)?;
        Ok(())
    })
}

/// Consumes until there were so many messages or the time is over, and does something `meanwhile`.
fn consume(
    peer: &dyn Peer,
    topic: &str,
    messages: usize,
    within: Duration,
    meanwhile: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<(usize, Duration)> {
    let (consumed, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let one = || {
        let mut consumer = peer.consumer(topic)?;
        let mut took = Duration::ZERO;
        while !enough.load(Ordering::Relaxed) {
            let came = consumer.receive(&mut |_| {})?;
            if came > 0 {
                took = started.elapsed();
            }
            let all = consumed.fetch_add(came, Ordering::Relaxed) + came;
            if all >= messages || started.elapsed() >= within {
                enough.store(true, Ordering::Relaxed);
            }
        }
        anyhow::Ok(took)
    };
    std::thread::scope(|threads| {
        let consumers: Vec<_> = (0..CONSUMERS).map(|_| threads.spawn(one)).collect();
        meanwhile()?;
        let mut took = Duration::ZERO;
        for consumer in consumers {
            took = took.max(consumer.join().expect("a consumer's thread panicked")?);
        }
        Ok((consumed.load(Ordering::Relaxed), took))
    })
}
