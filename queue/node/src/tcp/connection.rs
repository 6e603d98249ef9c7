//! One client's connection: reads commands, answers them, and sends messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::command::{ConnectionState, PendingBody};
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::frame::MAGIC_V2;
use punctual_queue_wire::identify::ConnectionSettings;
use punctual_service::socket::Stream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answers::Answers;
use super::authorize::Grant;
use super::gathered::Gathered;
use super::identify::Upgrade;
use super::subscription::Subscription;
use super::transport::{Exchanged, Transport};
use crate::channel::{ConnectionId, Delivery, Nearness};
use crate::error::TopicError;
use crate::stats::ClientStats;
use crate::topic::{Mailbox, Topic};

/// How long a client may take to say which protocol it speaks.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read at a time from an idle connection.
pub(super) const MIN_READ_BYTES: usize = 512;

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Empty through a socket file.
    pub(super) remote_ip: String,
    pub(super) transport: Transport,
    pub(super) shared: Arc<Shared>,
    /// A command whose body has not come entirely.
    pub(super) pending: Option<PendingBody>,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) answers: Answers,
    pub(super) settings: ConnectionSettings,
    pub(super) nearness: Nearness,
    pub(super) state: ConnectionState,
    pub(super) subscription: Option<Subscription>,
    pub(super) mailbox: Arc<Mailbox>,
    /// There may be something in the mailbox.
    pub(super) has_mail: bool,
    /// Taken from the mailbox, and not yet written.
    pub(super) deliveries: std::vec::IntoIter<Delivery>,
    /// Bodies of messages, in bytes, written since the channel was told.
    pub(super) written: usize,
    /// What the connection is about to change into.
    pub(super) upgrade: Option<Upgrade>,
    /// The name in the client's certificate.
    pub(super) common_name: String,
    pub(super) grant: Option<Box<Grant>>,
    /// The topic last published to.
    pub(super) topic: Option<Arc<Topic>>,
    pub(super) gathered: Gathered,
    pub(super) heartbeat_at: Instant,
    /// By when the next command must have come.
    pub(super) silent_until: Instant,
    pub(super) read_bytes: usize,
    /// Since when the client has taken nothing of what it was sent; `None` when nothing is left of it.
    pub(super) behind_since: Option<Instant>,
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed it, stopped answering, or broke the protocol; its channel was deleted; the node stops.
    Closed,
    Io(io::Error),
    /// The client takes nothing any more. What it has sent was not all read, maybe.
    Unsent(io::Error),
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
            has_mail: false,
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
            behind_since: None,
        }
    }

    /// Serves the client until it or the node ends the connection. What is seldom awaited is boxed: a connection is
    /// idle most of the time, and takes room for all that it may come to.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let end = tokio::select! {
            greeted = self.greet() => match greeted {
                Ok(()) => self.serve(&stop).await,
                Err(end) => Err(end),
            },
            () = stop.cancelled() => Err(End::Closed),
        };
        if let Err(End::Unsent(_)) = end {
            Box::pin(self.hear_out()).await;
        }
        if let Err(End::Io(error) | End::Unsent(error)) = end {
            tracing::debug!(connection.id = self.id.0, %error, "connection ended early");
        }
        if let Some(subscription) = self.subscription.take() {
            Box::pin(subscription.leave(&self.shared)).await;
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
        Box::pin(self.close()).await
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), End> {
        // What came with the magic.
        self.execute_all().await?;
        loop {
            self.send().await?;
            let behind = self.is_behind();
            if !behind && self.answers.is_empty() {
                if self.answers.fatal {
                    return Box::pin(self.close()).await;
                }
                if let Some(upgrade) = self.upgrade.take() {
                    let started = stop.run_until_cancelled(Box::pin(self.start(upgrade))).await;
                    started.unwrap_or(Err(End::Closed))?;
                    self.execute_all().await?;
                    continue;
                }
            }
            let (reads, due_at) = (self.reads(), self.due_at());
            if reads {
                self.input.reserve(self.read_bytes);
            }
            tokio::select! {
                () = self.mailbox.news() => {
                    if self.mailbox.is_closed() {
                        return Err(End::Closed);
                    }
                    self.has_mail = true;
                }
                () = std::future::ready(()), if !behind && self.has_deliveries() => {}
                result = self.answers.first(), if !self.answers.is_empty() => self.settle(result),
                exchanged = self.transport.exchange(&mut self.output, reads.then_some(&mut self.input)) => {
                    match exchanged {
                        Exchanged::Sent(sent) => self.on_sent(sent)?,
                        Exchanged::Read(read) => self.on_read(read?).await?,
                    }
                }
                () = sleep_until(due_at.unwrap_or(self.heartbeat_at)), if due_at.is_some() => self.on_due()?,
                () = stop.cancelled() => return Box::pin(self.finish()).await,
            }
        }
    }

    /// Whether commands are read: not after a fatal error, before an upgrade, or from a client that leaves its answers.
    pub(super) fn reads(&self) -> bool {
        !self.answers.fatal && !self.answers.is_full() && self.upgrade.is_none()
    }

    fn settle(&mut self, result: Result<(), TopicError>) {
        let read_before = self.reads();
        self.answers.settle(result, &mut self.output);
        if !read_before && self.reads() {
            self.listen_anew(); // it was not heard meanwhile
        }
    }
}
