//! The compression that a connection may go on with after IDENTIFY: a stream each way.
//!
//! What is encoded in one call can be decoded as soon as it has arrived, without what follows. Decoding takes streams in
//! any pieces and gives out what it has at once, but no more in one call than it is asked for: a few bytes may claim to
//! be gigabytes.

mod deflate;
mod snappy;

use bytes::BytesMut;

/// A compression, as IDENTIFY negotiates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Snappy's framing format.
    Snappy,
    /// Raw deflate, without a header of zlib's or gzip's.
    Deflate {
        /// From 1, quick, to 9, small. Decoding does not need it.
        level: u8,
    },
}

/// Compresses what is sent.
#[derive(Debug)]
pub struct Encoder(Encoding);

#[derive(Debug)]
enum Encoding {
    Snappy(Box<snappy::Encoder>),
    Deflate(deflate::Encoder),
}

impl Encoder {
    /// The begin of a stream.
    pub fn new(compression: Compression) -> Self {
        Self(match compression {
            Compression::Snappy => Encoding::Snappy(Box::new(snappy::Encoder::new())),
            Compression::Deflate { level } => Encoding::Deflate(deflate::Encoder::new(level)),
        })
    }

    /// Appends `plain` to `out`, compressed and complete.
    pub fn encode(&mut self, plain: &[u8], out: &mut BytesMut) {
        match &mut self.0 {
            Encoding::Snappy(encoder) => encoder.encode(plain, out),
            Encoding::Deflate(encoder) => encoder.encode(plain, out),
        }
    }
}

/// Restores what is received.
#[derive(Debug)]
pub struct Decoder(Decoding);

#[derive(Debug)]
enum Decoding {
    Snappy(snappy::Decoder),
    Deflate(deflate::Decoder),
}

impl Decoder {
    /// For a stream from its begin.
    pub fn new(compression: Compression) -> Self {
        Self(match compression {
            Compression::Snappy => Decoding::Snappy(snappy::Decoder::default()),
            Compression::Deflate { .. } => Decoding::Deflate(deflate::Decoder::default()),
        })
    }

    /// Takes bytes off the front of `input` and appends what they were to `out`: `max_out` bytes at most. With fewer
    /// than that, all was decoded that can be without more input. Memory is taken for what is decoded, never for what
    /// is claimed.
    ///
    /// # Errors
    /// The stream is broken, and cannot be gone on with.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        max_out: usize,
    ) -> Result<(), CompressionError> {
        match &mut self.0 {
            Decoding::Snappy(decoder) => decoder.decode(input, out, max_out),
            Decoding::Deflate(decoder) => decoder.decode(input, out, max_out),
        }
    }
}

/// What is wrong with a compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// A snappy stream begins with its identifier.
    #[error("the snappy stream does not begin with its identifier")]
    NoIdentifier,
    /// A chunk of a type that must not be skipped.
    #[error("the snappy stream has a chunk of unknown type {0:#04x}")]
    UnknownChunk(u8),
    /// A chunk has a length that none of its type can have.
    #[error("the snappy stream has a chunk of type {kind:#04x} with {bytes} bytes")]
    BadLength {
        /// Its type.
        kind: u8,
        /// The length it claims.
        bytes: usize,
    },
    /// A chunk cannot be decompressed.
    #[error("the snappy stream has a chunk that cannot be decompressed")]
    BadChunk,
    /// A chunk is not what it was.
    #[error("the snappy stream has a chunk that does not match its checksum")]
    BadChecksum,
    /// Not deflate.
    #[error("the deflate stream is broken")]
    BadDeflate,
    /// The stream says that it is over.
    #[error("the deflate stream was ended")]
    Ended,
}

#[cfg(test)]
mod tests;
