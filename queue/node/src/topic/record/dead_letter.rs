//! Records of messages that come from another topic, where nobody could finish them. Beside what every message has, they
//! say where that was; the body is as it was published. Each message has a record of its own, which a rewriting keeps
//! or drops as a whole.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use punctual_queue_log::record::Record;
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::name::{ChannelName, TopicName};
use serde::{Deserialize, Serialize};

use super::{DEAD_LETTER, put_messages_header};
use crate::message::Sequence;

/// Where a dead letter came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetterOrigin {
    pub(crate) topic: TopicName,
    pub(crate) channel: ChannelName,
    /// The message's id there.
    pub(crate) id: String,
    /// When it was published there: nanoseconds since the Unix epoch.
    pub(crate) timestamp: i64,
    /// How often the channel delivered it.
    pub(crate) attempts: u16,
}

/// The record of one message that comes from elsewhere.
pub(crate) fn dead_letter(
    sequence: Sequence,
    timestamp_ns: i64,
    body: &Bodies,
    origin: &DeadLetterOrigin,
) -> Record {
    let origin = serde_json::to_vec(origin).expect("names and numbers always have a JSON form");
    let mut header = BytesMut::new();
    header.put_u8(DEAD_LETTER);
    header.put_u16(u16::try_from(origin.len()).expect("names have 64 bytes at most"));
    header.put_slice(&origin);
    put_messages_header(&mut header, sequence, timestamp_ns, body);
    Record::new(vec![header.freeze(), body.packed().clone()])
}

/// Where the message of a record came from, if it is a dead letter's.
pub(crate) fn origin(mut record: Bytes) -> Option<DeadLetterOrigin> {
    if record.try_get_u8() != Ok(DEAD_LETTER) {
        return None;
    }
    serde_json::from_slice(&take_origin(&mut record)?).ok()
}

/// Takes it off the front of what follows a record's first byte.
pub(super) fn take_origin(record: &mut Bytes) -> Option<Bytes> {
    let bytes = usize::from(record.try_get_u16().ok()?);
    (bytes <= record.len()).then(|| record.split_to(bytes))
}
