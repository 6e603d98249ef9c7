//! A connection to a node, up to the point where it can be published to or subscribed.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use punctual_queue_wire::{
    compress::Compression,
    frame::{Frame, HEARTBEAT},
    identify::{IdentifyAnswer, IdentifyRequest},
};
use tokio::time::{error::Elapsed, timeout};

use crate::{address::NodeAddress, identity::NodeIdentity, transport::TransportOptions};

mod error;
mod halves;
mod negotiation;

pub use error::{ConnectionError, ProtocolViolation};

use halves::{ReadError, Reader, Writer};

/// The largest frame taken from a node: its largest message by default is 1 MiB, and operators raise that, to 1 GiB at most.
const MAX_FRAME_BYTES: usize = 1088 * 1024 * 1024;

/// When a node sends messages it has for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputBuffer {
    /// At once, each on its own if need be: the lowest latency.
    #[default]
    Immediate,
    /// As the node is set up: a stock nsqd collects up to 16 KiB or 250 ms.
    NodeDefault,
    /// After this time at most; nodes accept from 25 ms.
    Within(Duration),
}

/// How to connect, and what to ask for.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// A name for the node's statistics.
    pub client_id: String,
    /// The host's name for the node's statistics.
    pub hostname: String,
    /// The program and its version for the node's statistics.
    pub user_agent: String,
    /// Dial and negotiate within this time.
    pub connect_timeout: Duration,
    /// How often the node gives a sign of life. Silence of twice this time ends the connection. Nodes accept 1 s to
    /// 60 s.
    pub heartbeat_interval: Duration,
    /// How long a message may be in flight before the node delivers it again; `None` leaves it to the node.
    pub message_timeout: Option<Duration>,
    /// When the node sends messages.
    pub output_buffer: OutputBuffer,
    /// Of every hundred messages, deliver about so many and drop the others for the whole channel; 0 for all of them.
    /// For a channel of one's own, to look at a stream that is too much to take whole.
    pub sample_rate: u8,
    /// Where in the world the client stands; nodes that know of it prefer consumers nearby.
    pub topology_region: String,
    /// Where in the region.
    pub topology_zone: String,
    /// TLS, compression, and the secret for AUTH.
    pub transport: TransportOptions,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            hostname: String::new(),
            user_agent: concat!("punctual/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(2),
            heartbeat_interval: Duration::from_secs(5),
            message_timeout: None,
            output_buffer: OutputBuffer::default(),
            sample_rate: 0,
            topology_region: String::new(),
            topology_zone: String::new(),
            transport: TransportOptions::default(),
        }
    }
}

impl ConnectionOptions {
    fn request(&self) -> IdentifyRequest {
        let (output_buffer_bytes, output_buffer_timeout_ms) = match self.output_buffer {
            OutputBuffer::Immediate => (-1, 0),
            OutputBuffer::NodeDefault => (0, 0),
            OutputBuffer::Within(wait) => (0, millis(wait)),
        };
        let TransportOptions { tls, compression, .. } = &self.transport;
        let (snappy, deflate_level) = match compression {
            None => (false, 0),
            Some(Compression::Snappy) => (true, 0),
            // NSQ reads zero as its own default.
            Some(Compression::Deflate { level }) => (false, i64::from(*level).max(1)),
        };
        IdentifyRequest {
            client_id: self.client_id.clone(),
            hostname: self.hostname.clone(),
            user_agent: self.user_agent.clone(),
            feature_negotiation: true,
            heartbeat_interval_ms: millis(self.heartbeat_interval),
            output_buffer_bytes,
            output_buffer_timeout_ms,
            sample_rate: i64::from(self.sample_rate),
            message_timeout_ms: self.message_timeout.map_or(0, millis),
            tls_v1: tls.is_some(),
            snappy,
            deflate: deflate_level > 0,
            deflate_level,
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
            node_id: true,
        }
    }

    /// How long a node may be silent, or not take what is written, before the connection counts as dead.
    pub(crate) fn deadline(&self) -> Duration {
        self.heartbeat_interval * 2
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A negotiated connection. Its two halves are used by the loops of producer and consumer.
#[derive(Debug)]
pub struct Connection {
    /// What the node sends.
    pub(crate) frames: FrameReader,
    /// Where commands go.
    pub(crate) commands: CommandWriter,
    answer: IdentifyAnswer,
}

impl Connection {
    /// Dials a node and negotiates; see [`TransportOptions`] for what may become of it.
    ///
    /// # Errors
    /// See [`ConnectionError`]; all of it within [`ConnectionOptions::connect_timeout`].
    pub async fn open(node: &NodeAddress, options: &ConnectionOptions) -> Result<Self, ConnectionError> {
        timeout(options.connect_timeout, negotiation::negotiate(node, options)).await.unwrap_or_else(|_| {
            Err(ConnectionError::TimedOut { node: node.clone(), limit: options.connect_timeout })
        })
    }

    /// What the node granted.
    pub fn answer(&self) -> &IdentifyAnswer {
        &self.answer
    }

    /// Who the node says it is; a stock nsqd does not say it here.
    pub fn identity(&self) -> Option<NodeIdentity> {
        self.answer.node_id.clone().map(NodeIdentity::NodeId)
    }
}

/// The reading half of a connection.
#[derive(Debug)]
pub(crate) struct FrameReader {
    node: NodeAddress,
    reader: Reader,
    input: BytesMut,
    deadline: Duration,
}

impl FrameReader {
    /// The next frame. Nothing is lost when this is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            let frame = Frame::decode(&mut self.input, MAX_FRAME_BYTES)
                .map_err(|error| self.violation(error.into()))?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            match timeout(self.deadline, self.reader.read(&mut self.input)).await {
                Ok(Ok(0)) => return Err(ConnectionError::Closed { node: self.node.clone() }),
                Ok(Ok(_)) => {}
                Ok(Err(ReadError::Io(source))) => return Err(self.broken(source)),
                Ok(Err(ReadError::Compression(error))) => return Err(self.violation(error.into())),
                Err(_) => {
                    return Err(ConnectionError::TimedOut { node: self.node.clone(), limit: self.deadline });
                }
            }
        }
    }

    /// The next response. Only while connecting: heartbeats are passed over without an answer, which is fine within
    /// the first interval.
    pub(crate) async fn response(&mut self) -> Result<Bytes, ConnectionError> {
        loop {
            match self.next().await? {
                Frame::Response(data) if data == HEARTBEAT => {}
                Frame::Response(data) => return Ok(data),
                Frame::Error { code, text } => return Err(self.refused(&code, &text)),
                Frame::Message(_) => return Err(self.violation(ProtocolViolation::UnexpectedAnswer)),
            }
        }
    }

    /// A TLS peer that goes without a word of farewell has still only closed the connection.
    fn broken(&self, source: io::Error) -> ConnectionError {
        let node = self.node.clone();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => ConnectionError::Closed { node },
            _ => ConnectionError::Broken { node, source },
        }
    }

    pub(crate) fn refused(&self, code: &str, text: &str) -> ConnectionError {
        ConnectionError::Refused { node: self.node.clone(), code: code.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn violation(&self, reason: ProtocolViolation) -> ConnectionError {
        ConnectionError::Protocol { node: self.node.clone(), reason }
    }
}

/// The writing half of a connection.
#[derive(Debug)]
pub(crate) struct CommandWriter {
    node: NodeAddress,
    writer: Writer,
    deadline: Duration,
}

impl CommandWriter {
    /// Writes all of it. Dropped before it is done, the connection is of no more use.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let written = timeout(self.deadline, self.writer.write_all(bytes)).await;
        self.judge(written)
    }

    /// Tells the node that nothing more will be written; what was written still reaches it.
    pub(crate) async fn shutdown(&mut self) -> Result<(), ConnectionError> {
        let shut = timeout(self.deadline, self.writer.shutdown()).await;
        self.judge(shut)
    }

    fn judge(&self, done: Result<io::Result<()>, Elapsed>) -> Result<(), ConnectionError> {
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(ConnectionError::Broken { node: self.node.clone(), source }),
            Err(_) => Err(ConnectionError::TimedOut { node: self.node.clone(), limit: self.deadline }),
        }
    }
}
