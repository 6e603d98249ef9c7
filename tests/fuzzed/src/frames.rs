//! What a node sends to a client.

use bytes::BytesMut;
use punctual_queue_wire::frame::{self, Frame, FrameError};

use crate::meter::within;
use crate::pieces::read_all;

/// The longest frame that is taken.
const MAX_BYTES: usize = 1024 * 1024;

/// The first byte says how the rest arrives.
///
/// # Panics
/// When frames depend on how they arrive, are not those that were read once they are written again, or take more
/// memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let Some((control, input)) = data.split_first() else { return };
    let size = usize::from(*control) + 1;
    let memory = 16 * 1024 + 48 * input.len();
    let whole = within(memory, || read(input, input.len()));
    let in_pieces = within(memory, || read(input, size));
    assert_eq!(whole, in_pieces, "as a whole, and in pieces of {size}");
    for read_once in whole.0 {
        let mut written = BytesMut::new();
        match &read_once {
            Frame::Response(data) => frame::encode_response(data, &mut written),
            Frame::Message(message) => frame::encode_message(message, &mut written),
            // Its text need not have been UTF-8.
            Frame::Error { .. } => continue,
        }
        assert_eq!(read(&written, written.len()), (vec![read_once], None));
    }
}

fn read(input: &[u8], size: usize) -> (Vec<Frame>, Option<FrameError>) {
    read_all(input, size, |input| Frame::decode(input, MAX_BYTES))
}
