//! From the instant at which a message was due to be sent to its arrival at a consumer. Open loop: being late to send
//! counts, and so does a server that cannot keep up.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::peer::{Peer, Publisher};
use crate::figures::Sample;
use crate::pace::{Pace, since_due};

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
