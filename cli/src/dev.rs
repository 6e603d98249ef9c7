//! `punctual dev`: every role in one process, on a Postgres of its own.

mod database;
mod demo;
mod stack;
mod stages;
mod welcome;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::ArgPredicate;
use punctual_scheduler::options::DatabaseUrl;
use punctual_service::dir_lock::DirLock;
use punctual_service::log::{self, LogArgs};
use punctual_service::notify;
use punctual_service::parts::Parts;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::stack::Stack;
use self::welcome::Welcome;
use crate::failure::Failure;

/// How long everything together may take to stop: a worker drains for 10 s, the others for less.
const STOP_WITHIN: Duration = Duration::from_secs(90);

const EXAMPLES: &str = "\
Examples:
  punctual dev --demo                    with sample jobs, showing their runs live
  punctual dev --data-dir /tmp/try       elsewhere than in ./punctual-data
  DATABASE_URL=postgres://… punctual dev on a Postgres that is there already";

/// `punctual dev`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
// A demonstration is read on the terminal that it logs to.
#[command(mut_arg("log_level", |arg| arg.default_value_if("demo", ArgPredicate::IsPresent, "warn")))]
pub(crate) struct DevArgs {
    /// Define sample jobs and show their runs live
    #[arg(long)]
    demo: bool,

    /// Where everything is kept: the database and the queue
    #[arg(long, env = "PUNCTUAL_DATA_DIR", value_name = "DIR", default_value = "punctual-data")]
    data_dir: PathBuf,

    /// Postgres to use in place of an embedded one
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<DatabaseUrl>,

    /// Where the scheduler serves gRPC and HTTP
    #[arg(long, env = "PUNCTUAL_GRPC_ADDRESS", value_name = "HOST:PORT", default_value = "127.0.0.1:7700")]
    grpc_address: SocketAddr,

    /// Where the web admin will serve. This release has none; a script that names the address works already.
    #[arg(
        long,
        env = "PUNCTUAL_ADMIN_HTTP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4171"
    )]
    #[arg(hide = true)]
    admin_http_address: SocketAddr,

    /// Where the queue node serves NSQ's protocol
    #[arg(
        long,
        env = "PUNCTUAL_QUEUE_TCP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4150"
    )]
    queue_tcp_address: SocketAddr,

    /// Where the queue node serves HTTP
    #[arg(
        long,
        env = "PUNCTUAL_QUEUE_HTTP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4151"
    )]
    queue_http_address: SocketAddr,

    /// Where the lookup takes queue nodes
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_TCP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4160"
    )]
    lookup_tcp_address: SocketAddr,

    /// Where the lookup is asked, over HTTP
    #[arg(
        long,
        env = "PUNCTUAL_LOOKUP_HTTP_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:4161"
    )]
    lookup_http_address: SocketAddr,

    /// Listen on addresses that other machines can reach, although nothing asks who they are
    #[arg(long, env = "PUNCTUAL_ALLOW_UNAUTHENTICATED")]
    allow_unauthenticated: bool,

    #[command(flatten)]
    log: LogArgs,
}

impl DevArgs {
    /// Runs everything until a signal.
    ///
    /// # Errors
    /// When the data directory is in use, a port is taken, Postgres cannot be had, or a part fails.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        let began = Instant::now();
        std::fs::create_dir_all(&self.data_dir)
            .with_context(|| format!("cannot make the data directory {}", self.data_dir.display()))?;
        let _lock = DirLock::acquire(&self.data_dir).map_err(anyhow::Error::from)?;
        let stack = Stack::open(&self).await?;
        let welcome = Welcome::of(&stack, &self.data_dir);

        let shutdown = CancellationToken::new();
        let mut parts = Parts::new(shutdown.clone()).drain_within(STOP_WITHIN);
        let front = front(self.demo, welcome, stack.ready(), shutdown.clone(), began);
        stack.add_to(&mut parts, shutdown.clone());
        let parts = async {
            let ended = parts.run_until_signalled().await;
            shutdown.cancel();
            ended
        };
        let front = async {
            let ended = front.await;
            shutdown.cancel();
            ended
        };
        let (parts, front) = tokio::join!(parts, front);
        parts.and(front)?;
        tracing::info!("everything stopped");
        Ok(())
    }
}

/// Says when everything serves, and shows the demonstration if there is one.
async fn front(
    demo: bool,
    welcome: Welcome,
    ready: impl Future<Output = ()>,
    shutdown: CancellationToken,
    began: Instant,
) -> anyhow::Result<()> {
    let show = async move {
        ready.await;
        let client = if demo { Some(demo::define(&welcome.grpc).await?) } else { None };
        welcome.print(began.elapsed())?;
        notify::ready();
        match client {
            Some(client) => demo::show(&client).await,
            None => std::future::pending().await,
        }
    };
    let shown = shutdown.run_until_cancelled(show).await;
    notify::stopping();
    shown.unwrap_or(Ok(()))
}
