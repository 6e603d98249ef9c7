//! Frames: what a node sends to its clients.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    message::{HEADER_BYTES, ID_BYTES, Message, MessageId},
    split,
};

/// The four bytes that open a connection between client and node.
pub const MAGIC_V2: &[u8; 4] = b"  V2";

/// Answer of every successful command that has no other.
pub const OK: &[u8] = b"OK";

/// Sent every heartbeat interval; any command answers it.
pub const HEARTBEAT: &[u8] = b"_heartbeat_";

/// Answer to CLS.
pub const CLOSE_WAIT: &[u8] = b"CLOSE_WAIT";

/// Bytes before a frame's data: size and type.
pub const FRAME_HEADER_BYTES: usize = 8;

const RESPONSE: i32 = 0;
const ERROR: i32 = 1;
const MESSAGE: i32 = 2;

/// One frame as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// [`OK`], [`HEARTBEAT`], [`CLOSE_WAIT`], or JSON.
    Response(Bytes),
    /// The answer to a command that failed.
    Error {
        /// The first word, such as `E_FIN_FAILED`.
        code: String,
        /// What follows it; often empty for `E_BAD_PROTOCOL`.
        text: String,
    },
    /// A delivery.
    Message(Message),
}

/// Why bytes are not a frame. The stream cannot be read on after any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The size is negative or leaves no room for the frame's type.
    #[error("a frame cannot have {0} bytes")]
    BadSize(i32),
    /// The size is above the reader's bound.
    #[error("a frame of {size} bytes is above the limit of {max_bytes}")]
    TooBig {
        /// The size the frame claims, type included.
        size: i32,
        /// The bound given to [`Frame::decode`].
        max_bytes: usize,
    },
    /// A type other than response, error and message.
    #[error("{0} is not a frame type")]
    UnknownType(i32),
    /// A message frame too short for a message's header.
    #[error("a message cannot have {0} bytes")]
    ShortMessage(usize),
}

impl Frame {
    /// Takes one frame off the front of `input`; `None` until it is complete. Bodies share `input`'s memory.
    ///
    /// `max_bytes` bounds the frame's size (type and data); nothing is reserved for a size that is only claimed.
    ///
    /// # Errors
    /// What stands there is not a frame; the connection is of no more use.
    pub fn decode(input: &mut BytesMut, max_bytes: usize) -> Result<Option<Self>, FrameError> {
        let Some(header) = input.first_chunk::<4>() else { return Ok(None) };
        let claimed = i32::from_be_bytes(*header);
        let size =
            usize::try_from(claimed).ok().filter(|size| *size >= 4).ok_or(FrameError::BadSize(claimed))?;
        if size > max_bytes {
            return Err(FrameError::TooBig { size: claimed, max_bytes });
        }
        let Some(mut frame) = split::take_bytes(input, 4 + size) else { return Ok(None) };
        frame.advance(4);
        let kind = frame.get_i32();
        match kind {
            RESPONSE => Ok(Some(Self::Response(frame))),
            ERROR => Ok(Some(Self::error(&frame))),
            MESSAGE => Self::message(frame).map(Some),
            unknown => Err(FrameError::UnknownType(unknown)),
        }
    }

    fn error(data: &[u8]) -> Self {
        let data = String::from_utf8_lossy(data);
        let (code, text) = data.split_once(' ').unwrap_or((&data, ""));
        Self::Error { code: code.to_owned(), text: text.to_owned() }
    }

    fn message(mut data: Bytes) -> Result<Self, FrameError> {
        if data.len() < HEADER_BYTES {
            return Err(FrameError::ShortMessage(data.len()));
        }
        let timestamp_ns = data.get_i64();
        let attempts = data.get_u16();
        let mut id = [0; ID_BYTES];
        data.copy_to_slice(&mut id);
        Ok(Self::Message(Message { id: MessageId(id), timestamp_ns, attempts, body: data }))
    }
}

/// Appends a response frame.
pub fn encode_response(data: &[u8], out: &mut BytesMut) {
    encode(RESPONSE, data, out);
}

/// Appends an error frame; `data` is what [`ProtocolError::answer`](crate::error::ProtocolError::answer) gives.
pub fn encode_error(data: &[u8], out: &mut BytesMut) {
    encode(ERROR, data, out);
}

/// Appends a message frame.
pub fn encode_message(message: &Message, out: &mut BytesMut) {
    out.reserve(FRAME_HEADER_BYTES + HEADER_BYTES + message.body.len());
    out.put_slice(&message_head(message.id, message.timestamp_ns, message.attempts, message.body.len()));
    out.put_slice(&message.body);
}

/// What precedes the body in a message frame, for writing the body from where it lies.
pub fn message_head(
    id: MessageId,
    timestamp_ns: i64,
    attempts: u16,
    body_bytes: usize,
) -> [u8; FRAME_HEADER_BYTES + HEADER_BYTES] {
    let mut head = [0; FRAME_HEADER_BYTES + HEADER_BYTES];
    let mut out = &mut head[..];
    out.put_i32(wire_size(4 + HEADER_BYTES + body_bytes));
    out.put_i32(MESSAGE);
    out.put_i64(timestamp_ns);
    out.put_u16(attempts);
    out.put_slice(&id.0);
    head
}

fn encode(kind: i32, data: &[u8], out: &mut BytesMut) {
    out.reserve(FRAME_HEADER_BYTES + data.len());
    out.put_i32(wire_size(4 + data.len()));
    out.put_i32(kind);
    out.put_slice(data);
}

/// Sizes are signed 32-bit on the wire; bodies are limited to far less long before one is sent.
pub(crate) fn wire_size(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("bodies are bounded by the message and body limits, far below 2 GiB")
}

#[cfg(test)]
mod tests;
