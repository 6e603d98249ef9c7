//! From the instant at which a message was due to be sent to its arrival at a consumer. Open loop: being late to send
//! counts.

use std::time::{Duration, Instant};

use super::link::{self, Arrival, Link};
use crate::figures::Sample;
use crate::pace::{Pace, since_due};

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
        let pace = Pace { bytes, base, messages, rate };
        let publisher = threads.spawn(move || publish(address, topic, pace));
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

/// Sends each message at its time, whatever was answered so far.
fn publish(address: &str, topic: &str, pace: Pace) -> anyhow::Result<()> {
    let mut link = Link::open(address)?;
    let sender = link.sender()?;
    std::thread::scope(|threads| {
        let answers = threads.spawn(move || {
            let mut answered = 0;
            while answered < pace.messages {
                answered += link.answers(pace.messages - answered)?;
            }
            anyhow::Ok(())
        });
        pace.send_all(&link::publish(topic, &vec![b'x'; pace.bytes], 1), sender)?;
        answers.join().expect("the answers' thread panicked")
    })
}
