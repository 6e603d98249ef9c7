//! Compressed streams.

use bytes::BytesMut;
use punctual_queue_wire::compress::{Compression, CompressionError, Decoder, Encoder};

use crate::meter::within;

/// What decoding takes at a time beside its input and what it gives out, in bytes.
const MEMORY: usize = 256 * 1024;

/// Where a stream is left: a few bytes may stand for far more.
const MAX_OUT: usize = 4 * 1024 * 1024;

/// A stream of snappy's framing format.
///
/// # Panics
/// As [`deflate`].
pub fn snappy(data: &[u8]) {
    run(Compression::Snappy, data);
}

/// A stream of raw deflate. The first byte says how the rest arrives, and how much is asked for at a time.
///
/// # Panics
/// When what comes out depends on how the stream arrives, is more than is asked for, is not what went in, or takes more
/// memory than a small multiple of the input.
pub fn deflate(data: &[u8]) {
    run(Compression::Deflate { level: 6 }, data);
}

fn run(compression: Compression, data: &[u8]) {
    let Some((control, input)) = data.split_first() else { return };
    let size = usize::from(*control) * 5 + 1;
    let whole = decode(compression, input, input.len(), 64 * 1024);
    let in_pieces = decode(compression, input, size, usize::from(*control) * 131 + 7);
    match (whole, in_pieces) {
        (Ok(whole), Ok(in_pieces)) => assert!(whole == in_pieces, "as a whole, and in pieces of {size}"),
        // How much comes out of what precedes the error is nobody's business.
        (Err(_), Err(_)) => {}
        (whole, in_pieces) => {
            panic!("{:?} as a whole, {:?} in pieces of {size}", whole.err(), in_pieces.err())
        }
    }
    let (mut encoder, mut encoded) = (Encoder::new(compression), BytesMut::new());
    input.chunks(size).for_each(|piece| encoder.encode(piece, &mut encoded));
    assert!(decode(compression, &encoded, encoded.len(), 4096).is_ok_and(|again| again == input));
}

fn decode(
    compression: Compression,
    input: &[u8],
    size: usize,
    at_a_time: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut all = Vec::new();
    let (mut decoder, mut waiting) = (Decoder::new(compression), BytesMut::new());
    let memory = MEMORY + 4 * (input.len() + at_a_time);
    for piece in input.chunks(size.max(1)) {
        waiting.extend_from_slice(piece);
        loop {
            let mut out = BytesMut::new();
            within(memory, || decoder.decode(&mut waiting, &mut out, at_a_time))?;
            assert!(out.len() <= at_a_time, "{} bytes where {at_a_time} were asked for", out.len());
            all.extend_from_slice(&out);
            if all.len() >= MAX_OUT {
                all.truncate(MAX_OUT);
                return Ok(all);
            }
            if out.len() < at_a_time {
                break;
            }
        }
    }
    Ok(all)
}
