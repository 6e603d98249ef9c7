//! What waits for the committer's thread.

use std::sync::Arc;

use crate::error::AppendError;
use crate::log::{Completion, Durability, Shared};
use crate::record::Record;
use crate::sync::{Condvar, Instant, Mutex};

/// One append on its way.
pub(crate) struct Request {
    pub(crate) log: Arc<Shared>,
    pub(crate) record: Record,
    pub(crate) durability: Durability,
    pub(crate) done: Completion,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    more: Condvar,
}

#[derive(Default)]
struct QueueState {
    requests: Vec<Request>,
    /// Why nothing is accepted any more.
    refuses: Option<AppendError>,
}

impl Queue {
    pub(crate) fn push(&self, request: Request) {
        let mut state = self.state.lock();
        let refusal = match &state.refuses {
            Some(refusal) => refusal.clone(),
            None if request.log.is_closed() => AppendError::Stopped,
            None => {
                state.requests.push(request);
                if state.requests.len() == 1 {
                    self.more.notify_one();
                }
                return;
            }
        };
        drop(state);
        (request.done)(Err(refusal));
    }

    /// The first reason stays.
    pub(crate) fn refuse(&self, reason: AppendError) -> Vec<Request> {
        let mut state = self.state.lock();
        let failed = matches!(reason, AppendError::SyncFailed);
        state.refuses.get_or_insert(reason);
        self.more.notify_one();
        if failed { std::mem::take(&mut state.requests) } else { Vec::new() }
    }

    /// All that waits, as soon as there is some; empty at `deadline`; `None` when there will be no more.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Option<Vec<Request>> {
        let mut state = self.state.lock();
        while state.requests.is_empty() {
            if state.refuses.is_some() {
                return None;
            }
            match deadline {
                Some(deadline) if self.more.wait_until(&mut state, deadline).timed_out() => break,
                Some(_) => {}
                None => self.more.wait(&mut state),
            }
        }
        Some(std::mem::take(&mut state.requests))
    }
}

impl std::fmt::Debug for QueueState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueState")
            .field("requests", &self.requests.len())
            .field("refuses", &self.refuses)
            .finish()
    }
}
