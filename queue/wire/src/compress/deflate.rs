//! Raw deflate, flushed to a byte's boundary after each piece.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::CompressionError;

/// What is compressed or restored at a time.
const STEP_BYTES: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Encoder(Compress);

impl Encoder {
    pub(super) fn new(level: u8) -> Self {
        Self(Compress::new(flate2::Compression::new(u32::from(level.clamp(1, 9))), false))
    }

    pub(super) fn encode(&mut self, mut plain: &[u8], out: &mut BytesMut) {
        let mut step = [0; STEP_BYTES];
        loop {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            // Compressing into a buffer cannot fail: there is nothing invalid to compress.
            let _status = self.0.compress(plain, &mut step, FlushCompress::Sync);
            let read = (self.0.total_in() - read) as usize;
            let written = (self.0.total_out() - written) as usize;
            plain = &plain[read..];
            out.extend_from_slice(&step[..written]);
            // A step with room to spare had nothing left to say.
            if plain.is_empty() && written < STEP_BYTES {
                return;
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Decoder(Decompress);

impl Default for Decoder {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

impl Decoder {
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        max_out: usize,
    ) -> Result<(), CompressionError> {
        let mut step = [0; STEP_BYTES];
        let mut room = max_out;
        while room > 0 {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            let step = &mut step[..room.min(STEP_BYTES)];
            let status = self
                .0
                .decompress(input, step, FlushDecompress::None)
                .map_err(|_| CompressionError::BadDeflate)?;
            let read = (self.0.total_in() - read) as usize;
            let written = (self.0.total_out() - written) as usize;
            input.advance(read);
            out.extend_from_slice(&step[..written]);
            room -= written;
            match status {
                Status::StreamEnd if written == 0 => return Err(CompressionError::Ended),
                _ if read == 0 && written == 0 => break,
                _ => {}
            }
        }
        Ok(())
    }
}
