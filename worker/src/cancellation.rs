//! Telling a handler to stop, and why.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a handler should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// Somebody asked for the run to be cancelled.
    Requested,
    /// The attempt used up its `start_to_close`.
    TimedOut,
    /// The attempt is no longer this worker's: another one may start any moment. Nothing will be reported.
    LeaseLost,
    /// This worker is shutting down and has waited long enough. The run will be started again elsewhere.
    Shutdown,
}

/// The one switch that the worker holds for an attempt and its handler watches. Clones share it.
///
/// It has two steps: `stop` asks the handler to end within its grace, `kill` says that the grace is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation {
    reason: Arc<OnceLock<CancelReason>>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Cancellation {
    /// Asks the handler to stop. The first reason stays; the loss of the lease leaves no grace, whatever was asked
    /// before.
    pub(crate) fn cancel(&self, reason: CancelReason) {
        // An error says that a reason is there already, which then is the one that counts.
        let _first_stays = self.reason.set(reason);
        self.stop.cancel();
        if reason == CancelReason::LeaseLost {
            self.kill.cancel();
        }
    }

    /// Ends the grace.
    pub(crate) fn kill(&self) {
        self.kill.cancel();
    }

    /// Why the handler should stop; `None` while it need not.
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        self.reason.get().copied()
    }

    /// Cancelled when the handler should stop.
    pub(crate) fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Cancelled when the handler's grace is over.
    pub(crate) fn kill_token(&self) -> &CancellationToken {
        &self.kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_only_a_lost_lease_leaves_no_grace() {
        let cancellation = Cancellation::default();
        assert_eq!(cancellation.reason(), None);
        cancellation.cancel(CancelReason::Requested);
        cancellation.cancel(CancelReason::Shutdown);
        assert_eq!(cancellation.reason(), Some(CancelReason::Requested));
        assert!(cancellation.stop_token().is_cancelled() && !cancellation.kill_token().is_cancelled());

        cancellation.cancel(CancelReason::LeaseLost);
        assert_eq!(cancellation.reason(), Some(CancelReason::Requested));
        assert!(cancellation.kill_token().is_cancelled());
    }
}
