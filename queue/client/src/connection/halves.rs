//! The two directions of a connection: plain or TLS, compressed or not.

use std::io;

use bytes::BytesMut;
use punctual_queue_wire::compress::{Compression, CompressionError, Decoder, Encoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_rustls::client::TlsStream;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Most bytes that one read may unpack into: a few may claim to be gigabytes.
const MAX_UNPACKED_BYTES: usize = 256 * 1024;

/// Packed commands whose buffer is kept for the next.
const KEPT_BYTES: usize = 64 * 1024;

/// Why nothing could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    Compression(CompressionError),
}

/// The reading direction.
#[derive(Debug)]
pub(super) struct Reader {
    half: ReadHalf,
    unpacking: Option<Box<Unpacking>>,
}

#[derive(Debug)]
enum ReadHalf {
    Plain(OwnedReadHalf),
    Tls(tokio::io::ReadHalf<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Unpacking {
    decoder: Decoder,
    /// Read, not yet unpacked.
    received: BytesMut,
}

impl Reader {
    /// Reads some of what has come behind `input`; 0 when the peer closed its side. May be dropped and called again.
    pub(super) async fn read(&mut self, input: &mut BytesMut) -> Result<usize, ReadError> {
        let Some(unpacking) = &mut self.unpacking else {
            input.reserve(READ_BYTES);
            return self.half.read(input).await.map_err(ReadError::Io);
        };
        loop {
            let before = input.len();
            let decoded = unpacking.decoder.decode(&mut unpacking.received, input, MAX_UNPACKED_BYTES);
            decoded.map_err(ReadError::Compression)?;
            if input.len() > before {
                return Ok(input.len() - before);
            }
            unpacking.received.reserve(READ_BYTES);
            if self.half.read(&mut unpacking.received).await.map_err(ReadError::Io)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Unpacks what is read from now on, beginning with what has come already.
    pub(super) fn start_unpacking(&mut self, compression: Compression, received: BytesMut) {
        self.unpacking = Some(Box::new(Unpacking { decoder: Decoder::new(compression), received }));
    }
}

impl ReadHalf {
    async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(half) => half.read_buf(input).await,
            Self::Tls(half) => half.read_buf(input).await,
        }
    }
}

/// The writing direction.
#[derive(Debug)]
pub(super) struct Writer {
    half: WriteHalf,
    packing: Option<Box<Packing>>,
}

#[derive(Debug)]
enum WriteHalf {
    Plain(OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Packing {
    encoder: Encoder,
    packed: BytesMut,
}

impl Writer {
    /// Sends all of it. Dropped before it is done, the connection is of no more use.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(packing) = &mut self.packing else { return self.half.write_all(bytes).await };
        packing.packed.clear();
        packing.encoder.encode(bytes, &mut packing.packed);
        let written = self.half.write_all(&packing.packed).await;
        if packing.packed.capacity() > KEPT_BYTES {
            packing.packed = BytesMut::new();
        }
        written
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.half {
            WriteHalf::Plain(half) => half.shutdown().await,
            WriteHalf::Tls(half) => half.shutdown().await,
        }
    }

    /// Packs what is written from now on.
    pub(super) fn start_packing(&mut self, compression: Compression) {
        let (encoder, packed) = (Encoder::new(compression), BytesMut::new());
        self.packing = Some(Box::new(Packing { encoder, packed }));
    }
}

impl WriteHalf {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.write_all(bytes).await,
            Self::Tls(half) => {
                half.write_all(bytes).await?;
                // What is written to a TLS stream may stay in it until then.
                half.flush().await
            }
        }
    }
}

/// Both directions of a plain connection.
pub(super) fn plain(stream: TcpStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    (
        Reader { half: ReadHalf::Plain(read), unpacking: None },
        Writer { half: WriteHalf::Plain(write), packing: None },
    )
}

/// Both directions of a TLS connection.
pub(super) fn tls(stream: TlsStream<TcpStream>) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    (
        Reader { half: ReadHalf::Tls(read), unpacking: None },
        Writer { half: WriteHalf::Tls(write), packing: None },
    )
}

/// The plain connection that the directions are of.
pub(super) fn into_plain(reader: Reader, writer: Writer) -> Option<TcpStream> {
    match (reader.half, writer.half) {
        (ReadHalf::Plain(read), WriteHalf::Plain(write)) => read.reunite(write).ok(),
        _ => None,
    }
}
