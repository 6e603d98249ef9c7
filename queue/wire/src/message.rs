//! A message and its id.

use std::{fmt, str::FromStr};

use bytes::Bytes;

/// Bytes of a message id on the wire.
pub const ID_BYTES: usize = 16;

/// Bytes before the body: timestamp, attempts, id.
pub const HEADER_BYTES: usize = 8 + 2 + ID_BYTES;

/// What FIN, REQ and TOUCH name a message by: 16 bytes, opaque to clients, printable without spaces when a node
/// made them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; ID_BYTES]);

/// The given text has not exactly 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id has {ID_BYTES} bytes, not {bytes}")]
pub struct MessageIdError {
    /// How many it has.
    pub bytes: usize,
}

impl MessageId {
    /// The id whose text is `number` in 16 lowercase hex digits, the form nsqd uses.
    pub fn from_number(number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; ID_BYTES];
        for (place, digit) in id.iter_mut().enumerate() {
            *digit = DIGITS[(number >> (60 - 4 * place) & 0xf) as usize];
        }
        Self(id)
    }

    /// The number behind an id made by [`from_number`](Self::from_number); `None` for any other id.
    pub fn to_number(self) -> Option<u64> {
        self.0.iter().try_fold(0_u64, |number, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(number << 4 | u64::from(value))
        })
    }

    /// The id with these 16 bytes.
    ///
    /// # Errors
    /// Any other number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageIdError> {
        bytes.try_into().map(Self).map_err(|_| MessageIdError { bytes: bytes.len() })
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.0.escape_ascii())
    }
}

/// A message as a consumer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message towards the node that delivered it.
    pub id: MessageId,
    /// When it was published: nanoseconds since the Unix epoch, kept across redeliveries.
    pub timestamp_ns: i64,
    /// How often it has been delivered, this time included; from 1, and no further than 65,535.
    pub attempts: u16,
    /// What was published.
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_from_a_number_is_its_hex_text() {
        let id = MessageId::from_number(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "0123456789abcdef");
        assert_eq!(id.to_number(), Some(0x0123_4567_89ab_cdef));
        assert_eq!("0123456789abcdef".parse(), Ok(id));
    }

    #[test]
    fn an_id_has_exactly_16_bytes() {
        assert_eq!("short".parse::<MessageId>(), Err(MessageIdError { bytes: 5 }));
        assert_eq!(MessageId(*b"0123456789abcdeX").to_number(), None);
    }
}
