//! From messages and answers to a connection's bytes.

use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::frame;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Connection, End, MIN_READ_BYTES};
use crate::channel::{Delivery, UNWRITTEN_BYTES};

/// Messages are written in pieces of about this size, so that no more of them is copied than the socket takes.
const WRITTEN_BYTES: usize = 256 * 1024;

/// How long to let a client read the error it is being closed for.
const LINGER: Duration = Duration::from_millis(500);

/// How long a stopping node waits for the disk before it closes a connection without its answers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

impl Connection {
    pub(super) fn encode_deliveries(&mut self) {
        while self.output.len() < WRITTEN_BYTES
            && let Some(Delivery { message, attempts, .. }) = self.deliveries.next()
        {
            let id = message.sequence.id();
            let head = frame::message_head(id, message.timestamp_ns, attempts, message.body.len());
            self.output.extend_from_slice(&head);
            self.output.extend_from_slice(&message.body);
            self.written += message.body.len();
        }
    }

    /// The channel gives no more to a connection that does not get rid of what it has. Now and then is enough.
    pub(super) fn tell_what_was_written(&mut self) {
        if self.written >= UNWRITTEN_BYTES / 2
            && let Some(subscription) = &self.subscription
        {
            let bytes = std::mem::take(&mut self.written);
            subscription.channel.with(|channel, _| channel.written(self.id, bytes));
        }
    }

    pub(super) fn heartbeat(&mut self) {
        frame::encode_response(frame::HEARTBEAT, &mut self.output);
        if let Some(interval) = self.settings.heartbeat_interval {
            self.heartbeat_at = Instant::now() + interval;
        }
    }

    pub(super) async fn write(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.transport.write_all(&self.output, self.settings.heartbeat_interval).await?;
        // A connection that is idle keeps no room for answers it gave.
        if self.output.capacity() > WRITTEN_BYTES || self.read_bytes == MIN_READ_BYTES {
            self.output = BytesMut::new();
        } else {
            self.output.clear();
        }
        Ok(())
    }

    /// Answers what was accepted, and closes.
    pub(super) async fn finish(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + LAST_ANSWERS;
        while !self.answers.is_empty() {
            let Ok(result) = timeout_at(deadline, self.answers.first()).await else { break };
            self.answers.settle(result, &mut self.output);
        }
        self.close().await
    }

    /// Sends what is left to send and closes so that the client can read it: a socket closed with unread input would
    /// take it back.
    pub(super) async fn close(&mut self) -> Result<(), End> {
        self.write().await?;
        self.transport.shutdown().await?;
        let _ended_or_late = timeout(LINGER, self.transport.discard()).await;
        Err(End::Closed)
    }
}
