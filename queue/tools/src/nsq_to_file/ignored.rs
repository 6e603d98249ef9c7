//! Flags of NSQ's own nsq_to_file that make no sense here.

use std::time::Duration;

use clap::Args;
use tracing::warn;

use crate::go_duration;

/// Taken, so that a command line that works with NSQ's works here.
#[derive(Debug, Clone, Args)]
pub(super) struct IgnoredArgs {
    /// Without effect: lookups have a second to take a connection
    #[arg(long, value_name = "DURATION", value_parser = go_duration::parse)]
    http_client_connect_timeout: Option<Duration>,

    /// Without effect: lookups have two seconds to answer
    #[arg(long, value_name = "DURATION", value_parser = go_duration::parse)]
    http_client_request_timeout: Option<Duration>,
}

impl IgnoredArgs {
    /// Says, in one line, which of them were given.
    pub(super) fn warn(&self) {
        let given = [
            (self.http_client_connect_timeout.is_some(), "http-client-connect-timeout"),
            (self.http_client_request_timeout.is_some(), "http-client-request-timeout"),
        ];
        let flags: Vec<_> = given.iter().filter(|(given, _)| *given).map(|(_, flag)| *flag).collect();
        if !flags.is_empty() {
            warn!(?flags, "these flags have no effect here");
        }
    }
}
