//! Publishing at a steady rate and consuming at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::consume::{self, FILL, LONGER};
use super::super::link::{self, Link};

pub(super) const TOPIC: &str = "soak";

/// A load and how far it has come.
pub(super) struct Load {
    /// Messages per second.
    rate: f64,
    published: AtomicUsize,
    consumed: [AtomicUsize; 2],
}

impl Load {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, published: AtomicUsize::new(0), consumed: [const { AtomicUsize::new(0) }; 2] }
    }

    /// Messages consumed so far.
    pub(super) fn consumed(&self) -> usize {
        self.consumed.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Messages acknowledged to a publisher and not yet consumed.
    pub(super) fn backlog(&self) -> usize {
        let consumed = self.consumed();
        self.published.load(Ordering::Relaxed).saturating_sub(consumed)
    }

    /// Returns when the time is over, or with the first failure when all have ended.
    pub(super) fn run(&self, address: &str, body: &[u8], lasting: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        std::thread::scope(|threads| {
            let mut all = Vec::new();
            for consumed in &self.consumed {
                all.push(threads.spawn(move || {
                    consume::consume(address, TOPIC, "channel-0", |finished| {
                        consumed.store(finished, Ordering::Relaxed);
                        started.elapsed() < lasting
                    })?;
                    Ok(())
                }));
            }
            for _ in 0..FILL.connections {
                all.push(threads.spawn(move || self.publish(address, body, started, lasting + LONGER)));
            }
            all.into_iter().try_for_each(|thread| thread.join().expect("a thread of the load panicked"))
        })
    }

    /// One connection's part: each batch at its time, or as soon after as the server lets it. What is more than a second
    /// late is left out: a machine that was busy with something else must not be followed by more load than was asked for.
    fn publish(&self, address: &str, body: &[u8], started: Instant, lasting: Duration) -> anyhow::Result<()> {
        let mut link = Link::open(address)?;
        let command = link::publish(TOPIC, body, FILL.batch);
        let per_second = self.rate / (FILL.connections * FILL.batch) as f64;
        let (mut sent, mut waiting, mut left_out) = (0, 0, 0);
        loop {
            let now = started.elapsed();
            let due = (now.as_secs_f64() * per_second) as usize - left_out;
            let due = if now < lasting { due } else { sent };
            left_out += due.saturating_sub(sent).saturating_sub(per_second as usize);
            let free = due.saturating_sub(sent).min(FILL.in_flight - waiting);
            link.send(&command.repeat(free))?;
            sent += free;
            waiting += free;
            if waiting > 0 {
                let answered = link.answers(waiting)?;
                waiting -= answered;
                self.published.fetch_add(answered * FILL.batch, Ordering::Relaxed);
            } else if now >= lasting {
                return Ok(());
            } else {
                let next = started + Duration::from_secs_f64((sent + left_out + 1) as f64 / per_second);
                #[expect(clippy::disallowed_methods, reason = "each batch is sent at its time")]
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    }
}
