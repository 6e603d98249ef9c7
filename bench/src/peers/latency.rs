//! From the instant at which a message was due to be sent to its arrival at a consumer. Open loop: being late to send
//! counts, and so does a server that cannot keep up.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::peer::{Peer, Publisher};
use crate::figures::Sample;

/// How long after the last message was due all must have come.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of messages sent at a rate.
pub(super) struct Seen {
    /// Of each message that came in time.
    pub(super) times_ms: Sample,
    /// Messages that were due to be sent.
    pub(super) sent: usize,
    pub(super) took: Duration,
}

/// Publishes single messages of `bytes` at `rate` per second for `lasting`.
pub(super) fn measure(
    peer: &dyn Peer,
    topic: &str,
    bytes: usize,
    rate: usize,
    lasting: Duration,
) -> anyhow::Result<Seen> {
    let messages = (rate as f64 * lasting.as_secs_f64()) as usize;
    let mut consumer = peer.consumer(topic)?;
    let publisher = peer.publisher(topic)?;
    let plug = publisher.sender()?;
    let base = Instant::now() + Duration::from_millis(200);
    let given_up = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let publishing = threads.spawn(|| publish(publisher, bytes, base, (messages, rate), &given_up));
        let mut times = Vec::with_capacity(messages);
        while times.len() < messages && base.elapsed() < lasting + PATIENCE {
            consumer.receive(&mut |body| times.push(since_due(base, body)))?;
        }
        let took = base.elapsed();
        // With its connection closed, the publisher ends wherever it waits. After a server that kept up it has ended.
        if times.len() < messages {
            given_up.store(true, Ordering::Relaxed);
            plug.shutdown(Shutdown::Both)?;
        }
        publishing.join().expect("the publisher's thread panicked")?;
        Ok(Seen { times_ms: Sample::new(times), sent: messages, took })
    })
}

fn since_due(base: Instant, body: &[u8]) -> f64 {
    let due_ns = body.first_chunk::<8>().map_or(0, |due| u64::from_be_bytes(*due));
    base.elapsed().saturating_sub(Duration::from_nanos(due_ns)).as_secs_f64() * 1e3
}

/// Sends each message at its time, whatever was answered so far. Failing is no failure once it was `given_up`.
fn publish(
    mut publisher: Box<dyn Publisher>,
    bytes: usize,
    base: Instant,
    (messages, rate): (usize, usize),
    given_up: &AtomicBool,
) -> anyhow::Result<()> {
    let sender = publisher.sender()?;
    let pace = Pace { bytes, base, messages, rate };
    std::thread::scope(|threads| {
        let mut single = Vec::new();
        publisher.publish(&vec![b'x'; bytes], 1, &mut single);
        let sending = threads.spawn(move || pace.send_all(&single, sender));
        let mut answered = 0;
        let mut outcome = Ok(());
        while answered < messages && outcome.is_ok() {
            outcome = publisher.acknowledged(1).map(|came| answered += came);
        }
        let sent = sending.join().expect("the sender's thread panicked");
        if given_up.load(Ordering::Relaxed) { Ok(()) } else { outcome.and(sent) }
    })
}

/// When each message is due to be sent.
struct Pace {
    bytes: usize,
    base: Instant,
    messages: usize,
    rate: usize,
}

impl Pace {
    /// Sends `single`, the command of one message, as often as is due; its body, found by its content, tells when.
    fn send_all(&self, single: &[u8], mut sender: TcpStream) -> anyhow::Result<()> {
        let body = single.windows(self.bytes).position(|window| window.iter().all(|byte| *byte == b'x'));
        let body = body.context("a command has its message's body")?;
        let mut command = single.to_vec();
        let mut output = Vec::new();
        let mut sent = 0;
        while sent < self.messages {
            output.clear();
            while sent < self.messages && self.base + self.due(sent) <= Instant::now() {
                let due_ns = self.due(sent).as_nanos() as u64;
                command[body..body + 8].copy_from_slice(&due_ns.to_be_bytes());
                output.extend_from_slice(&command);
                sent += 1;
            }
            sender.write_all(&output)?;
            #[expect(clippy::disallowed_methods, reason = "each message is sent at its time")]
            std::thread::sleep((self.base + self.due(sent)).saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn due(&self, number: usize) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate as f64)
    }
}
