//! How a node is set up. Flags have nsqd's names.

mod auth;
mod compression;
mod http_address;
mod latency;
mod lookup_tls;
mod statsd;
mod tls;
mod topology;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use humantime::parse_duration;
use punctual_queue_wire::command::Limits;
use punctual_queue_wire::identify::IdentifyLimits;
use punctual_service::socket::Address;

pub use auth::{AuthMethod, AuthOptions};
pub use compression::CompressionOptions;
pub use http_address::HttpAddress;
pub use lookup_tls::LookupTlsOptions;
pub use tls::{ClientAuthPolicy, NodeTlsOptions, TlsMinVersion, TlsRequired};

pub use latency::LatencyOptions;
pub use statsd::StatsdOptions;
pub use topology::{Experiment, TopologyOptions};

/// The longest message, and the longest body, that can be allowed: sizes on the wire are signed 32-bit numbers.
const MAX_SIZE: i64 = 1024 * 1024 * 1024;

/// Settings of a queue node
#[derive(Debug, Clone, Args)]
pub struct NodeOptions {
    /// Where producers and consumers connect: an address and port, or the path of a socket file
    #[arg(long, env = "PUNCTUAL_QUEUE_TCP_ADDRESS", default_value = "127.0.0.1:4150")]
    pub tcp_address: Address,
    /// Where the HTTP interface listens: an address and port, or the path of a socket file; nowhere when empty
    #[arg(long, env = "PUNCTUAL_QUEUE_HTTP_ADDRESS", default_value = "127.0.0.1:4151")]
    pub http_address: HttpAddress,
    /// Listen where other machines can connect although nothing asks them who they are
    #[arg(long, env = "PUNCTUAL_QUEUE_ALLOW_UNAUTHENTICATED")]
    pub allow_unauthenticated: bool,
    /// The directory that holds the messages; one node at a time uses it
    #[arg(long, env = "PUNCTUAL_QUEUE_DATA_PATH", default_value = "punctual-queue")]
    pub data_path: PathBuf,
    /// How long messages are kept at most, counted from their publication; without it until every channel has finished them
    #[arg(long, env = "PUNCTUAL_QUEUE_RETAIN", value_parser = parse_duration)]
    pub retain: Option<Duration>,
    /// The address given to lookups for consumers to dial; by default the one it listens on, or the host name when it listens on all
    #[arg(long, env = "PUNCTUAL_QUEUE_BROADCAST_ADDRESS")]
    pub broadcast_address: Option<String>,
    /// The TCP port given to lookups, when it is not the one it listens on; 0 for that one
    #[arg(long, env = "PUNCTUAL_QUEUE_BROADCAST_TCP_PORT")]
    pub broadcast_tcp_port: Option<u16>,
    /// The HTTP port given to lookups, when it is not the one it listens on; 0 for that one
    #[arg(long, env = "PUNCTUAL_QUEUE_BROADCAST_HTTP_PORT")]
    pub broadcast_http_port: Option<u16>,
    /// A lookup to register with, as host:port of its TCP interface; may be repeated
    #[arg(long = "lookupd-tcp-address", env = "PUNCTUAL_QUEUE_LOOKUPD_TCP_ADDRESS", value_delimiter = ',')]
    pub lookupd_tcp_addresses: Vec<String>,
    /// TLS towards them
    #[command(flatten)]
    pub lookup_tls: LookupTlsOptions,

    /// How long a message may be in flight when the consumer does not say
    #[arg(long, env = "PUNCTUAL_QUEUE_MSG_TIMEOUT", default_value = "60s", value_parser = parse_duration)]
    pub msg_timeout: Duration,
    /// The longest time a message may be in flight, touches included
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_MSG_TIMEOUT", default_value = "15m", value_parser = parse_duration)]
    pub max_msg_timeout: Duration,
    /// The longest message, in bytes
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_MSG_SIZE", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(1..=MAX_SIZE))]
    pub max_msg_size: u32,
    /// The longest body of a command, in bytes
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_BODY_SIZE", default_value_t = 5 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(1..=MAX_SIZE))]
    pub max_body_size: u32,
    /// The longest delay a requeue may ask for
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_REQ_TIMEOUT", default_value = "1h", value_parser = parse_duration)]
    pub max_req_timeout: Duration,
    /// The longest delay a publish may ask for, with DPUB or defer; by default the same as for a requeue
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_DEFER_TIMEOUT", value_parser = parse_duration)]
    pub max_defer_timeout: Option<Duration>,
    /// How many messages wait at most in each #ephemeral channel, and in an #ephemeral topic without a channel, before the oldest are dropped
    #[arg(long, env = "PUNCTUAL_QUEUE_MEM_QUEUE_SIZE", default_value_t = 10_000)]
    pub mem_queue_size: u64,
    /// The most messages a consumer may have in flight
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_RDY_COUNT", default_value_t = 2500)]
    pub max_rdy_count: u32,
    /// The most consumers a channel may have; 0 for no limit
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_CHANNEL_CONSUMERS", default_value_t = 0)]
    pub max_channel_consumers: usize,
    /// The longest time a client may ask for between heartbeats
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_HEARTBEAT_INTERVAL", default_value = "60s", value_parser = parse_duration)]
    pub max_heartbeat_interval: Duration,
    /// The largest output buffer a client may ask for, in bytes; messages are sent at once in any case
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_OUTPUT_BUFFER_SIZE", default_value_t = 64 * 1024)]
    pub max_output_buffer_size: u32,
    /// The longest output buffer time-out a client may ask for; messages are sent at once in any case
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_OUTPUT_BUFFER_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub max_output_buffer_timeout: Duration,
    /// How long messages may be held back when the client does not say; they are sent at once in any case
    #[arg(long, env = "PUNCTUAL_QUEUE_OUTPUT_BUFFER_TIMEOUT", default_value = "250ms", value_parser = parse_duration)]
    pub output_buffer_timeout: Duration,
    /// The shortest output buffer time-out a client may ask for; messages are sent at once in any case
    #[arg(long, env = "PUNCTUAL_QUEUE_MIN_OUTPUT_BUFFER_TIMEOUT", default_value = "25ms", value_parser = parse_duration)]
    pub min_output_buffer_timeout: Duration,
    /// When a consumer disconnects, leave its messages in flight until they time out, as nsqd does, instead of delivering them again at once
    #[arg(long, env = "PUNCTUAL_QUEUE_HOLD_ON_DISCONNECT")]
    pub hold_on_disconnect: bool,

    /// TLS
    #[command(flatten)]
    pub tls: NodeTlsOptions,
    /// Compression
    #[command(flatten)]
    pub compression: CompressionOptions,
    /// Authorisation
    #[command(flatten)]
    pub auth: AuthOptions,
    /// What is measured of messages
    #[command(flatten)]
    pub latency: LatencyOptions,
    /// Where statistics are pushed
    #[command(flatten)]
    pub statsd: StatsdOptions,
    /// Topology
    #[command(flatten)]
    pub topology: TopologyOptions,
}

impl Default for NodeOptions {
    /// What a node has that is given no flags.
    fn default() -> Self {
        #[derive(Parser)]
        struct NoFlags {
            #[command(flatten)]
            options: NodeOptions,
        }
        NoFlags::parse_from([""]).options
    }
}

impl NodeOptions {
    /// The TCP port that lookups are told, where it is not the one that is listened on.
    pub(crate) fn broadcast_tcp_port(&self) -> Option<u16> {
        self.broadcast_tcp_port.filter(|port| *port != 0)
    }

    /// The same of the HTTP port.
    pub(crate) fn broadcast_http_port(&self) -> Option<u16> {
        self.broadcast_http_port.filter(|port| *port != 0)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_message_bytes: self.max_msg_size,
            max_body_bytes: self.max_body_size,
            max_ready_count: self.max_rdy_count,
            max_requeue_delay: self.max_req_timeout,
            max_publish_delay: self.max_defer_timeout.unwrap_or(self.max_req_timeout),
        }
    }

    pub(crate) fn identify_limits(&self) -> IdentifyLimits {
        IdentifyLimits {
            max_heartbeat_interval: self.max_heartbeat_interval,
            max_output_buffer_bytes: self.max_output_buffer_size,
            output_buffer_timeout: self.output_buffer_timeout,
            min_output_buffer_timeout: self.min_output_buffer_timeout,
            max_output_buffer_timeout: self.max_output_buffer_timeout,
            message_timeout: self.msg_timeout,
            max_message_timeout: self.max_msg_timeout,
            max_deflate_level: self.compression.max_deflate_level,
            ..IdentifyLimits::default()
        }
    }
}
