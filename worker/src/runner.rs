//! The ready-made worker: starts programs.

mod exec;
mod options;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use punctual_service::bind::{self, BindError};
use punctual_service::health::Health;
use punctual_service::token::TokenError;
use punctual_service::{health, http, metrics};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use options::WorkerOptions;

use crate::context::Context;
use crate::handler::HandlerError;
use crate::worker::{BuildError, Worker, WorkerError};
use exec::Exec;

/// The runner's own kind: a program and its arguments.
const EXEC: &str = "exec";

/// A kind that does nothing, for measuring everything around it.
const NOOP: &str = "noop";

/// A worker that executes what its options allow, with its health and metrics.
#[derive(Debug)]
pub struct Runner {
    worker: Worker,
    health: Health,
    http: Option<(TcpListener, SocketAddr)>,
}

/// Why a runner could not be started, or stopped working.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The options allow nothing.
    #[error(
        "there is nothing this worker may execute: name the programs it may start with --allow-exec, or `*` for any"
    )]
    NothingAllowed,
    /// A file named by an option could not be read.
    #[error("could not read {} ({flag})", path.display())]
    Read {
        /// The option.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token is none.
    #[error("the token for the schedulers cannot be used")]
    Token(#[from] TokenError),
    /// The options do not make a worker.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Health and metrics cannot be served.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Health and metrics could not be served any more.
    #[error("could not serve --http-address any more")]
    Http(#[source] io::Error),
    /// The thread that starts programs could not be started.
    #[error("could not start a thread")]
    Thread(#[source] io::Error),
    /// The worker stopped.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Runs the worker that `options` describe until `shutdown`, then drains.
///
/// # Errors
/// As [`Runner::bind`] and [`Runner::run`].
pub async fn run(options: WorkerOptions, shutdown: CancellationToken) -> Result<(), RunnerError> {
    Runner::bind(options).await?.run(shutdown).await
}

impl Runner {
    /// Checks the options and opens the listener for health and metrics. Connects to nothing yet.
    ///
    /// # Errors
    /// When the options cannot be used, or the listener cannot be opened.
    pub async fn bind(options: WorkerOptions) -> Result<Self, RunnerError> {
        let health = Health::new();
        let mut builder = options.builder()?.health(health.clone());
        if let Some(allowed) = options.allowed_programs() {
            builder =
                builder.handler(EXEC, Exec::start(allowed).map_err(RunnerError::Thread)?.into_handler());
        }
        if options.allow_noop {
            builder = builder.handler(NOOP, noop);
        }
        let worker = builder.build().map_err(|error| match error {
            BuildError::NoHandler => RunnerError::NothingAllowed,
            error => error.into(),
        })?;
        let http = match options.http_address {
            Some(address) => Some(listen(address, options.allow_unauthenticated).await?),
            None => None,
        };
        Ok(Self { worker, health, http })
    }

    /// Where health and metrics are served, if they are.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(_, address)| *address)
    }

    /// The conditions of readiness, as `/readyz` shows them.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// See [`Worker::ready`].
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        self.worker.ready()
    }

    /// See [`Worker::run`]. Health and metrics are served until the worker has drained.
    ///
    /// # Errors
    /// As [`Worker::run`], and when health and metrics cannot be served any more.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunnerError> {
        let Some((listener, _)) = self.http else { return Ok(self.worker.run(shutdown).await?) };
        let metrics = metrics::install();
        let (stop_work, stop_http) = (shutdown.child_token(), CancellationToken::new());
        let work = async {
            let worked = self.worker.run(stop_work.clone()).await;
            stop_http.cancel();
            worked
        };
        let serve = async {
            let router = health::router(self.health, metrics.clone());
            let served = http::serve(listener, router, stop_http.clone()).await;
            stop_work.cancel();
            served
        };
        let (worked, served, ()) = tokio::join!(work, serve, metrics.clone().upkeep(stop_http.clone()));
        served.map_err(RunnerError::Http)?;
        Ok(worked?)
    }
}

async fn listen(
    address: SocketAddr,
    allow_unauthenticated: bool,
) -> Result<(TcpListener, SocketAddr), BindError> {
    const FLAG: &str = "--http-address";
    bind::refuse_exposed(address, FLAG, false, allow_unauthenticated)?;
    let listener = bind::listen(address, FLAG).await?;
    let bound = listener.local_addr().map_err(|source| BindError::Io {
        address: address.into(),
        flag: FLAG,
        source,
    })?;
    Ok((listener, bound))
}

async fn noop(_: Context) -> Result<(), HandlerError> {
    Ok(())
}
