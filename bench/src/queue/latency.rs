//! From the instant at which a message was due to be sent to its arrival at a consumer. Open loop: being late to send
//! counts.

use std::time::{Duration, Instant};

use super::link::{self, Arrival, Link};
use crate::figures::Sample;

/// What a consumer may have in flight.
const READY: usize = 2500;
/// How long the last message may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes single messages of `bytes` at `rate` per second for `lasting`; the times in milliseconds.
pub(super) fn measure(
    address: &str,
    topic: &str,
    bytes: usize,
    rate: usize,
    lasting: Duration,
) -> anyhow::Result<Sample> {
    let messages = (rate as f64 * lasting.as_secs_f64()) as usize;
    let mut consumer = Link::subscribe(address, topic, "latency", READY)?;
    consumer.set_patience(PATIENCE)?;
    let mut finisher = consumer.sender()?;
    let base = Instant::now() + Duration::from_millis(200);
    std::thread::scope(|threads| {
        let publisher = threads.spawn(move || publish(address, topic, bytes, base, (messages, rate)));
        let mut times = Vec::with_capacity(messages);
        let mut output = Vec::new();
        while times.len() < messages {
            output.clear();
            consumer.receive(|arrival| {
                if let Arrival::Message { id, body } = arrival {
                    times.push(since_due(base, body));
                    output.extend_from_slice(b"FIN ");
                    output.extend_from_slice(id);
                    output.push(b'\n');
                }
            })?;
            std::io::Write::write_all(&mut finisher, &output)?;
        }
        publisher.join().expect("the publisher's thread panicked")?;
        Ok(Sample::new(times))
    })
}

fn since_due(base: Instant, body: &[u8]) -> f64 {
    let due_ns = body.first_chunk::<8>().map_or(0, |due| u64::from_be_bytes(*due));
    base.elapsed().saturating_sub(Duration::from_nanos(due_ns)).as_secs_f64() * 1e3
}

/// Sends each message at its time, whatever was answered so far.
fn publish(
    address: &str,
    topic: &str,
    bytes: usize,
    base: Instant,
    (messages, rate): (usize, usize),
) -> anyhow::Result<()> {
    let mut link = Link::open(address)?;
    let mut sender = link.sender()?;
    std::thread::scope(|threads| {
        let answers = threads.spawn(move || {
            let mut answered = 0;
            while answered < messages {
                answered += link.answers(messages - answered)?;
            }
            anyhow::Ok(())
        });
        let mut body = vec![b'x'; bytes];
        let mut sent = 0;
        let mut output = Vec::new();
        while sent < messages {
            output.clear();
            while sent < messages && base + due(sent, rate) <= Instant::now() {
                let due_ns = due(sent, rate).as_nanos() as u64;
                body[..8].copy_from_slice(&due_ns.to_be_bytes());
                output.extend(link::publish(topic, &body, 1));
                sent += 1;
            }
            std::io::Write::write_all(&mut sender, &output)?;
            #[expect(clippy::disallowed_methods, reason = "each message is sent at its time")]
            std::thread::sleep((base + due(sent, rate)).saturating_duration_since(Instant::now()));
        }
        answers.join().expect("the answers' thread panicked")
    })
}

fn due(number: usize, rate: usize) -> Duration {
    Duration::from_secs_f64(number as f64 / rate as f64)
}
