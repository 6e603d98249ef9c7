//! The flags of `punctual worker`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use punctual_service::token::Token;

use super::RunnerError;
use super::exec::AllowedPrograms;
use crate::worker::{Worker, WorkerBuilder};

/// The lookup of a node that runs with its defaults, as `punctual dev` does.
const DEFAULT_LOOKUP: &str = "127.0.0.1:4161";

/// What a runner connects to, and what it may execute.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerOptions {
    /// Scheduler to ask; several, by comma or repeated: the worker keeps to one and moves on at the first error
    #[arg(
        long,
        env = "PUNCTUAL_SERVER",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7700"
    )]
    pub server: Vec<String>,

    /// HTTP address of a lookup; every queue node it lists is listened to. Repeatable. Without this and
    /// --queue-tcp-address: 127.0.0.1:4161
    #[arg(long, env = "PUNCTUAL_LOOKUP_HTTP_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    pub lookup_http_address: Vec<String>,

    /// TCP address of a queue node (ours or any nsqd) that is listened to whatever the lookups say. Repeatable
    #[arg(long, env = "PUNCTUAL_QUEUE_TCP_ADDRESS", value_name = "HOST:PORT", value_delimiter = ',')]
    pub queue_tcp_address: Vec<String>,

    /// Namespace whose runs it executes
    #[arg(long, short, env = "PUNCTUAL_NAMESPACE", default_value = "default")]
    pub namespace: String,

    /// Task queue it serves
    #[arg(long, env = "PUNCTUAL_TASK_QUEUE", default_value = "default")]
    pub task_queue: String,

    /// How many attempts it executes at once
    #[arg(long, env = "PUNCTUAL_PLACES", default_value_t = 10)]
    pub places: u32,

    /// What people see it as [default: host name and process id]
    #[arg(long, env = "PUNCTUAL_WORKER_NAME")]
    pub name: Option<String>,

    /// Programs that jobs may start (kind `exec`), by comma; `*` for any. Without it, none
    ///
    /// A name without a slash (date) stands for what it is in this worker's own PATH; a path must be absolute. A job
    /// may name the program in either way, as long as both lead to the same file. Whoever may define jobs can make an
    /// allowed program do whatever it can be told to do with arguments: allowing a shell or an interpreter allows
    /// everything.
    #[arg(long, env = "PUNCTUAL_ALLOW_EXEC", value_name = "PROGRAM", value_delimiter = ',')]
    pub allow_exec: Vec<String>,

    /// Executes the kind `noop`, which does nothing
    #[arg(long, hide = true)]
    pub allow_noop: bool,

    /// Bearer token for the schedulers
    #[arg(long, env = "PUNCTUAL_TOKEN", value_parser = clap::value_parser!(Token), hide_env_values = true)]
    pub token: Option<Token>,

    /// File that holds the bearer token on its first line
    #[arg(long, env = "PUNCTUAL_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// Certificate authority of https schedulers (PEM) [default: the system's]
    #[arg(long, env = "PUNCTUAL_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,

    /// Serves /metrics, /livez and /readyz here
    #[arg(long, env = "PUNCTUAL_HTTP_ADDRESS", value_name = "HOST:PORT")]
    pub http_address: Option<SocketAddr>,

    /// Lets --http-address be one that other machines can reach
    #[arg(long, env = "PUNCTUAL_ALLOW_UNAUTHENTICATED")]
    pub allow_unauthenticated: bool,

    /// How long a shutdown waits for running attempts before it cancels them and gives them back
    #[arg(
        long,
        env = "PUNCTUAL_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = humantime::parse_duration
    )]
    pub drain_timeout: Duration,
}

impl WorkerOptions {
    /// The longest that [`Runner::run`](super::Runner::run) takes from its shutdown to its end: what whoever stops
    /// the process should wait.
    pub fn stops_within(&self) -> Duration {
        self.drain_timeout + Duration::from_secs(15)
    }

    pub(super) fn allowed_programs(&self) -> Option<AllowedPrograms> {
        (!self.allow_exec.is_empty()).then(|| AllowedPrograms::new(&self.allow_exec))
    }

    pub(super) fn builder(&self) -> Result<WorkerBuilder, RunnerError> {
        let mut builder = Worker::builder()
            .server(&self.server)
            .lookup_http_addresses(&self.lookup_http_address)
            .queue_tcp_addresses(&self.queue_tcp_address)
            .namespace(&self.namespace)
            .task_queue(&self.task_queue)
            .places(self.places)
            .drain_timeout(self.drain_timeout);
        if self.lookup_http_address.is_empty() && self.queue_tcp_address.is_empty() {
            builder = builder.lookup_http_addresses([DEFAULT_LOOKUP]);
        }
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        if let Some(token) = self.read_token()? {
            builder = builder.token(token);
        }
        if let Some(path) = &self.ca_cert {
            builder = builder.ca_cert_pem(read("--ca-cert", path)?);
        }
        Ok(builder)
    }

    fn read_token(&self) -> Result<Option<Token>, RunnerError> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone()) };
        let text = read("--token-file", path)?;
        let text = String::from_utf8_lossy(&text);
        // The same file as a scheduler's: comments, and more tokens that are not for us.
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Some(Token::new(first.unwrap_or_default())?))
    }
}

fn read(flag: &'static str, path: &PathBuf) -> Result<Vec<u8>, RunnerError> {
    std::fs::read(path).map_err(|source| RunnerError::Read { flag, path: path.clone(), source })
}

#[cfg(test)]
mod tests;
