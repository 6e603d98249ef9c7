//! From messages and answers to a connection's bytes.

use std::io;

use bytes::BytesMut;
use punctual_queue_wire::frame;
use tokio::time::Instant;

use super::connection::{Connection, End, MIN_READ_BYTES};
use crate::channel::{Delivery, UNWRITTEN_BYTES};

/// Messages are written in pieces of about this size, so that no more of them is copied than the socket takes.
const WRITTEN_BYTES: usize = 256 * 1024;

impl Connection {
    /// Sends messages and answers, as far as the client takes them at once. It gets no further messages before it has
    /// taken all that it was sent, so what it does not read stays small.
    pub(super) async fn send(&mut self) -> Result<(), End> {
        if !self.is_behind() {
            self.encode_deliveries();
        }
        let took = self.transport.send_now(&mut self.output).await.map_err(End::Unsent)?;
        if !self.transport.has_unsent(&self.output) {
            self.all_was_sent();
        } else if took || !self.is_behind() {
            self.behind_since = Some(Instant::now());
        }
        Ok(())
    }

    /// The client took some of what it was behind with.
    pub(super) fn on_sent(&mut self, sent: io::Result<()>) -> Result<(), End> {
        sent.map_err(End::Unsent)?;
        self.behind_since = Some(Instant::now());
        Ok(())
    }

    /// Whether the client has not taken yet what it was sent.
    pub(super) fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    /// Whether there are messages to be sent.
    pub(super) fn has_deliveries(&self) -> bool {
        self.has_mail || self.deliveries.len() > 0
    }

    fn encode_deliveries(&mut self) {
        while self.output.len() < WRITTEN_BYTES
            && let Some(Delivery { message, attempts, .. }) = self.next_delivery()
        {
            let id = message.sequence.id();
            let head = frame::message_head(id, message.timestamp_ns, attempts, message.body.len());
            self.output.extend_from_slice(&head);
            self.output.extend_from_slice(&message.body);
            self.written += message.body.len();
        }
    }

    fn next_delivery(&mut self) -> Option<Delivery> {
        if self.deliveries.len() == 0 && std::mem::take(&mut self.has_mail) {
            self.deliveries = self.mailbox.take().into_iter();
        }
        self.deliveries.next()
    }

    fn all_was_sent(&mut self) {
        self.answers.were_sent();
        if self.behind_since.take().is_some() {
            self.listen_anew(); // it could not know of a heartbeat it should have answered
        }
        // A connection that is idle keeps no room for answers it gave.
        if self.output.capacity() > WRITTEN_BYTES || self.read_bytes == MIN_READ_BYTES {
            self.output = BytesMut::new();
        }
        self.tell_what_was_written();
    }

    /// The channel gives no more to a connection that does not get rid of what it has. Now and then is enough.
    fn tell_what_was_written(&mut self) {
        if self.written >= UNWRITTEN_BYTES / 2
            && let Some(subscription) = &self.subscription
        {
            let bytes = std::mem::take(&mut self.written);
            subscription.channel.with(|channel, _| channel.written(self.id, bytes));
        }
    }
}
