//! Who is connected, for statistics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use punctual_queue_wire::name::TopicName;

use crate::channel::ConnectionId;
use crate::stats::{ClientStats, PublishCount};

/// All connections of the TCP interface.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    next: AtomicU64,
    by_id: Mutex<HashMap<ConnectionId, ClientStats>>,
}

impl Clients {
    pub(crate) fn add(&self, stats: ClientStats) -> ConnectionId {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        self.by_id.lock().insert(id, stats);
        id
    }

    pub(crate) fn update(&self, id: ConnectionId, change: impl FnOnce(&mut ClientStats)) {
        if let Some(stats) = self.by_id.lock().get_mut(&id) {
            change(stats);
        }
    }

    pub(crate) fn published(&self, id: ConnectionId, topic: &TopicName, count: u64) {
        self.update(id, |stats| match stats.pub_counts.iter_mut().find(|counted| counted.topic == *topic) {
            Some(counted) => counted.count += count,
            None => stats.pub_counts.push(PublishCount { topic: topic.clone(), count }),
        });
    }

    pub(crate) fn remove(&self, id: ConnectionId) {
        self.by_id.lock().remove(&id);
    }

    pub(crate) fn snapshot(&self) -> HashMap<ConnectionId, ClientStats> {
        self.by_id.lock().clone()
    }

    /// Those that have published, in the order of their addresses.
    pub(crate) fn producers(&self) -> Vec<ClientStats> {
        let mut producers: Vec<_> =
            self.by_id.lock().values().filter(|client| !client.pub_counts.is_empty()).cloned().collect();
        producers.sort_by(|a, b| a.remote_address.cmp(&b.remote_address));
        producers
    }
}
