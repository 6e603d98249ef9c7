//! What an operator can set.

use std::{net::SocketAddr, time::Duration};

mod tls;

pub use tls::{LookupTlsError, LookupTlsOptions};

/// Flags of the discovery daemon, with nsqlookupd's names.
#[derive(Debug, Clone, clap::Args)]
pub struct LookupOptions {
    /// Where queue nodes register
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_TCP_ADDRESS",
        default_value = "127.0.0.1:4160",
        value_name = "IP:PORT"
    )]
    pub tcp_address: SocketAddr,

    /// Where clients ask, over HTTP
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_HTTP_ADDRESS",
        default_value = "127.0.0.1:4161",
        value_name = "IP:PORT"
    )]
    pub http_address: SocketAddr,

    /// The host under which queue nodes find this daemon's HTTP interface. Without it: the address that is listened
    /// on, or the host's name when that is every address
    #[arg(long, env = "PUNCTUAL_LOOKUP_BROADCAST_ADDRESS", value_name = "HOST")]
    pub broadcast_address: Option<String>,

    /// A queue node that has been silent for this long is not listed until its next ping. Its connection is closed
    /// then too, though not within a minute
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_INACTIVE_PRODUCER_TIMEOUT",
        default_value = "5m",
        value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub inactive_producer_timeout: Duration,

    /// How long a tombstone hides a queue node from those who look for a topic
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_TOMBSTONE_LIFETIME",
        default_value = "45s",
        value_parser = humantime::parse_duration,
        value_name = "DURATION"
    )]
    pub tombstone_lifetime: Duration,

    /// How many topics and channels one queue node may register; further ones are not listed
    #[arg(long, env = "PUNCTUAL_LOOKUP_MAX_NAMES_PER_NODE", default_value_t = 100_000, value_name = "COUNT")]
    pub max_names_per_node: usize,

    /// How many topics and channels are kept in all, also of nodes that have gone; further ones are not taken in
    #[arg(long, env = "PUNCTUAL_LOOKUP_MAX_NAMES", default_value_t = 1_000_000, value_name = "COUNT")]
    pub max_names: usize,

    /// TLS for queue nodes
    #[command(flatten)]
    pub tls: LookupTlsOptions,

    /// Listen on addresses that other machines can reach. Nothing asks clients who they are
    #[arg(long, env = "PUNCTUAL_LOOKUP_ALLOW_UNAUTHENTICATED")]
    pub allow_unauthenticated: bool,
}
