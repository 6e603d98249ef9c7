//! What a scripted node needs to go on in TLS and compressed.

use bytes::BytesMut;
use punctual_queue_client::wire::compress::{Compression, Decoder, Encoder};
use punctual_queue_client::wire::{
    frame::{OK, encode_response},
    identify::IdentifyAnswer,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::node::{Node, PATIENCE, Peer};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The bytes of a peer's connection.
pub(crate) struct Transport {
    stream: Box<dyn Stream>,
    packing: Option<Packing>,
}

struct Packing {
    encoder: Encoder,
    decoder: Decoder,
    received: BytesMut,
}

impl Transport {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), packing: None }
    }

    pub(crate) async fn read_exact(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.stream.read_exact(bytes).await.map(drop)
    }

    /// Reads something behind `input`; 0 once the client has closed its side.
    pub(crate) async fn read(&mut self, input: &mut BytesMut) -> anyhow::Result<usize> {
        let Some(Packing { decoder, received, .. }) = &mut self.packing else {
            return Ok(self.stream.read_buf(input).await?);
        };
        loop {
            let before = input.len();
            decoder.decode(received, input, 1 << 20)?;
            if input.len() > before {
                return Ok(input.len() - before);
            }
            if self.stream.read_buf(received).await? == 0 {
                return Ok(0);
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        match &mut self.packing {
            Some(packing) => packing.encoder.encode(bytes, &mut out),
            None => out.extend_from_slice(bytes),
        }
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }
}

/// What a scripted node grants.
#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) compression: Option<Compression>,
    pub(crate) auth_required: bool,
}

impl Node {
    /// The next connection, after IDENTIFY and the upgrades that `grants` has, each with its `OK`.
    pub(crate) async fn accept_granting(&self, grants: &Grants) -> anyhow::Result<Peer> {
        let answer = IdentifyAnswer {
            tls_v1: grants.tls.is_some(),
            snappy: grants.compression == Some(Compression::Snappy),
            deflate: matches!(grants.compression, Some(Compression::Deflate { .. })),
            auth_required: grants.auth_required,
            ..IdentifyAnswer::default()
        };
        let mut peer = self.accept_answering(&answer).await?;
        if let Some(tls) = &grants.tls {
            let stream = tls.accept(peer.transport.stream);
            peer.transport = Transport::new(timeout(PATIENCE, stream).await??);
            peer.respond(OK).await?;
        }
        if let Some(compression) = grants.compression {
            let received = std::mem::take(&mut peer.input);
            let (encoder, decoder) = (Encoder::new(compression), Decoder::new(compression));
            peer.transport.packing = Some(Packing { encoder, decoder, received });
            peer.respond(OK).await?;
        }
        Ok(peer)
    }

    /// The next connection, its IDENTIFY answered by this, with `bytes` behind it in one piece.
    pub(crate) async fn accept_answering_with(
        &self,
        answer: &IdentifyAnswer,
        bytes: &[u8],
    ) -> anyhow::Result<Peer> {
        let mut peer = self.accept_identifying().await?;
        let mut out = BytesMut::new();
        encode_response(&answer.to_json(), &mut out);
        out.extend_from_slice(bytes);
        peer.transport.write(&out).await?;
        Ok(peer)
    }

    /// The next connection, promised TLS: what comes of the handshake.
    pub(crate) async fn handshake(&self, tls: &TlsAcceptor) -> anyhow::Result<std::io::Result<()>> {
        let answer = IdentifyAnswer { tls_v1: true, ..IdentifyAnswer::default() };
        let peer = self.accept_answering(&answer).await?;
        Ok(timeout(PATIENCE, tls.accept(peer.transport.stream)).await?.map(drop))
    }
}

/// A plain connection.
impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::new(stream)
    }
}
