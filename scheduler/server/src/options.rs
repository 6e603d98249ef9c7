//! The scheduler's flags.

mod database_url;

use std::net::SocketAddr;
use std::path::PathBuf;

use punctual_service::tls::TlsArgs;

use crate::store::RetentionDays;

pub use database_url::{DatabaseUrl, DatabaseUrlError};

/// Flags of `punctual scheduler`.
#[derive(Debug, Clone, clap::Args)]
pub struct SchedulerOptions {
    /// Postgres that holds jobs, runs and history: postgres://USER:PASSWORD@HOST/DATABASE, with ?pgbouncer=true behind a
    /// pooler in transaction mode
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// Connections to the database at most
    // A quarter of them, up to four, is kept for admission and the lease.
    #[arg(long, env = "PUNCTUAL_DATABASE_CONNECTIONS", value_name = "N", default_value_t = DATABASE_CONNECTIONS,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: u32,

    /// Where gRPC and HTTP are served
    #[arg(long, env = "PUNCTUAL_GRPC_ADDRESS", value_name = "HOST:PORT", default_value_t = GRPC_ADDRESS)]
    pub grpc_address: SocketAddr,

    /// HTTP address of a lookup, through which queue nodes are found; may be repeated
    #[arg(long, env = "PUNCTUAL_LOOKUP_HTTP_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    pub lookup_http_address: Vec<String>,

    /// TCP address of a queue node (or a stock nsqd) to use without a lookup; may be repeated
    #[arg(long, env = "PUNCTUAL_QUEUE_TCP_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    pub queue_tcp_address: Vec<String>,

    /// File with the tokens that callers must show, one per line
    #[arg(long, env = "PUNCTUAL_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// TLS of the gRPC and HTTP port
    #[command(flatten)]
    pub tls: TlsArgs,

    /// Days for which the history of retention class short is kept
    #[arg(long, env = "PUNCTUAL_RETENTION_SHORT_DAYS", value_name = "N", default_value_t = RETENTION.short,
          value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retention_short_days: u16,

    /// Days for which the history of retention class default is kept
    #[arg(long, env = "PUNCTUAL_RETENTION_DEFAULT_DAYS", value_name = "N", default_value_t = RETENTION.default,
          value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retention_default_days: u16,

    /// Days for which the history of retention class long is kept
    #[arg(long, env = "PUNCTUAL_RETENTION_LONG_DAYS", value_name = "N", default_value_t = RETENTION.long,
          value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub retention_long_days: u16,

    /// Serve to other machines without tokens
    #[arg(long, env = "PUNCTUAL_ALLOW_UNAUTHENTICATED")]
    pub allow_unauthenticated: bool,
}

/// Enough that neither planner, publisher nor API waits for a connection, few enough for a small Postgres.
const DATABASE_CONNECTIONS: u32 = 16;
const RETENTION: RetentionDays = RetentionDays::USUAL;
const GRPC_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7700);

impl SchedulerOptions {
    /// The defaults, on this database.
    pub fn new(database_url: DatabaseUrl) -> Self {
        Self {
            database_url,
            database_connections: DATABASE_CONNECTIONS,
            grpc_address: GRPC_ADDRESS,
            lookup_http_address: Vec::new(),
            queue_tcp_address: Vec::new(),
            token_file: None,
            retention_short_days: RETENTION.short,
            retention_default_days: RETENTION.default,
            retention_long_days: RETENTION.long,
            tls: TlsArgs::default(),
            allow_unauthenticated: false,
        }
    }

    /// How long history is kept.
    pub(crate) fn retention(&self) -> RetentionDays {
        RetentionDays {
            short: self.retention_short_days,
            default: self.retention_default_days,
            long: self.retention_long_days,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn parse(flags: &[&str]) -> Result<SchedulerOptions, clap::Error> {
        let command = SchedulerOptions::augment_args(clap::Command::new("scheduler"));
        let command = command.mut_args(|arg| arg.env(None::<&str>));
        SchedulerOptions::from_arg_matches(&command.try_get_matches_from([&["scheduler"], flags].concat())?)
    }

    #[test]
    fn the_flags_defaults_are_those_of_new() {
        let url: DatabaseUrl = "postgres://localhost/p".parse().unwrap();
        let parsed = parse(&["--database-url", "postgres://localhost/p"]).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{:?}", SchedulerOptions::new(url)));
    }

    #[test]
    fn addresses_are_lists_by_comma_or_by_repeating() {
        let flags = [
            "--database-url",
            "postgres://x/p",
            "--lookup-http-address",
            "a:1,b:2",
            "--lookup-http-address",
            "c:3",
        ];
        assert_eq!(parse(&flags).unwrap().lookup_http_address, ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn a_database_is_needed() {
        let error = parse(&[]).unwrap_err().to_string();
        assert!(error.contains("--database-url"), "{error}");
    }
}
