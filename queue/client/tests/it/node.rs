//! A node that does what a test tells it to.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use punctual_queue_client::address::NodeAddress;
use punctual_queue_wire::{
    command::{Command, CommandReader, ConnectionState, Limits, Standing},
    frame::{MAGIC_V2, OK, encode_error, encode_message, encode_response},
    identify::{IdentifyAnswer, IdentifyRequest},
    message::{Message, MessageId},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::upgrades::Transport;

/// For what must happen; nothing waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Node {
    listener: TcpListener,
}

impl Node {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Ok(Self { listener: TcpListener::bind("127.0.0.1:0").await? })
    }

    pub(crate) fn address(&self) -> NodeAddress {
        NodeAddress::new(self.listener.local_addr().expect("it listens").to_string())
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("it listens").port()
    }

    /// The next connection, before it has said anything.
    pub(crate) async fn accept_raw(&self) -> anyhow::Result<TcpStream> {
        Ok(timeout(PATIENCE, self.listener.accept()).await??.0)
    }

    /// The next connection, negotiated as a node with this id.
    pub(crate) async fn accept(&self, node_id: Option<&str>) -> anyhow::Result<Peer> {
        let node_id = node_id.map(str::to_owned);
        self.accept_answering(&IdentifyAnswer { node_id, ..IdentifyAnswer::default() }).await
    }

    /// The next connection, its IDENTIFY answered by this and the message time-out it asked for.
    pub(crate) async fn accept_answering(&self, answer: &IdentifyAnswer) -> anyhow::Result<Peer> {
        let mut peer = self.accept_identifying().await?;
        let mut answer = answer.clone();
        if peer.identify.message_timeout_ms != 0 {
            answer.msg_timeout = u64::try_from(peer.identify.message_timeout_ms)?;
        }
        peer.respond(&answer.to_json()).await?;
        Ok(peer)
    }

    /// The next connection, after its IDENTIFY and before the answer.
    pub(crate) async fn accept_identifying(&self) -> anyhow::Result<Peer> {
        let mut peer = Peer::new(self.accept_raw().await?);
        let mut magic = [0; 4];
        timeout(PATIENCE, peer.transport.read_exact(&mut magic)).await??;
        assert_eq!(&magic, MAGIC_V2);
        let Command::Identify(body) = peer.command().await? else { anyhow::bail!("IDENTIFY comes first") };
        peer.identify = IdentifyRequest::from_json(&body)?;
        Ok(peer)
    }

    /// The next connection, negotiated and subscribed.
    pub(crate) async fn accept_subscriber(&self) -> anyhow::Result<Peer> {
        let mut peer = self.accept(None).await?;
        peer.subscribed().await?;
        Ok(peer)
    }
}

/// A client's connection, seen from the node.
pub(crate) struct Peer {
    pub(crate) transport: Transport,
    pub(crate) input: BytesMut,
    reader: CommandReader,
    pub(crate) standing: Standing,
    pub(crate) identify: IdentifyRequest,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self {
            transport: stream.into(),
            input: BytesMut::new(),
            reader: CommandReader::default(),
            standing: Standing::default(),
            identify: IdentifyRequest::default(),
        }
    }

    /// Takes the SUB that must come now.
    pub(crate) async fn subscribed(&mut self) -> anyhow::Result<()> {
        let Command::Sub { topic, channel } = self.command().await? else { anyhow::bail!("SUB comes next") };
        assert_eq!((topic.as_str(), channel.as_str()), ("orders", "mail"));
        self.standing.state = ConnectionState::Subscribed;
        self.respond(OK).await
    }

    /// The client's next command.
    pub(crate) async fn command(&mut self) -> anyhow::Result<Command> {
        self.next().await?.ok_or_else(|| anyhow::anyhow!("the client closed the connection"))
    }

    /// The client's next command; `None` once it has closed its side.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Command>> {
        loop {
            let read = self.reader.next(&mut self.input, self.standing, &Limits::default())?;
            if read.is_some() {
                return Ok(read);
            }
            if timeout(PATIENCE, self.transport.read(&mut self.input)).await?? == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) async fn respond(&mut self, data: &[u8]) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        encode_response(data, &mut out);
        self.transport.write(&out).await
    }

    pub(crate) async fn refuse(&mut self, data: &str) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        encode_error(data.as_bytes(), &mut out);
        self.transport.write(&out).await
    }

    pub(crate) async fn deliver(&mut self, number: u64) -> anyhow::Result<MessageId> {
        let id = MessageId::from_number(number);
        let body = Bytes::from(format!("message {number}"));
        let mut out = BytesMut::new();
        encode_message(&Message { id, timestamp_ns: 1, attempts: 1, body }, &mut out);
        self.transport.write(&out).await?;
        Ok(id)
    }
}
