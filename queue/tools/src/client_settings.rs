//! What go-nsq's options set, for the client that takes their place here.

use std::time::Duration;

use punctual_queue_client::{
    address::NodeAddress,
    connection::{ConnectionOptions, OutputBuffer},
    consumer::{BackoffOptions, ConsumerOptions},
    producer::ProducerOptions,
    tls::{ClientTls, TlsOptions},
    transport::Compression,
};
use punctual_queue_wire::identify::NSQ_VERSION;
use punctual_queue_wire::name::{ChannelName, TopicName};

mod option;

pub use option::{ClientOption, ClientOptionError};

/// How a tool's client behaves: go-nsq's defaults, changed by options.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// How to connect to nodes.
    pub connection: ConnectionOptions,
    /// How often lookups are asked.
    pub discovery_interval: Duration,
    /// How to back off when messages fail; `None` for not at all.
    pub backoff: Option<BackoffOptions>,
    /// When a connection without messages gives up its turn.
    pub idle_timeout: Duration,
    /// After how many deliveries a tool gives a message up; `None`, other than in go-nsq, for never.
    pub max_attempts: Option<u16>,
    /// How long a message that failed is put off, times its attempts.
    pub requeue_delay: Duration,
    /// The longest that it is put off.
    pub max_requeue_delay: Duration,
    speaks_tls: bool,
    tls: TlsOptions,
    snappy: bool,
    deflate: bool,
    deflate_level: u8,
}

impl ClientSettings {
    /// The settings of the tool `name`.
    pub fn new(name: &str) -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let connection = ConnectionOptions {
            client_id: hostname.split('.').next().unwrap_or_default().to_owned(),
            hostname,
            user_agent: format!("{name}/{NSQ_VERSION} punctual/{}", env!("CARGO_PKG_VERSION")),
            output_buffer: OutputBuffer::NodeDefault,
            ..ConnectionOptions::default()
        };
        Self {
            connection,
            discovery_interval: Duration::from_secs(60),
            backoff: Some(BackoffOptions {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(120),
            }),
            idle_timeout: Duration::from_secs(10),
            max_attempts: None,
            requeue_delay: Duration::from_secs(90),
            max_requeue_delay: Duration::from_secs(15 * 60),
            speaks_tls: false,
            tls: TlsOptions::default(),
            snappy: false,
            deflate: false,
            deflate_level: 6,
        }
    }

    /// Changes them by these options, one after another.
    ///
    /// # Errors
    /// There is no such option, it is not supported, its value is wrong, or TLS cannot be set up as they say.
    pub fn apply(&mut self, options: &[ClientOption]) -> Result<(), ClientOptionError> {
        options.iter().try_for_each(|option| option.apply(self))?;
        self.connection.transport.compression = match (self.snappy, self.deflate) {
            (true, true) => return Err(ClientOptionError::BothCompressions),
            (true, false) => Some(Compression::Snappy),
            (false, true) => Some(Compression::Deflate { level: self.deflate_level }),
            (false, false) => None,
        };
        let load = || ClientTls::load(&self.tls).map_err(ClientOptionError::Tls);
        self.connection.transport.tls = self.speaks_tls.then(load).transpose()?;
        Ok(())
    }

    /// A consumer's options; where from is to be added.
    pub fn consumer(
        &self,
        topic: TopicName,
        channel: ChannelName,
        nodes: Vec<NodeAddress>,
    ) -> ConsumerOptions {
        ConsumerOptions {
            nodes,
            discovery_interval: self.discovery_interval,
            connection: self.connection.clone(),
            backoff: self.backoff,
            idle_timeout: self.idle_timeout,
            ..ConsumerOptions::new(topic, channel)
        }
    }

    /// A producer's options.
    pub fn producer(&self) -> ProducerOptions {
        ProducerOptions { connection: self.connection.clone(), ..ProducerOptions::default() }
    }

    /// How long to put off a message that failed on this delivery, as go-nsq does.
    pub fn requeue_delay(&self, attempts: u16) -> Duration {
        self.requeue_delay.saturating_mul(attempts.into()).min(self.max_requeue_delay)
    }

    /// Whether this delivery is one more than a message is given.
    pub fn gives_up(&self, attempts: u16) -> bool {
        self.max_attempts.is_some_and(|most| attempts > most)
    }
}
