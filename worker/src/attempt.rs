//! Executing one attempt: the handler, its time limit, its grace, and what its end means.

mod verdict;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

pub(crate) use verdict::Verdict;

use crate::cancellation::CancelReason;
use crate::context::Context;
use crate::handler::Returned;

/// The longest grace on shutdown: the process that stops this worker does not wait for ever.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a handler may still take once its grace is over and it was told so: time for the runner to collect the
/// output of a process it has killed.
pub(crate) const KILL_MARGIN: Duration = Duration::from_millis(500);

/// How a handler's future ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Returned(Returned),
    Panicked(String),
    /// It did not end within its grace.
    Dropped,
}

/// Runs `work`, which must belong to `context`, to its end: until it returns, or panics, or has been asked to stop
/// and is out of grace. `cancel_grace` is the job's.
///
/// Dropping the future drops the work.
pub(crate) async fn execute<W>(work: W, context: &Context, cancel_grace: Duration) -> Verdict
where
    W: Future<Output = Returned>,
{
    let cancellation = context.cancellation();
    let work = AssertUnwindSafe(work).catch_unwind();
    tokio::pin!(work);

    let ended = tokio::select! {
        biased; // an end is an end, even at the last moment
        ended = work.as_mut() => Some(ended),
        () = cancellation.stop_token().cancelled() => None,
        () = tokio::time::sleep_until(context.deadline()) => {
            cancellation.cancel(CancelReason::TimedOut);
            None
        }
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => tokio::select! {
            biased;
            ended = work.as_mut() => Some(ended),
            () = cancellation.kill_token().cancelled() => None,
            () = tokio::time::sleep(grace(context.cancel_reason(), cancel_grace)) => None,
        },
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => {
            cancellation.kill();
            tokio::time::timeout(KILL_MARGIN, work.as_mut()).await.ok()
        }
    };
    let ended = match ended {
        Some(Ok(returned)) => Ended::Returned(returned),
        Some(Err(panic)) => Ended::Panicked(panic_text(&*panic)),
        None => Ended::Dropped,
    };
    Verdict::of(context.cancel_reason(), ended)
}

fn grace(reason: Option<CancelReason>, cancel_grace: Duration) -> Duration {
    match reason {
        Some(CancelReason::LeaseLost) => Duration::ZERO,
        Some(CancelReason::Shutdown) => cancel_grace.min(SHUTDOWN_GRACE),
        Some(CancelReason::Requested | CancelReason::TimedOut) | None => cancel_grace,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests;
