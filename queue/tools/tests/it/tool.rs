//! A tool that runs.

use std::ffi::OsString;

use clap::Args;
use punctual_queue_tools::error::ToolError;
use punctual_queue_tools::go_flags::{Call, call};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::servers::{PATIENCE, install_crypto_provider};

/// Reads a tool's command line.
pub(crate) fn flags<A: Args>(words: &[&str]) -> anyhow::Result<A> {
    match call("tool", words.iter().map(OsString::from))? {
        Call::Run { args, .. } => Ok(args),
        Call::Version | Call::Help(_) => anyhow::bail!("{words:?} does not run anything"),
    }
}

/// Runs until it is stopped; is gone at once when dropped.
pub(crate) struct Tool {
    stop: CancellationToken,
    tasks: JoinSet<Result<(), ToolError>>,
}

impl Tool {
    pub(crate) fn start<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), ToolError>> + Send + 'static,
    {
        install_crypto_provider();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(run(stop.clone()));
        Self { stop, tasks }
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        match self.tasks.try_join_next() {
            None => true,
            Some(ended) => panic!("the tool ended: {ended:?}"),
        }
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> anyhow::Result<Result<(), ToolError>> {
        match timeout(PATIENCE, self.tasks.join_next()).await? {
            Some(ended) => Ok(ended?),
            None => anyhow::bail!("it ended before"),
        }
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.ask_to_stop();
        Ok(self.ended().await??)
    }
}
