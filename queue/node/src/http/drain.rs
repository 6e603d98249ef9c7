//! `/drain` and `/undrain`. NSQ has nothing like them.

use serde_json::{Value, json};

use super::Served;
use super::answer::Answer;
use crate::drain::Left;

impl Served {
    /// Begins or ends draining; answers with what is left. Doing it twice changes nothing.
    pub(super) fn set_draining(&self, on: bool) -> Answer {
        let context = &self.shared.context;
        if context.drain.is_on() != on {
            tracing::info!(draining = on, "drain mode was changed over HTTP");
        }
        context.drain.set(on);
        context.topology_changed(); // which topics lookups are to list is another matter now
        Answer::Json(json!({ "draining": on, "left": Left::of(&self.shared.topics) }))
    }

    /// What `/stats` and `/info` say of it, if the node drains.
    pub(super) fn draining(&self) -> Option<Value> {
        let is_on = self.shared.context.drain.is_on();
        is_on.then(|| {
            let left = Left::of(&self.shared.topics);
            json!({ "left": left, "done": left.is_nothing() })
        })
    }
}
