//! A connection to a node, up to the point where it can be published to or subscribed.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use punctual_queue_wire::{
    command::Command,
    frame::{Frame, FrameError, HEARTBEAT, MAGIC_V2},
    identify::{IdentifyAnswer, IdentifyRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{error::Elapsed, timeout},
};

use crate::{address::NodeAddress, identity::NodeIdentity};

/// The largest frame taken from a node: its largest message by default is 1 MiB, and operators raise that.
const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

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
        IdentifyRequest {
            client_id: self.client_id.clone(),
            hostname: self.hostname.clone(),
            user_agent: self.user_agent.clone(),
            feature_negotiation: true,
            heartbeat_interval_ms: millis(self.heartbeat_interval),
            output_buffer_bytes,
            output_buffer_timeout_ms,
            message_timeout_ms: self.message_timeout.map_or(0, millis),
            node_id: true,
            ..IdentifyRequest::default()
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

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody answers at the address.
    #[error("could not connect to {node}")]
    Dial {
        /// Who was dialled.
        node: NodeAddress,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The node took longer than allowed.
    #[error("{node} did not answer within {limit:?}")]
    TimedOut {
        /// Who was asked.
        node: NodeAddress,
        /// How long was waited.
        limit: Duration,
    },
    /// The node refused to go on.
    #[error("{node} answered {code} {text}")]
    Refused {
        /// Who answered.
        node: NodeAddress,
        /// NSQ's error code.
        code: String,
        /// NSQ's description.
        text: String,
    },
    /// The node speaks something else, or answers what was not asked.
    #[error("{node} does not speak NSQ's protocol: {reason}")]
    Protocol {
        /// Who answered.
        node: NodeAddress,
        /// What was wrong.
        reason: ProtocolViolation,
    },
    /// Reading or writing failed.
    #[error("the connection to {node} broke")]
    Broken {
        /// Who was connected.
        node: NodeAddress,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The node closed the connection.
    #[error("{node} closed the connection")]
    Closed {
        /// Who was connected.
        node: NodeAddress,
    },
}

/// What a node did that NSQ's protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolViolation {
    /// The bytes are not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// IDENTIFY was not answered by the JSON that was asked for.
    #[error("it did not negotiate")]
    NotNegotiated,
    /// An answer came that belongs to no command.
    #[error("it answered what was not asked")]
    UnexpectedAnswer,
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
    /// Dials a node and negotiates.
    ///
    /// # Errors
    /// See [`ConnectionError`]; all of it within [`ConnectionOptions::connect_timeout`].
    pub async fn open(node: &NodeAddress, options: &ConnectionOptions) -> Result<Self, ConnectionError> {
        timeout(options.connect_timeout, Self::negotiate(node, options)).await.unwrap_or_else(|_| {
            Err(ConnectionError::TimedOut { node: node.clone(), limit: options.connect_timeout })
        })
    }

    async fn negotiate(node: &NodeAddress, options: &ConnectionOptions) -> Result<Self, ConnectionError> {
        let dial_error = |source| ConnectionError::Dial { node: node.clone(), source };
        let stream = TcpStream::connect(node.tcp()).await.map_err(dial_error)?;
        stream.set_nodelay(true).map_err(dial_error)?;
        let (read, write) = stream.into_split();
        let deadline = options.deadline();
        let mut frames = FrameReader { node: node.clone(), half: read, input: BytesMut::new(), deadline };
        let mut commands = CommandWriter { node: node.clone(), half: write, deadline };

        let mut hello = BytesMut::from(&MAGIC_V2[..]);
        Command::Identify(options.request().to_json().into()).encode(&mut hello);
        commands.write(&hello).await?;
        let answer = frames.response().await?;
        let answer = IdentifyAnswer::from_json(&answer)
            .ok_or_else(|| frames.violation(ProtocolViolation::NotNegotiated))?;
        Ok(Self { frames, commands, answer })
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
    half: OwnedReadHalf,
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
            self.input.reserve(READ_BYTES);
            match timeout(self.deadline, self.half.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Err(ConnectionError::Closed { node: self.node.clone() }),
                Ok(Ok(_)) => {}
                Ok(Err(source)) => return Err(ConnectionError::Broken { node: self.node.clone(), source }),
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
    half: OwnedWriteHalf,
    deadline: Duration,
}

impl CommandWriter {
    /// Writes all of it. Dropped before it is done, the connection is of no more use.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let written = timeout(self.deadline, self.half.write_all(bytes)).await;
        self.judge(written)
    }

    /// Tells the node that nothing more will be written; what was written still reaches it.
    pub(crate) async fn shutdown(&mut self) -> Result<(), ConnectionError> {
        let shut = timeout(self.deadline, self.half.shutdown()).await;
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
