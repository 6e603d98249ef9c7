//! The protocol between a node and the discovery daemon, on the daemon's TCP port.
//!
//! Lines as in the main protocol; answers are a size and data, without a frame type, also when they are errors.
//! Every error ends the connection.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    frame::wire_size,
    name::{ChannelName, TopicName},
    split,
};

mod command;
mod peer;

pub use command::{RegistrationCommand, RegistrationReader};
pub use peer::{LookupIdentity, PeerInfo};

/// The four bytes that open a connection from a node to a lookup.
pub const MAGIC_V1: &[u8; 4] = b"  V1";

/// Answer to every command but IDENTIFY.
pub const OK: &[u8] = b"OK";

/// Begins the answer to a REGISTER that was understood, and not followed. Stock nodes write it to their log and go on.
pub const REGISTER_FAILED: &[u8] = b"E_REGISTER_FAILED";

/// Why a lookup does not take a name in; NSQ's knows no bounds. `Display` is the answer. Unlike a
/// [`RegistrationError`] it does not end the connection, which would take the node's other names off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationRefused {
    /// The node has as many names as one may have.
    #[error("E_REGISTER_FAILED REGISTER a node may have no more than {0} topics and channels")]
    OfNode(usize),
    /// There are as many names as there may be.
    #[error("E_REGISTER_FAILED REGISTER there may be no more than {0} topics and channels")]
    OfAll(usize),
}

/// What a node may get wrong towards a lookup. `Display` is the answer; all of them end the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The connection began with other bytes than the magic.
    #[error("E_BAD_PROTOCOL")]
    BadProtocol,
    /// No such command, or a line that goes on for more than 16,384 bytes.
    #[error("E_INVALID invalid command {0}")]
    UnknownCommand(String),
    /// A second IDENTIFY.
    #[error("E_INVALID cannot IDENTIFY again")]
    IdentifiedTwice,
    /// IDENTIFY must come first.
    #[error("E_INVALID client must IDENTIFY")]
    NotIdentified,
    /// REGISTER or UNREGISTER without a topic.
    #[error("E_INVALID {0} insufficient number of params")]
    MissingTopic(&'static str),
    /// Not a topic's name.
    #[error("E_BAD_TOPIC {command} topic name '{name}' is not valid")]
    BadTopic {
        /// REGISTER or UNREGISTER.
        command: &'static str,
        /// What stood in its place.
        name: String,
    },
    /// Not a channel's name.
    #[error("E_BAD_CHANNEL {command} channel name '{name}' is not valid")]
    BadChannel {
        /// REGISTER or UNREGISTER.
        command: &'static str,
        /// What stood in its place.
        name: String,
    },
    /// The size of IDENTIFY's body is negative or above the limit.
    #[error("E_BAD_BODY IDENTIFY failed to read body size")]
    BadBodySize(i32),
    /// The connection's input ended before the size of IDENTIFY's body.
    #[error("E_BAD_BODY IDENTIFY failed to read body size")]
    SizeCutOff,
    /// The connection's input ended within IDENTIFY's body.
    #[error("E_BAD_BODY IDENTIFY failed to read body")]
    BodyCutOff,
    /// IDENTIFY's body is not the JSON it should be.
    #[error("E_BAD_BODY IDENTIFY failed to decode JSON body")]
    BadJson,
    /// IDENTIFY lacks an address, a port or the version.
    #[error("E_BAD_BODY IDENTIFY missing fields")]
    MissingFields,
}

/// Appends an answer.
pub fn encode_answer(data: &[u8], out: &mut BytesMut) {
    out.reserve(4 + data.len());
    out.put_i32(wire_size(data.len()));
    out.put_slice(data);
}

/// An answer's size is negative or above the reader's limit; the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer cannot have {0} bytes")]
pub struct AnswerSizeError(pub i32);

/// Takes one answer off the front of `input`; `None` until it is complete.
///
/// # Errors
/// The answer is said to be longer than `max_bytes`, or to have a negative size.
pub fn decode_answer(input: &mut BytesMut, max_bytes: usize) -> Result<Option<Bytes>, AnswerSizeError> {
    let Some(header) = input.first_chunk::<4>() else { return Ok(None) };
    let claimed = i32::from_be_bytes(*header);
    let size =
        usize::try_from(claimed).ok().filter(|size| *size <= max_bytes).ok_or(AnswerSizeError(claimed))?;
    Ok(split::take_bytes(input, 4 + size).map(|mut answer| {
        answer.advance(4);
        answer
    }))
}

/// What REGISTER and UNREGISTER name: a topic, or one of its channels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Registration {
    /// The topic.
    pub topic: TopicName,
    /// The channel, if it is about one.
    pub channel: Option<ChannelName>,
}

#[cfg(test)]
mod tests;
