//! Flags of authorisation by an HTTP server.

use std::time::Duration;

use clap::{Args, ValueEnum};
use humantime::parse_duration;

/// Who may publish and subscribe to what, asked of an authentication server.
#[derive(Debug, Clone, Args)]
pub struct AuthOptions {
    /// An authentication server, as host:port or a whole URL; may be repeated. Clients must then send AUTH
    #[arg(
        long = "auth-http-address",
        env = "PUNCTUAL_QUEUE_AUTH_HTTP_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub auth_http_addresses: Vec<String>,

    /// How it is asked
    #[arg(
        long,
        env = "PUNCTUAL_QUEUE_AUTH_HTTP_REQUEST_METHOD",
        value_name = "METHOD",
        default_value = "get"
    )]
    pub auth_http_request_method: AuthMethod,

    /// Ask for the secret on the HTTP interface too, as a bearer token; NSQ has no authorisation there
    #[arg(long, env = "PUNCTUAL_QUEUE_HTTP_AUTH_REQUIRED", requires = "auth_http_addresses")]
    pub http_auth_required: bool,

    /// How long connecting to an authentication server or a lookup's HTTP interface may take
    #[arg(long, env = "PUNCTUAL_QUEUE_HTTP_CLIENT_CONNECT_TIMEOUT", default_value = "2s", value_parser = parse_duration)]
    pub http_client_connect_timeout: Duration,

    /// How long a request to one may take
    #[arg(long, env = "PUNCTUAL_QUEUE_HTTP_CLIENT_REQUEST_TIMEOUT", default_value = "5s", value_parser = parse_duration)]
    pub http_client_request_timeout: Duration,
}

/// How the authentication server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMethod {
    /// GET, with everything in the query.
    Get,
    /// POST, with a JSON body.
    Post,
}
