//! Tells the lookups which topics and channels are here.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::BytesMut;
use punctual_queue_wire::identify::NSQ_VERSION;
use punctual_queue_wire::lookup::{
    self as wire, LookupIdentity, MAGIC_V1, PeerInfo, Registration, RegistrationCommand,
};
use punctual_queue_wire::name::{ChannelName, TopicName};
use punctual_service::socket::Address;
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::options::NodeOptions;
use crate::tcp::Shared;
use crate::topic::Topic;
use crate::topics::Topics;

mod channels;
mod known;
mod set;
mod stream;

pub(crate) use channels::channels_elsewhere;
pub(crate) use known::KnownLookups;
pub(crate) use set::Registering;

use stream::Stream;

/// How often a lookup hears that the node lives.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long dialling, and one command with its answer, may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a failure; doubles up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Most bytes a lookup's answer may have.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What lookups are told where no port is listened on for HTTP: they take no node without one, and who only consumes
/// needs none.
const DEFAULT_HTTP_PORT: u16 = 4151;

/// Where clients reach the node.
#[derive(Debug, Clone)]
pub(crate) struct Advertised(pub(crate) PeerInfo);

impl Advertised {
    pub(crate) fn new(options: &NodeOptions, tcp: &Address, http: Option<u16>) -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let listened = match tcp.tcp().map(|address| address.ip()) {
            Some(ip) if !ip.is_unspecified() => ip.to_string(),
            Some(_) | None => hostname.clone(),
        };
        let tcp_port = tcp.tcp().map_or(0, |address| address.port());
        Self(PeerInfo {
            broadcast_address: options.broadcast_address.clone().unwrap_or(listened),
            hostname,
            http_port: options.broadcast_http_port().or(http).unwrap_or(DEFAULT_HTTP_PORT),
            tcp_port: options.broadcast_tcp_port().unwrap_or(tcp_port),
            version: NSQ_VERSION.to_owned(),
            topology_zone: options.topology.topology_zone.clone(),
            topology_region: options.topology.topology_region.clone(),
        })
    }
}

/// Keeps the lookup at `address` informed until `leave`; by closing the connection then, the node takes itself off
/// its lists.
async fn register(address: String, registering: Registering, leave: CancellationToken) {
    let Registering { advertised, tls, shared } = registering;
    let mut pause = FIRST_PAUSE;
    let mut was_reached = None;
    loop {
        let ended = tokio::select! {
            () = leave.cancelled() => return,
            connected = Session::connect(&address, tls.clone(), &advertised) => match connected {
                Ok(mut session) => {
                    pause = FIRST_PAUSE;
                    shared.context.known_lookups.reached(&address, &session.identity);
                    tracing::info!(lookup = address, "registered with the lookup");
                    was_reached = Some(true);
                    tokio::select! {
                        () = leave.cancelled() => return session.leave().await,
                        error = session.inform(&shared) => error,
                    }
                }
                Err(error) => error,
            },
        };
        shared.context.known_lookups.out_of_reach(&address);
        if was_reached != Some(false) {
            tracing::warn!(lookup = address, error = %ended, "the lookup is out of reach; trying on");
            was_reached = Some(false);
        }
        let _left = timeout(pause, leave.cancelled()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A topic, or one of its channels; in order, a topic comes before its channels.
type Known = (TopicName, Option<ChannelName>);

/// Which of those that bore a name one after another. One that was deleted and made again since the lookup was last
/// told is registered anew: a lookup that was asked to forget the topic meanwhile would not list it otherwise.
#[derive(Debug, Clone)]
struct Bearer {
    topic: Weak<Topic>,
    /// The number of the channel within its topic, which no other bears.
    channel: Option<u32>,
}

impl PartialEq for Bearer {
    fn eq(&self, other: &Self) -> bool {
        self.topic.ptr_eq(&other.topic) && self.channel == other.channel
    }
}

/// A connection to a lookup that knows the node.
struct Session {
    stream: Stream,
    input: BytesMut,
    /// What the lookup says of itself.
    identity: LookupIdentity,
    registered: BTreeMap<Known, Bearer>,
    /// The lookup has said that it does not take everything in.
    is_full: bool,
}

impl Session {
    async fn connect(
        address: &str,
        tls: Option<Arc<ClientConfig>>,
        advertised: &Advertised,
    ) -> io::Result<Self> {
        let stream = timeout(STEP_TIMEOUT, Stream::connect(address, tls)).await??;
        let mut session = Self {
            stream,
            input: BytesMut::new(),
            identity: LookupIdentity::default(),
            registered: BTreeMap::new(),
            is_full: false,
        };
        let mut hello = BytesMut::from(&MAGIC_V1[..]);
        RegistrationCommand::Identify(advertised.0.clone()).encode(&mut hello);
        let answer = session.ask(&hello).await?;
        session.identity = LookupIdentity::from_json(&answer)
            .ok_or_else(|| io::Error::other(format!("it answered {}", answer.escape_ascii())))?;
        Ok(session)
    }

    /// Reports what there is, and every change; returns what ended it.
    async fn inform(&mut self, shared: &Shared) -> io::Error {
        let mut changes = shared.context.topology();
        let mut ping_at = Instant::now() + PING_INTERVAL;
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.catch_up(&shared.topics).await {
                return error;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return io::Error::other("the node is gone");
                },
                // Nothing comes unasked, so this is the lookup going away: better known now than at the next ping.
                read = self.stream.read(&mut self.input) => return match read {
                    Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                    Ok(_) => io::Error::other("it spoke unasked"),
                    Err(error) => error,
                },
                () = sleep_until(ping_at) => {
                    ping_at = Instant::now() + PING_INTERVAL;
                    if let Err(error) = self.tell(&RegistrationCommand::Ping).await {
                        return error;
                    }
                }
            }
        }
    }

    /// Registers what is new and unregisters what is gone.
    async fn catch_up(&mut self, topics: &Topics) -> io::Result<()> {
        let current = registrations(topics);
        let gone: Vec<_> = missing_from(&current, &self.registered);
        // A topic comes before its channels, and goes after them.
        for (known, _) in gone.into_iter().rev() {
            self.tell(&RegistrationCommand::Unregister(registration(&known))).await?;
            self.registered.remove(&known);
        }
        for (known, bearer) in missing_from(&self.registered, &current) {
            self.tell(&RegistrationCommand::Register(registration(&known))).await?;
            self.registered.insert(known, bearer);
        }
        Ok(())
    }

    async fn tell(&mut self, command: &RegistrationCommand) -> io::Result<()> {
        let mut line = BytesMut::new();
        command.encode(&mut line);
        let answer = self.ask(&line).await?;
        if answer == wire::OK {
            return Ok(());
        }
        if answer.starts_with(wire::REGISTER_FAILED) {
            // One name less is listed there. To connect anew would only take the others off its list for a while.
            if !std::mem::replace(&mut self.is_full, true) {
                tracing::warn!(answer = %answer.escape_ascii(), "the lookup does not list everything of this node");
            }
            return Ok(());
        }
        Err(io::Error::other(format!("it answered {}", answer.escape_ascii())))
    }

    async fn ask(&mut self, command: &[u8]) -> io::Result<bytes::Bytes> {
        timeout(STEP_TIMEOUT, async {
            self.stream.write_all(command).await?;
            loop {
                let answer = wire::decode_answer(&mut self.input, MAX_ANSWER_BYTES);
                if let Some(answer) = answer.map_err(io::Error::other)? {
                    return Ok(answer);
                }
                if self.stream.read(&mut self.input).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        })
        .await?
    }

    async fn leave(&mut self) {
        // Closing is what tells the lookup; how it takes it is its affair.
        let _best_effort = self.stream.shutdown().await;
    }
}

fn registration((topic, channel): &Known) -> Registration {
    Registration { topic: topic.clone(), channel: channel.clone() }
}

fn registrations(topics: &Topics) -> BTreeMap<Known, Bearer> {
    let mut all = BTreeMap::new();
    for topic in topics.all() {
        if topic.is_drained() {
            continue; // nobody is to look for anything here
        }
        let bearer = |channel| Bearer { topic: Arc::downgrade(&topic), channel };
        all.insert((topic.name.clone(), None), bearer(None));
        for channel in topic.channels() {
            all.insert((topic.name.clone(), Some(channel.name.clone())), bearer(Some(channel.number.0)));
        }
    }
    all
}

/// What `from` lacks of `all`, in order.
fn missing_from(from: &BTreeMap<Known, Bearer>, all: &BTreeMap<Known, Bearer>) -> Vec<(Known, Bearer)> {
    let missing = all.iter().filter(|(known, bearer)| from.get(*known) != Some(*bearer));
    missing.map(|(known, bearer)| (known.clone(), bearer.clone())).collect()
}
