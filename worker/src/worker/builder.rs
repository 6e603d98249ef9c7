//! Building a worker.

use std::sync::Arc;
use std::time::Duration;

use punctual_service::health::Health;
use punctual_service::token::Token;
use tokio::sync::watch;

use super::{BuildError, Site, Worker, host_name};
use crate::context::Context;
use crate::handler::{HandlerError, Handlers, Output};
use crate::inbox::Source;
use crate::schedulers::Schedulers;

/// The most places a worker may have.
const MAX_PLACES: u32 = 10_000;

/// What a worker is to be. Every setting but the server, the queue and a handler has a default.
#[derive(Debug)]
pub struct WorkerBuilder {
    servers: Vec<String>,
    lookups: Vec<String>,
    nodes: Vec<String>,
    namespace: String,
    task_queue: String,
    places: u32,
    name: Option<String>,
    token: Option<Token>,
    ca_cert: Option<Vec<u8>>,
    drain_timeout: Duration,
    handlers: Handlers,
    twice: Option<String>,
    health: Health,
}

impl Default for WorkerBuilder {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            lookups: Vec::new(),
            nodes: Vec::new(),
            namespace: "default".to_owned(),
            task_queue: "default".to_owned(),
            places: 10,
            name: None,
            token: None,
            ca_cert: None,
            drain_timeout: Duration::from_secs(30),
            handlers: Handlers::default(),
            twice: None,
            health: Health::new(),
        }
    }
}

impl WorkerBuilder {
    /// Adds schedulers, as `http://` or `https://` URLs. The worker keeps to one and moves on at the first error.
    #[must_use]
    pub fn server<S: Into<String>>(mut self, urls: impl IntoIterator<Item = S>) -> Self {
        self.servers.extend(urls.into_iter().map(Into::into));
        self
    }

    /// Adds lookups, as `host:port` of their HTTP side. Every queue node they list is listened to.
    #[must_use]
    pub fn lookup_http_addresses<S: Into<String>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.lookups.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Adds queue nodes that are listened to whatever the lookups say, as `host:port`: ours or any nsqd.
    #[must_use]
    pub fn queue_tcp_addresses<S: Into<String>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.nodes.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// The namespace whose runs it executes; `default` unless set.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The task queue it serves; `default` unless set.
    #[must_use]
    pub fn task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = task_queue.into();
        self
    }

    /// How many attempts it executes at once, 1 to 10,000; 10 unless set.
    #[must_use]
    pub fn places(mut self, places: u32) -> Self {
        self.places = places;
        self
    }

    /// What people see it as; `host:pid` unless set. Need not be unique.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The bearer token for the schedulers.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The certificate authority of `https://` schedulers, PEM.
    #[must_use]
    pub fn ca_cert_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_cert = Some(pem.into());
        self
    }

    /// How long a shutdown waits for handlers before it cancels them; 30 s unless set.
    /// [`Worker::run`] ends at most 10 s after that.
    #[must_use]
    pub fn drain_timeout(mut self, drain_timeout: Duration) -> Self {
        self.drain_timeout = drain_timeout;
        self
    }

    /// Where readiness is stated, when the process has a place for that already.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Registers what executes attempts of `kind`.
    ///
    /// A panic in it fails the attempt. It must not block its thread: work that does belongs into
    /// `tokio::task::spawn_blocking`, looking at [`Context::cancel_reason`] now and then, since nothing else can
    /// stop it.
    #[must_use]
    pub fn handler<F, Fut, O>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
        O: Into<Output>,
    {
        let kind = kind.into();
        if !self.handlers.add(kind.clone(), handler) {
            self.twice.get_or_insert(kind);
        }
        self
    }

    /// The worker, checked but not yet connected to anything. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When something is missing or out of its range.
    pub fn build(self) -> Result<Worker, BuildError> {
        check_name(&self.namespace, 24, "-", BuildError::Namespace)?;
        check_name(&self.task_queue, 34, "_-", BuildError::TaskQueue)?;
        if let Some(kind) = self.twice {
            return Err(BuildError::DuplicateKind(kind));
        }
        if self.handlers.kinds().next().is_none() {
            return Err(BuildError::NoHandler);
        }
        for kind in self.handlers.kinds() {
            check_kind(kind)?;
        }
        if !(1..=MAX_PLACES).contains(&self.places) {
            return Err(BuildError::Places(self.places));
        }
        let source = Source::new(&self.namespace, &self.task_queue, &self.lookups, &self.nodes, self.places)?;
        let schedulers = Schedulers::new(&self.servers, self.token.as_ref(), self.ca_cert.as_deref())?;
        self.health.set_ready("scheduler", false, "not registered yet");
        self.health.set_ready("queue", false, "no queue node connected yet");
        let site = Site {
            name: self.name.unwrap_or_else(default_name),
            namespace: self.namespace,
            task_queue: self.task_queue,
            places: self.places,
            drain_timeout: self.drain_timeout,
            handlers: self.handlers,
            schedulers,
            health: self.health,
        };
        Ok(Worker { site: Arc::new(site), source, ready: watch::Sender::new(false) })
    }
}

fn check_name(
    name: &str,
    longest: usize,
    also: &str,
    error: fn(String) -> BuildError,
) -> Result<(), BuildError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
    let good = (1..=longest).contains(&name.len()) && name.chars().all(fits);
    if good { Ok(()) } else { Err(error(name.to_owned())) }
}

fn check_kind(kind: &str) -> Result<(), BuildError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = (1..=100).contains(&kind.len()) && kind.chars().all(fits);
    if good { Ok(()) } else { Err(BuildError::Kind(kind.to_owned())) }
}

fn default_name() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

#[cfg(test)]
mod tests;
