//! How requests are made. Flags have NSQ's names and defaults.

use std::time::Duration;

use clap::Args;

use crate::go_duration;

/// What a POST is unless told.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// The flags of `nsq_to_http` that are about requests.
#[derive(Debug, Clone, Args)]
pub(super) struct RequestArgs {
    /// An address to POST messages to, each as a body; may be repeated
    #[arg(long = "post", value_name = "URL")]
    pub(super) posts: Vec<String>,

    /// An address to GET, in which %s is replaced by the message; may be repeated
    #[arg(long = "get", value_name = "URL")]
    pub(super) gets: Vec<String>,

    /// A header of every request, as `name: value`; may be repeated
    #[arg(long = "header", value_name = "HEADER")]
    pub(super) headers: Vec<String>,

    /// The Content-Type of a POST
    #[arg(long, value_name = "TYPE", default_value = DEFAULT_CONTENT_TYPE)]
    pub(super) content_type: String,

    /// How long it may take to connect
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = go_duration::parse)]
    pub(super) http_client_connect_timeout: Duration,

    /// How long a request may take in all
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = go_duration::parse)]
    pub(super) http_client_request_timeout: Duration,
}
