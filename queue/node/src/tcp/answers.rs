//! Answers in the order of the commands, though publishes take their time.

use std::collections::VecDeque;

use bytes::BytesMut;
use punctual_queue_wire::command::CommandName;
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::frame;

use crate::error::TopicError;
use crate::health::reason;
use crate::topic::Receipt;

/// Publishes under way on one connection: more are not read until some are answered. Bounds what a client that does
/// not wait can make the node hold.
const MAX_UNANSWERED: usize = 64;
const MAX_UNANSWERED_BYTES: usize = 16 * 1024 * 1024;

/// The same for answers that are not sent: those that a publish holds up, and those that the client does not read.
const MAX_UNSENT_BYTES: usize = 256 * 1024;

/// What is still to be answered, first command first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Waiting>,
    /// Bytes of the publishes under way.
    publish_bytes: usize,
    /// Bytes of the answers behind them.
    ready_bytes: usize,
    /// Bytes of the answers that were put out since all were sent.
    unsent_bytes: usize,
    /// A fatal error was answered or is about to be: nothing follows it.
    pub(super) fatal: bool,
}

#[derive(Debug)]
enum Waiting {
    /// Frames, ready to be sent.
    Ready(BytesMut),
    /// The same answer to each of a number of commands, once the messages are on the disk.
    Publish { receipt: Receipt, command: CommandName, commands: usize, bytes: usize },
}

impl Answers {
    pub(super) fn response(&mut self, data: &[u8], out: &mut BytesMut) {
        self.put(out, |end| frame::encode_response(data, end));
    }

    pub(super) fn error(&mut self, error: &ProtocolError, out: &mut BytesMut) {
        self.fatal |= error.is_fatal();
        if let Some(answer) = error.answer() {
            self.put(out, |end| frame::encode_error(answer.as_bytes(), end));
        }
    }

    pub(super) fn publish(&mut self, receipt: Receipt, command: CommandName, commands: usize, bytes: usize) {
        self.publish_bytes += bytes;
        self.waiting.push_back(Waiting::Publish { receipt, command, commands, bytes });
    }

    /// Puts an answer behind the others: to the output itself when nothing is before it.
    fn put(&mut self, out: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) {
        if let Some(Waiting::Publish { .. }) = self.waiting.back() {
            self.waiting.push_back(Waiting::Ready(BytesMut::new()));
        }
        let (end, counter) = match self.waiting.back_mut() {
            Some(Waiting::Ready(frames)) => (frames, &mut self.ready_bytes),
            Some(Waiting::Publish { .. }) | None => (out, &mut self.unsent_bytes),
        };
        let before = end.len();
        encode(end);
        *counter += end.len() - before;
    }

    /// All that was put out was sent.
    pub(super) fn were_sent(&mut self) {
        self.unsent_bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_UNANSWERED
            || self.publish_bytes >= MAX_UNANSWERED_BYTES
            || self.ready_bytes + self.unsent_bytes >= MAX_UNSENT_BYTES
    }

    /// Returns when the first publish is through. May be dropped and called again.
    pub(super) async fn first(&mut self) -> Result<(), TopicError> {
        match self.waiting.front_mut() {
            Some(Waiting::Publish { receipt, .. }) => received_in_place(receipt).await,
            Some(Waiting::Ready(_)) | None => Ok(()),
        }
    }

    /// Puts out the answer to the first publish, and what waited behind it.
    pub(super) fn settle(&mut self, result: Result<(), TopicError>, out: &mut BytesMut) {
        let before = out.len();
        if let Some(Waiting::Publish { command, commands, bytes, .. }) = self.waiting.pop_front() {
            self.publish_bytes -= bytes;
            match result {
                Ok(()) => (0..commands).for_each(|_| frame::encode_response(frame::OK, out)),
                Err(e) => {
                    let error = ProtocolError::PublishFailed { command, reason: reason(&e) };
                    if let Some(answer) = error.answer() {
                        frame::encode_error(answer.as_bytes(), out);
                    }
                    // It ends the connection, so what comes after it is not sent.
                    self.fatal = true;
                    self.waiting.clear();
                }
            }
        }
        while let Some(Waiting::Ready(_)) = self.waiting.front() {
            if let Some(Waiting::Ready(frames)) = self.waiting.pop_front() {
                self.ready_bytes -= frames.len();
                out.unsplit(frames);
            }
        }
        self.unsent_bytes += out.len() - before;
    }
}

async fn received_in_place(receipt: &mut Receipt) -> Result<(), TopicError> {
    receipt.await.unwrap_or(Err(TopicError::Exiting))
}
