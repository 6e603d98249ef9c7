//! Giving messages out.

use std::time::Instant;

use super::given::Given;
use super::in_flight::Held;
use super::{Channel, ConnectionId};
use crate::message::{Sequence, StoredMessage};

/// A message on its way to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) consumer: ConnectionId,
    pub(crate) message: StoredMessage,
    pub(crate) attempts: u16,
}

impl Channel {
    /// Gives out what is ready to those who want it, in turn.
    pub(crate) fn deliver(&mut self, now: Instant, out: &mut Vec<Delivery>) {
        while !self.paused
            && let Some((id, consumer)) = self.consumers.next()
        {
            let (timeout, sample_rate) = (consumer.message_timeout, consumer.sample_rate);
            let Some(message) = self.next_message() else { return };
            let sequence = message.sequence;
            if self.dies(&message, now) {
                continue;
            }
            if is_sampled_out(sequence, sample_rate) {
                self.attempts.remove(&sequence);
                self.counts.sampled_out += 1;
                self.done_with(sequence, now);
                continue;
            }
            if let Some(nearness) = self.consumers.serve(message.body.len()) {
                self.counts.delivered[nearness as usize] += 1;
            }
            let before = if self.attempts.is_empty() { None } else { self.attempts.remove(&sequence) };
            let attempts = before.unwrap_or(0).saturating_add(1);
            self.unsaved.delivered(sequence, now);
            self.in_flight.insert(Held {
                given: self.arrivals.given(&message),
                owner: id,
                deadline: now + timeout,
                latest_deadline: now + self.max_message_timeout,
                attempts,
            });
            out.push(Delivery { consumer: id, message, attempts });
        }
    }

    /// Whether anyone would get a message now.
    pub(super) fn is_wanted(&mut self) -> bool {
        !self.paused && self.consumers.next().is_some()
    }

    /// Takes messages to be given out again and new ones in turn, so that neither keeps the other waiting.
    fn next_message(&mut self) -> Option<StoredMessage> {
        let again_first = self.serve_again_next || self.ready.is_empty();
        if again_first && let Some(message) = self.again.front_mut().and_then(Given::take) {
            self.again.pop_front();
            self.serve_again_next = false;
            return Some(message);
        }
        self.serve_again_next = true;
        self.ready.pop()
    }
}

/// Whether a consumer that wants `sample_rate` percent goes without this message. Which ones is a matter of their
/// numbers, scattered.
fn is_sampled_out(sequence: Sequence, sample_rate: u8) -> bool {
    let scattered = sequence.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    sample_rate > 0 && scattered % 100 >= u64::from(sample_rate)
}
