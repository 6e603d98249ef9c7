//! One client's connection: reads commands, answers them, and sends messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::bodies::Packing;
use punctual_queue_wire::command::{
    BodyOf, Command, CommandName, ConnectionState, Head, PendingBody, Standing,
};
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::frame::{self, MAGIC_V2};
use punctual_queue_wire::identify::ConnectionSettings;
use punctual_service::socket::Stream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answers::Answers;
use super::authorize::Grant;
use super::identify::Upgrade;
use super::subscription::Subscription;
use super::transport::Transport;
use crate::channel::{ConnectionId, Delivery, Nearness, UNWRITTEN_BYTES};
use crate::options::TlsRequired;
use crate::stats::ClientStats;
use crate::topic::{Mailbox, Topic};

/// How long a client may take to say which protocol it speaks.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read at a time, from an idle connection and from a busy one.
const MIN_READ_BYTES: usize = 512;
const MAX_READ_BYTES: usize = 256 * 1024;

/// Messages are written in pieces of about this size, so that no more of them is copied than the socket takes.
const WRITTEN_BYTES: usize = 256 * 1024;

/// How long to let a client read the error it is being closed for.
const LINGER: Duration = Duration::from_millis(500);

/// How long a stopping node waits for the disk before it closes a connection without its answers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Empty through a socket file.
    pub(super) remote_ip: String,
    pub(super) transport: Transport,
    pub(super) shared: Arc<Shared>,
    /// A command whose body has not come entirely.
    pending: Option<PendingBody>,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) answers: Answers,
    pub(super) settings: ConnectionSettings,
    pub(super) nearness: Nearness,
    pub(super) state: ConnectionState,
    pub(super) subscription: Option<Subscription>,
    pub(super) mailbox: Arc<Mailbox>,
    /// Taken from the mailbox, and not yet written.
    deliveries: std::vec::IntoIter<Delivery>,
    /// Bodies of messages, in bytes, written since the channel was told.
    written: usize,
    /// What the connection is about to change into.
    pub(super) upgrade: Option<Upgrade>,
    /// The name in the client's certificate.
    pub(super) common_name: String,
    pub(super) grant: Option<Box<Grant>>,
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
    pub(super) fn new(stream: Stream, peer: Option<SocketAddr>, shared: Arc<Shared>) -> Self {
        let remote_ip = peer.map_or_else(String::new, |peer| peer.ip().to_string());
        let id = shared.clients.add(ClientStats {
            client_id: remote_ip.clone(),
            hostname: remote_ip.clone(),
            version: "V2",
            // Go's word for the other end of a socket file.
            remote_address: peer.map_or_else(|| "@".to_owned(), |peer| peer.to_string()),
            connect_ts: shared.context.clock.now().timestamp(),
            ..ClientStats::default()
        });
        shared.context.metrics.connected();
        let settings = ConnectionSettings::defaults(&shared.context.identify_limits);
        let now = Instant::now();
        Self {
            id,
            remote_ip,
            transport: Transport::new(stream),
            shared,
            pending: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            answers: Answers::default(),
            settings,
            nearness: Nearness::default(),
            state: ConnectionState::Connected,
            subscription: None,
            mailbox: Arc::default(),
            deliveries: Vec::new().into_iter(),
            written: 0,
            upgrade: None,
            common_name: String::new(),
            grant: None,
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
        let deadline = Instant::now() + MAGIC_TIMEOUT;
        while self.input.len() < MAGIC_V2.len() {
            self.input.reserve(MIN_READ_BYTES);
            let read = tokio::time::timeout_at(deadline, self.transport.read(&mut self.input));
            if read.await.map_err(|_| End::Closed)?? == 0 {
                return Err(End::Closed);
            }
        }
        self.restart_timers();
        if self.input.split_to(MAGIC_V2.len()) == MAGIC_V2[..] {
            return Ok(());
        }
        self.answers.error(&ProtocolError::BadProtocol, &mut self.output);
        self.close().await
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), End> {
        // What came with the magic.
        self.execute_all().await?;
        loop {
            self.encode_deliveries();
            self.write().await?;
            self.tell_what_was_written();
            if self.answers.fatal && self.answers.is_empty() {
                return self.close().await;
            }
            if self.answers.is_empty()
                && let Some(upgrade) = self.upgrade.take()
            {
                Box::pin(self.start(upgrade)).await?; // boxed, for idle connections do without
                self.execute_all().await?;
                continue;
            }
            // Nothing may come between the answer that announces an upgrade and the upgrade.
            let heartbeats = self.settings.heartbeat_interval.is_some() && self.upgrade.is_none();
            let reads = !self.answers.fatal && !self.answers.is_full() && self.upgrade.is_none();
            if reads {
                self.input.reserve(self.read_bytes);
            }
            tokio::select! {
                () = self.mailbox.news(), if self.deliveries.len() == 0 => {
                    if self.mailbox.is_closed() {
                        return Err(End::Closed);
                    }
                    self.deliveries = self.mailbox.take().into_iter();
                }
                () = std::future::ready(()), if self.deliveries.len() > 0 => {}
                result = self.answers.first(), if !self.answers.is_empty() => {
                    self.answers.settle(result, &mut self.output);
                }
                read = self.transport.read(&mut self.input), if reads => self.on_read(read?).await?,
                () = sleep_until(self.heartbeat_at), if heartbeats => self.heartbeat(),
                () = sleep_until(self.silent_until), if heartbeats && reads => return Err(End::Closed),
                () = stop.cancelled() => return self.finish().await,
            }
        }
    }

    async fn on_read(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            if let Some(error) = self.pending.as_ref().map(PendingBody::at_end) {
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
        while !self.answers.fatal && self.upgrade.is_none() {
            match self.next_command().await {
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

    /// Takes the next command off the input; `None` until it is complete.
    async fn next_command(&mut self) -> Result<Option<Command>, ProtocolError> {
        let (context, standing) = (Arc::clone(&self.shared.context), self.standing());
        let mut body = match self.pending.take() {
            Some(body) => body,
            None => match Head::take(&mut self.input, standing, &context.limits)? {
                None => return Ok(None),
                Some(Head::Whole(command)) => return Ok(Some(command)),
                Some(Head::Body(body)) => {
                    if context.auth.is_some() {
                        self.authorize_early(body.of()).await?;
                    }
                    body
                }
            },
        };
        let command = body.take(&mut self.input, &context.limits)?;
        if command.is_none() {
            self.pending = Some(body);
        }
        Ok(command)
    }

    /// Who may not publish many messages is told so before they are awaited.
    async fn authorize_early(&mut self, of: &BodyOf) -> Result<(), ProtocolError> {
        let BodyOf::Mpub { topic } = of else { return Ok(()) };
        Box::pin(self.authorize(CommandName::Mpub, topic, None)).await
    }

    fn standing(&self) -> Standing {
        let demanded = self.shared.context.options.tls.required() != TlsRequired::False;
        Standing {
            state: self.state,
            heartbeats: self.settings.heartbeat_interval.is_some(),
            lacks_tls: demanded && self.transport.tls().is_none(),
        }
    }

    fn encode_deliveries(&mut self) {
        while self.output.len() < WRITTEN_BYTES
            && let Some(Delivery { message, attempts, .. }) = self.deliveries.next()
        {
            let id = message.sequence.id();
            let head = frame::message_head(id, message.timestamp_ns, attempts, message.body.len());
            self.output.extend_from_slice(&head);
            self.output.extend_from_slice(&message.body);
            self.written += message.body.len();
        }
    }

    /// The channel gives no more to a connection that does not get rid of what it has. Now and then is enough.
    fn tell_what_was_written(&mut self) {
        if self.written >= UNWRITTEN_BYTES / 2
            && let Some(subscription) = &self.subscription
        {
            let bytes = std::mem::take(&mut self.written);
            subscription.channel.with(|channel, _| channel.written(self.id, bytes));
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
        self.transport.write_all(&self.output, self.settings.heartbeat_interval).await?;
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
        self.transport.shutdown().await?;
        let _ended_or_late = timeout(LINGER, self.transport.discard()).await;
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
