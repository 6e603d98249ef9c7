//! What the node counts for `/metrics`.

use metrics::{Counter, Histogram, counter, gauge, histogram};
use punctual_queue_log::committer::Commit;

use crate::stats::TopicStats;

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

/// Brings what is measured by looking up to date.
pub(crate) fn refresh(topics: &[TopicStats]) {
    for topic in topics {
        let name = topic.topic_name.to_string();
        counter!("punctual_queue_published_total", "topic" => name.clone()).absolute(topic.message_count);
        gauge!("punctual_queue_topic_depth", "topic" => name.clone()).set(topic.depth as f64);
        if let Some(age) = topic.oldest_message_age_ms {
            gauge!("punctual_queue_topic_oldest_message_age_seconds", "topic" => name.clone())
                .set(age as f64 / 1000.0);
        }
        counter!("punctual_queue_topic_overflowed_total", "topic" => name.clone()).absolute(topic.overflowed);
        counter!("punctual_queue_topic_expired_total", "topic" => name.clone()).absolute(topic.expired);
        for channel in &topic.channels {
            let labels = [("topic", name.clone()), ("channel", channel.channel_name.to_string())];
            gauge!("punctual_queue_channel_depth", &labels).set(channel.depth as f64);
            gauge!("punctual_queue_channel_in_flight", &labels).set(channel.in_flight_count as f64);
            gauge!("punctual_queue_channel_deferred", &labels).set(channel.deferred_count as f64);
            gauge!("punctual_queue_channel_consumers", &labels).set(channel.client_count as f64);
            if let Some(age) = channel.oldest_message_age_ms {
                gauge!("punctual_queue_oldest_message_age_seconds", &labels).set(age as f64 / 1000.0);
            }
            counter!("punctual_queue_requeued_total", &labels).absolute(channel.requeue_count);
            counter!("punctual_queue_timed_out_total", &labels).absolute(channel.timeout_count);
            let dropped = channel.dropped;
            for (reason, count) in [
                ("emptied", dropped.emptied),
                ("sampled", dropped.sampled),
                ("expired", dropped.expired),
                ("overflowed", dropped.overflowed),
                ("corrupt", dropped.corrupt),
                ("dead_lettered", channel.dead_letter_count),
            ] {
                let [topic, channel] = labels.clone();
                counter!("punctual_queue_dropped_total", &[topic, channel, ("reason", reason.to_owned())])
                    .absolute(count);
            }
        }
    }
}
