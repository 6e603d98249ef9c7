//! What the node counts for `/metrics`.

pub(crate) mod exposition;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use punctual_queue_log::committer::Commit;

/// Counters that are touched often, looked up once.
#[derive(Clone)]
pub(crate) struct NodeMetrics {
    sync_seconds: Histogram,
    commit_records: Histogram,
    commit_bytes: Counter,
    corrupt: Counter,
    connections: metrics::Gauge,
}

impl NodeMetrics {
    pub(crate) fn new() -> Self {
        Self {
            sync_seconds: histogram!("punctual_queue_sync_seconds"),
            commit_records: histogram!("punctual_queue_commit_records"),
            commit_bytes: counter!("punctual_queue_written_bytes_total"),
            corrupt: counter!("punctual_queue_corrupt_records_total"),
            connections: gauge!("punctual_queue_connections"),
        }
    }

    pub(crate) fn committed(&self, commit: &Commit) {
        self.commit_records.record(commit.records as f64);
        self.commit_bytes.increment(commit.bytes as u64);
        if commit.synced_logs + commit.journaled_logs > 0 {
            self.sync_seconds.record(commit.sync);
        }
    }

    pub(crate) fn corrupt_records(&self, count: u64) {
        self.corrupt.increment(count);
    }

    pub(crate) fn connected(&self) {
        self.connections.increment(1);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.decrement(1);
    }
}

impl std::fmt::Debug for NodeMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeMetrics")
    }
}
