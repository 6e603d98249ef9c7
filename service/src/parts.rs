//! The owner of a process's long-running parts.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shutdown;

/// How long parts may take to stop, unless [`Parts::drain_within`] says otherwise.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// Long-running parts that live and stop together.
///
/// The first part to end, for whatever reason, cancels the token that all of them watch. Dropping a `Parts` that
/// runs aborts what is left of it.
pub struct Parts {
    shutdown: CancellationToken,
    drain: Duration,
    waiting: Vec<(&'static str, BoxFuture<'static, anyhow::Result<()>>)>,
}

impl Parts {
    /// No parts yet. `shutdown` is what the parts to be added watch.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, drain: DEFAULT_DRAIN, waiting: Vec::new() }
    }

    /// How long parts may take to stop once the token is cancelled; what still runs then is aborted.
    #[must_use]
    pub fn drain_within(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Adds a part. It starts with [`run`](Self::run); `name` stands in the log and in the error when it fails.
    pub fn add(
        &mut self,
        name: &'static str,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.waiting.push((name, part.boxed()));
    }

    /// Starts all parts and waits for all to end.
    ///
    /// A part that ends well before anyone asked also stops the others, but is no failure.
    ///
    /// # Errors
    /// The first failure, with the name of its part: an error, a panic, or parts that had not stopped in time.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut running = Running::start(self.waiting);
        let mut outcome = Ok(());

        while let Some(ended) = running.next_before(self.shutdown.cancelled()).await {
            outcome = outcome.and(ended);
            self.shutdown.cancel();
        }
        let deadline = tokio::time::sleep_until(Instant::now() + self.drain);
        tokio::pin!(deadline);
        while let Some(ended) = running.next_before(&mut deadline).await {
            outcome = outcome.and(ended);
        }
        outcome.and(running.abort(self.drain).await)
    }

    /// [`run`](Self::run), with the token cancelled by the first SIGINT or SIGTERM and the process ended by the
    /// second.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when signals cannot be listened for.
    pub async fn run_until_signalled(self) -> anyhow::Result<()> {
        let signals = shutdown::on_signals(self.shutdown.clone());
        tokio::select! {
            biased; // listen before anything starts: a signal that comes early would end the process unheard
            Err(error) = signals => Err(error).context("could not listen for signals"),
            outcome = self.run() => outcome,
        }
    }
}

impl Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.waiting.iter().map(|(name, _)| name).collect();
        f.debug_struct("Parts").field("names", &names).field("drain", &self.drain).finish_non_exhaustive()
    }
}

struct Running {
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Running {
    fn start(parts: Vec<(&'static str, BoxFuture<'static, anyhow::Result<()>>)>) -> Self {
        let mut tasks = JoinSet::new();
        let names = parts.into_iter().map(|(name, part)| (tasks.spawn(part).id(), name)).collect();
        Self { tasks, names }
    }

    /// How the next part ended; `None` when none is left, or `until` completed first.
    async fn next_before(&mut self, until: impl Future<Output = ()>) -> Option<anyhow::Result<()>> {
        tokio::select! {
            biased; // a part that has ended is news even when the time is over
            ended = self.tasks.join_next_with_id() => ended.map(|ended| self.judge(ended)),
            () = until => None,
        }
    }

    fn judge(&mut self, ended: Result<(Id, anyhow::Result<()>), JoinError>) -> anyhow::Result<()> {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(anyhow!(panic_text(error)))),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        match &outcome {
            Ok(()) => tracing::debug!(part = name, "part ended"),
            Err(error) => tracing::error!(part = name, error = format!("{error:#}"), "part failed"),
        }
        outcome.with_context(|| format!("{name} failed"))
    }

    /// Aborts what is left. An error when anything was.
    async fn abort(mut self, drain: Duration) -> anyhow::Result<()> {
        let mut late: Vec<_> = self.names.values().copied().collect();
        if late.is_empty() {
            return Ok(());
        }
        late.sort_unstable();
        self.tasks.shutdown().await;
        let late = late.join(", ");
        tracing::error!(
            parts = late,
            drain_ms = drain.as_millis(),
            "parts did not stop in time and were aborted"
        );
        Err(anyhow!("{late} did not stop within {drain:?}"))
    }
}

fn panic_text(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "was aborted".to_owned() };
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&'static str>().copied())
        .unwrap_or("no message");
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests;
