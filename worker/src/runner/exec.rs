//! The kind `exec`: starts a program, watches it, and kills all of it when it must stop.

mod allowed;
mod output;
mod process;
mod spawner;
mod task;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;
use serde_json::json;

pub(super) use allowed::AllowedPrograms;

use crate::context::Context;
use crate::handler::{HandlerError, Output};
use output::Captured;
use process::Process;
use spawner::Spawner;
use task::ExecTask;

/// How long output is still read after the program and its group are gone: a process that left the group may hold
/// the pipes for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(250);

/// Starts the programs that it is allowed to start.
#[derive(Debug)]
pub(super) struct Exec {
    allowed: Arc<AllowedPrograms>,
    spawner: Spawner,
}

impl Exec {
    /// Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(allowed: AllowedPrograms) -> io::Result<Self> {
        Ok(Self { allowed: Arc::new(allowed), spawner: Spawner::start()? })
    }

    pub(super) fn into_handler(
        self,
    ) -> impl Fn(Context) -> BoxFuture<'static, Result<Output, HandlerError>> + Send + Sync + 'static {
        let exec = Arc::new(self);
        move |context| {
            let exec = Arc::clone(&exec);
            Box::pin(async move { exec.handle(&context).await })
        }
    }

    async fn handle(&self, context: &Context) -> Result<Output, HandlerError> {
        let task = ExecTask::of(context)?;
        let allowed = Arc::clone(&self.allowed);
        let context_of_command = context.clone();
        let spawned = self.spawner.spawn(move || task.command(&allowed, &context_of_command)).await?;
        let (status, captured) = watch(spawned, context).await?;
        judge(status, &captured)
    }
}

/// Sees a process to its end, or brings it about when the attempt must stop: first politely, once the grace is over
/// for good.
async fn watch(mut process: Process, context: &Context) -> Result<(ExitStatus, Captured), HandlerError> {
    let mut captured = Captured::default();
    let output = process.take_output();
    let stop = context.cancellation().stop_token();
    let kill = context.cancellation().kill_token();
    let status = {
        let mut pump = pin!(captured.fill_from(output));
        let (mut pumped, mut stopped, mut killed) = (false, false, false);
        loop {
            tokio::select! {
                () = &mut pump, if !pumped => pumped = true,
                () = process.exited() => break,
                () = kill.cancelled(), if !killed => {
                    killed = true;
                    process.signal_group(Signal::KILL);
                }
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    process.signal_group(Signal::TERM);
                }
            }
        }
        let status = process.reap().await;
        if !pumped {
            // What is in the pipes is there at once; an error says that somebody keeps them open.
            let _held_open = tokio::time::timeout(LAST_OUTPUT, pump).await;
        }
        status
    };
    let status = status.map_err(|error| {
        HandlerError::new(format!("could not learn how the program ended: {error}")).tail(captured.tail())
    })?;
    Ok((status, captured))
}

fn judge(status: ExitStatus, captured: &Captured) -> Result<Output, HandlerError> {
    if status.success() {
        let result = json!({ "exit_code": 0, "output_bytes": captured.total_bytes() });
        return Ok(Output::from(result).tail(captured.tail()));
    }
    let kind = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit_{code}"),
        (None, Some(signal)) => format!("signal_{signal}"),
        (None, None) => "exit_unknown".to_owned(),
    };
    // Reads `exit status: 3` or `signal: 9 (SIGKILL)`.
    Err(HandlerError::new(status.to_string()).kind(kind).tail(captured.tail()))
}

#[cfg(test)]
mod tests;
