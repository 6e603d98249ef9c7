//! The appends to one log within a commit.

use std::collections::HashMap;
use std::sync::Arc;

use super::queue::Request;
use crate::log::{Completion, Durability, Shared};
use crate::record::Record;

/// See the module's words.
pub(super) struct Group {
    pub(super) log: Arc<Shared>,
    pub(super) records: Vec<Record>,
    pub(super) waiting: Vec<(Durability, Completion)>,
}

/// Tells logs apart by where they are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LogKey(usize);

impl LogKey {
    pub(super) fn of(log: &Arc<Shared>) -> Self {
        Self(Arc::as_ptr(log).addr())
    }
}

impl Group {
    /// Whether one of its records is complete only when it is synced.
    pub(super) fn wants_sync(&self) -> bool {
        self.waiting.iter().any(|(durability, _)| *durability == Durability::Synced)
    }
}

/// The requests of each log together, in their order.
pub(super) fn grouped(requests: Vec<Request>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::new();
    for Request { log, record, durability, done } in requests {
        let place = *places.entry(LogKey::of(&log)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { log, records: Vec::new(), waiting: Vec::new() });
        }
        groups[place].records.push(record);
        groups[place].waiting.push((durability, done));
    }
    groups
}
