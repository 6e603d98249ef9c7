//! Whether the node could write what it was last asked to.

use parking_lot::Mutex;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::position::Position;

/// The disk's state, as `/ping` and `/stats` tell it.
#[derive(Debug, Default)]
pub(crate) struct DiskHealth {
    problem: Mutex<Option<String>>,
}

impl DiskHealth {
    /// Notes how a write ended. A success takes back an earlier failure.
    pub(crate) fn wrote(&self, result: &Result<Position, AppendError>) {
        let mut problem = self.problem.lock();
        match result {
            Ok(_) if problem.is_none() => {}
            Ok(_) => {
                *problem = None;
                tracing::info!("the disk takes writes again");
            }
            Err(e) => {
                let text = reason(e);
                if problem.is_none() {
                    tracing::error!(error = text, "the disk refuses writes; publishes fail");
                }
                *problem = Some(text);
            }
        }
    }

    /// Why writes fail at the moment.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }
}

/// The error with its cause, for people.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
