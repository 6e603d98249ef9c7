//! One client's connection: reads commands, answers them, and sends messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::bodies::Packing;
use punctual_queue_wire::command::{Command, CommandName, CommandReader, ConnectionState, Standing};
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::frame::{self, MAGIC_V2};
use punctual_queue_wire::identify::ConnectionSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answers::Answers;
use super::subscription::Subscription;
use crate::channel::{ConnectionId, Nearness};
use crate::stats::ClientStats;
use crate::topic::{Mailbox, Topic};

/// How long a client may take to say which protocol it speaks.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read at a time, from an idle connection and from a busy one.
const MIN_READ_BYTES: usize = 512;
const MAX_READ_BYTES: usize = 256 * 1024;

/// How long to let a client read the error it is being closed for.
const LINGER: Duration = Duration::from_millis(500);

/// How long a stopping node waits for the disk before it closes a connection without its answers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    stream: TcpStream,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: CommandReader,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) answers: Answers,
    pub(super) settings: ConnectionSettings,
    pub(super) nearness: Nearness,
    pub(super) state: ConnectionState,
    pub(super) subscription: Option<Subscription>,
    pub(super) mailbox: Arc<Mailbox>,
    /// The topic last published to.
    pub(super) topic: Option<Arc<Topic>>,
    pub(super) gathered: Gathered,
    heartbeat_at: Instant,
    /// By when the next command must have come.
    silent_until: Instant,
    read_bytes: usize,
}

/// Commands that follow each other and are carried out together.
#[derive(Debug, Default)]
pub(super) enum Gathered {
    #[default]
    Nothing,
    /// PUBs to the connection's current topic.
    Bodies(Packing),
    /// RDY, FIN, REQ and TOUCH.
    ForChannel(Vec<Command>),
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed it, stopped answering, or broke the protocol; its channel was deleted; the node stops.
    Closed,
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) -> Self {
        let ip = peer.ip().to_string();
        let id = shared.clients.add(ClientStats {
            client_id: ip.clone(),
            hostname: ip,
            version: "V2",
            remote_address: peer.to_string(),
            connect_ts: shared.context.clock.now().timestamp(),
            ..ClientStats::default()
        });
        shared.context.metrics.connected();
        let settings = ConnectionSettings::defaults(&shared.context.identify_limits);
        let now = Instant::now();
        Self {
            id,
            stream,
            shared,
            commands: CommandReader::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            answers: Answers::default(),
            settings,
            nearness: Nearness::default(),
            state: ConnectionState::Connected,
            subscription: None,
            mailbox: Arc::default(),
            topic: None,
            gathered: Gathered::Nothing,
            heartbeat_at: now,
            silent_until: now,
            read_bytes: MIN_READ_BYTES,
        }
    }

    /// Serves the client until it or the node ends the connection.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let end = tokio::select! {
            greeted = self.greet() => match greeted {
                Ok(()) => self.serve(&stop).await,
                Err(end) => Err(end),
            },
            () = stop.cancelled() => Err(End::Closed),
        };
        if let Err(End::Io(error)) = end {
            tracing::debug!(connection.id = self.id.0, %error, "connection ended early");
        }
        if let Some(subscription) = self.subscription.take() {
            subscription.leave(&self.shared).await;
        }
        self.shared.clients.remove(self.id);
        self.shared.context.metrics.disconnected();
    }

    async fn greet(&mut self) -> Result<(), End> {
        let mut magic = [0; MAGIC_V2.len()];
        timeout(MAGIC_TIMEOUT, self.stream.read_exact(&mut magic)).await.map_err(|_| End::Closed)??;
        self.restart_timers();
        if magic == *MAGIC_V2 {
            return Ok(());
        }
        self.answers.error(&ProtocolError::BadProtocol, &mut self.output);
        self.close().await
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), End> {
        loop {
            self.write().await?;
            if self.answers.fatal && self.answers.is_empty() {
                return self.close().await;
            }
            let heartbeats = self.settings.heartbeat_interval.is_some();
            let reads = !self.answers.fatal && !self.answers.is_full();
            if reads {
                self.input.reserve(self.read_bytes);
            }
            tokio::select! {
                () = self.mailbox.news() => {
                    if self.mailbox.is_closed() {
                        return Err(End::Closed);
                    }
                    self.take_deliveries();
                }
                result = self.answers.first(), if !self.answers.is_empty() => {
                    self.answers.settle(result, &mut self.output);
                }
                read = self.stream.read_buf(&mut self.input), if reads => self.on_read(read?).await?,
                () = sleep_until(self.heartbeat_at), if heartbeats => self.heartbeat(),
                () = sleep_until(self.silent_until), if heartbeats && reads => return Err(End::Closed),
                () = stop.cancelled() => return self.finish().await,
            }
        }
    }

    async fn on_read(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            if let Some(error) = self.commands.at_end() {
                self.answers.error(&error, &mut self.output);
                return self.finish().await;
            }
            return Err(End::Closed);
        }
        self.read_bytes = match bytes {
            _ if bytes >= self.read_bytes => (self.read_bytes * 4).min(MAX_READ_BYTES),
            _ if bytes < self.read_bytes / 8 => (self.read_bytes / 4).max(MIN_READ_BYTES),
            _ => self.read_bytes,
        };
        if self.execute_all().await? {
            self.listen_anew();
        }
        Ok(())
    }

    /// Carries out all commands that have arrived; says whether there was one.
    async fn execute_all(&mut self) -> Result<bool, End> {
        let mut any = false;
        while !self.answers.fatal {
            let standing = Standing {
                state: self.state,
                heartbeats: self.settings.heartbeat_interval.is_some(),
                lacks_tls: false,
            };
            match self.commands.next(&mut self.input, standing, &self.shared.context.limits) {
                Ok(Some(command)) => {
                    any = true;
                    self.execute(command).await;
                }
                Ok(None) => break,
                Err(error) => {
                    self.carry_out_gathered();
                    self.answers.error(&error, &mut self.output);
                    if error.answer().is_none() {
                        return Err(End::Closed);
                    }
                }
            }
        }
        self.carry_out_gathered();
        Ok(any)
    }

    fn take_deliveries(&mut self) {
        for delivery in self.mailbox.take() {
            let message = delivery.message;
            let id = message.sequence.id();
            let head = frame::message_head(id, message.timestamp_ns, delivery.attempts, message.body.len());
            self.output.extend_from_slice(&head);
            self.output.extend_from_slice(&message.body);
        }
    }

    fn heartbeat(&mut self) {
        frame::encode_response(frame::HEARTBEAT, &mut self.output);
        if let Some(interval) = self.settings.heartbeat_interval {
            self.heartbeat_at = Instant::now() + interval;
        }
    }

    /// The intervals begin now: at the start, and when IDENTIFY has set them.
    pub(super) fn restart_timers(&mut self) {
        if let Some(interval) = self.settings.heartbeat_interval {
            self.heartbeat_at = Instant::now() + interval;
        }
        self.listen_anew();
    }

    fn listen_anew(&mut self) {
        if let Some(interval) = self.settings.heartbeat_interval {
            self.silent_until = Instant::now() + interval * 2;
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        let write = self.stream.write_all(&self.output);
        match self.settings.heartbeat_interval {
            Some(deadline) => timeout(deadline, write).await.map_err(|_| End::Closed)??,
            None => write.await?,
        }
        if self.output.capacity() > MAX_READ_BYTES {
            self.output = BytesMut::new();
        } else {
            self.output.clear();
        }
        Ok(())
    }

    /// Answers what was accepted, and closes.
    async fn finish(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + LAST_ANSWERS;
        while !self.answers.is_empty() {
            let Ok(result) = tokio::time::timeout_at(deadline, self.answers.first()).await else { break };
            self.answers.settle(result, &mut self.output);
        }
        self.close().await
    }

    /// Sends what is left to send and closes so that the client can read it: a socket closed with unread input would
    /// take it back.
    async fn close(&mut self) -> Result<(), End> {
        self.write().await?;
        self.stream.shutdown().await?;
        let mut rest = [0; 4096];
        let drain = async {
            while let Ok(read) = self.stream.read(&mut rest).await
                && read > 0
            {}
        };
        let _ended_or_late = timeout(LINGER, drain).await;
        Err(End::Closed)
    }
}

impl Gathered {
    /// Whether `command` is carried out with those that are gathered.
    pub(super) fn takes(&self, command: CommandName) -> bool {
        match self {
            Self::Nothing => true,
            Self::Bodies(_) => command == CommandName::Pub,
            Self::ForChannel(_) => {
                matches!(command, CommandName::Rdy | CommandName::Fin | CommandName::Req | CommandName::Touch)
            }
        }
    }
}
