//! Snappy's framing format: chunks with a type, a length and a checksum.
//!
//! Source: `framing_format.txt` of google/snappy.

use bytes::{Buf, BufMut, BytesMut};

use super::CompressionError;

/// Most bytes of a chunk before compression.
const MAX_PLAIN_BYTES: usize = 65_536;

/// Most bytes of a chunk of that many: what snappy may make of bytes that cannot be compressed.
const MAX_PACKED_BYTES: usize = 32 + MAX_PLAIN_BYTES + MAX_PLAIN_BYTES / 6;

const HEADER_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;

const COMPRESSED: u8 = 0x00;
const UNCOMPRESSED: u8 = 0x01;
const FIRST_SKIPPABLE: u8 = 0x80;
const IDENTIFIER: u8 = 0xff;
const NAME: &[u8; 6] = b"sNaPpY";

pub(super) struct Encoder {
    has_begun: bool,
    snappy: snap::raw::Encoder,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { has_begun: false, snappy: snap::raw::Encoder::new() }
    }

    pub(super) fn encode(&mut self, plain: &[u8], out: &mut BytesMut) {
        if !self.has_begun {
            self.has_begun = true;
            put_header(IDENTIFIER, NAME.len(), out);
            out.put_slice(NAME);
        }
        for chunk in plain.chunks(MAX_PLAIN_BYTES) {
            let packed = self.snappy.compress_vec(chunk);
            // Where it saves less than an eighth, unpacking is not worth it.
            let worth_it = packed.as_ref().ok().filter(|packed| packed.len() < chunk.len() - chunk.len() / 8);
            let (kind, data) = worth_it.map_or((UNCOMPRESSED, chunk), |packed| (COMPRESSED, packed));
            put_header(kind, CHECKSUM_BYTES + data.len(), out);
            out.put_u32_le(checksum(chunk));
            out.put_slice(data);
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("has_begun", &self.has_begun).finish_non_exhaustive()
    }
}

fn put_header(kind: u8, bytes: usize, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_uint_le(bytes as u64, HEADER_BYTES - 1);
}

/// Masked, as the format wants it.
fn checksum(plain: &[u8]) -> u32 {
    crc32c::crc32c(plain).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[derive(Debug, Default)]
pub(super) struct Decoder {
    has_begun: bool,
    /// Of a chunk that is of no interest, still to come.
    to_skip: usize,
    /// Of the last chunk, what nobody had room for.
    plain: BytesMut,
}

impl Decoder {
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        max_out: usize,
    ) -> Result<(), CompressionError> {
        let mut room = max_out;
        loop {
            let taken = self.plain.len().min(room);
            out.extend_from_slice(&self.plain.split_to(taken));
            room -= taken;
            if room == 0 || !self.next_chunk(input)? {
                return Ok(());
            }
        }
    }

    /// Takes a chunk off the front of `input`; `false` until one is complete.
    fn next_chunk(&mut self, input: &mut BytesMut) -> Result<bool, CompressionError> {
        let skipped = self.to_skip.min(input.len());
        input.advance(skipped);
        self.to_skip -= skipped;
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>().filter(|_| self.to_skip == 0)
        else {
            return Ok(false);
        };
        let kind = header[0];
        let bytes = (&header[1..]).get_uint_le(HEADER_BYTES - 1) as usize;
        if !self.has_begun && kind != IDENTIFIER {
            return Err(CompressionError::NoIdentifier);
        }
        let allowed = match kind {
            COMPRESSED => CHECKSUM_BYTES..=CHECKSUM_BYTES + MAX_PACKED_BYTES,
            UNCOMPRESSED => CHECKSUM_BYTES..=CHECKSUM_BYTES + MAX_PLAIN_BYTES,
            IDENTIFIER => NAME.len()..=NAME.len(),
            2..FIRST_SKIPPABLE => return Err(CompressionError::UnknownChunk(kind)),
            FIRST_SKIPPABLE.. => {
                input.advance(HEADER_BYTES);
                self.to_skip = bytes;
                return Ok(true);
            }
        };
        if !allowed.contains(&bytes) {
            return Err(CompressionError::BadLength { kind, bytes });
        }
        if rest.len() < bytes {
            return Ok(false);
        }
        input.advance(HEADER_BYTES);
        self.take_in(kind, input.split_to(bytes))?;
        Ok(true)
    }

    fn take_in(&mut self, kind: u8, mut data: BytesMut) -> Result<(), CompressionError> {
        if kind == IDENTIFIER {
            // Some clients begin anew with each command.
            self.has_begun = true;
            return if data == NAME[..] { Ok(()) } else { Err(CompressionError::NoIdentifier) };
        }
        let expected = data.get_u32_le();
        if kind == COMPRESSED {
            self.plain = BytesMut::from(&*unpack(&data)?);
        } else {
            self.plain = data;
        }
        if checksum(&self.plain) == expected { Ok(()) } else { Err(CompressionError::BadChecksum) }
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let bytes = snap::raw::decompress_len(packed).map_err(|_| CompressionError::BadChunk)?;
    if bytes > MAX_PLAIN_BYTES {
        return Err(CompressionError::BadChunk);
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| CompressionError::BadChunk)
}
