//! When each of many messages is due to be sent, and sending them so. Open loop: a message says in its body when it was
//! due, so being late to send counts.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;

/// See the module's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Of a message's body.
    pub(crate) bytes: usize,
    /// When the first is due.
    pub(crate) base: Instant,
    pub(crate) messages: usize,
    /// Messages per second.
    pub(crate) rate: usize,
}

impl Pace {
    /// Sends `single`, the command of one message, as often as is due; its body, found by its content, tells when.
    pub(crate) fn send_all(&self, single: &[u8], mut sender: TcpStream) -> anyhow::Result<()> {
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

/// Milliseconds since the message with this body was due to be sent.
pub(crate) fn since_due(base: Instant, body: &[u8]) -> f64 {
    let due_ns = body.first_chunk::<8>().map_or(0, |due| u64::from_be_bytes(*due));
    base.elapsed().saturating_sub(Duration::from_nanos(due_ns)).as_secs_f64() * 1e3
}
