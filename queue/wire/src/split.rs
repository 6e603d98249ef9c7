//! Taking lines and numbers off the front of a buffer.

use bytes::{Buf, Bytes, BytesMut};

/// The longest command line in bytes, its `\n` included.
pub(crate) const MAX_LINE_BYTES: usize = 16_384;

/// The line went on for more than [`MAX_LINE_BYTES`].
#[derive(Debug)]
pub(crate) struct LineTooLong;

/// Takes one line, without its `\n`; `None` until it is complete.
pub(crate) fn take_line(input: &mut BytesMut) -> Result<Option<Bytes>, LineTooLong> {
    let within = &input[..input.len().min(MAX_LINE_BYTES)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return if input.len() >= MAX_LINE_BYTES { Err(LineTooLong) } else { Ok(None) };
    };
    let line = input.split_to(end).freeze();
    input.advance(1);
    Ok(Some(line))
}

/// Takes a size or count, as the protocol writes it; `None` until its four bytes are there.
pub(crate) fn take_i32(input: &mut BytesMut) -> Option<i32> {
    (input.len() >= 4).then(|| input.get_i32())
}

/// Takes `count` bytes; `None` until all are there.
pub(crate) fn take_bytes(input: &mut BytesMut, count: usize) -> Option<Bytes> {
    (input.len() >= count).then(|| input.split_to(count).freeze())
}
