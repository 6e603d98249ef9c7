//! What `/stats` shows.

mod look;

use punctual_queue_wire::name::{ChannelName, TopicName};
use serde::Serialize;

use crate::channel::DeadLetters;
use crate::latency::LatencyStats;
use crate::topic::TopicSettings;
pub(crate) use look::topics;

/// Which part of it is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatsFilter {
    pub(crate) topic: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) without_clients: bool,
}

/// One topic.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopicStats {
    pub(crate) topic_name: TopicName,
    pub(crate) channels: Vec<ChannelStats>,
    pub(crate) depth: u64,
    pub(crate) backend_depth: u64,
    pub(crate) message_count: u64,
    pub(crate) message_bytes: u64,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: LatencyStats,
    /// Extension: of the oldest message that waits or is in flight, here or in a channel; 0 when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_message_age_ms: Option<u64>,
    /// Extension: what was set for the topic alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<TopicSettings>,
    /// Messages that were too many before any channel had them; for `/metrics` only.
    #[serde(skip)]
    pub(crate) overflowed: u64,
    /// Messages that were too old before any channel had them; for `/metrics` only.
    #[serde(skip)]
    pub(crate) expired: u64,
}

/// One channel.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChannelStats {
    pub(crate) channel_name: ChannelName,
    pub(crate) depth: u64,
    pub(crate) backend_depth: u64,
    pub(crate) in_flight_count: usize,
    pub(crate) deferred_count: usize,
    pub(crate) message_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) zone_local_msg_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) region_local_msg_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) global_msg_count: u64,
    pub(crate) requeue_count: u64,
    pub(crate) timeout_count: u64,
    pub(crate) client_count: usize,
    pub(crate) clients: Option<Vec<ClientStats>>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: LatencyStats,
    /// Extension: of the oldest message that waits or is in flight; 0 when there is none, absent for a moment while it
    /// is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_message_age_ms: Option<u64>,
    /// Extension: which messages go where instead of being delivered once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<DeadLetters>,
    /// Extension: how many went there.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) dead_letter_count: u64,
    /// For `/metrics` only.
    #[serde(skip)]
    pub(crate) finished: u64,
    #[serde(skip)]
    pub(crate) dropped: Dropped,
}

/// Messages that left a channel without being finished, by reason.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dropped {
    pub(crate) emptied: u64,
    pub(crate) sampled: u64,
    pub(crate) expired: u64,
    pub(crate) overflowed: u64,
    pub(crate) corrupt: u64,
}

/// One connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ClientStats {
    pub(crate) client_id: String,
    pub(crate) hostname: String,
    pub(crate) version: &'static str,
    pub(crate) remote_address: String,
    pub(crate) state: u8,
    pub(crate) ready_count: u32,
    pub(crate) in_flight_count: u32,
    pub(crate) message_count: u64,
    pub(crate) finish_count: u64,
    pub(crate) requeue_count: u64,
    pub(crate) connect_ts: i64,
    pub(crate) sample_rate: u8,
    pub(crate) deflate: bool,
    pub(crate) snappy: bool,
    pub(crate) user_agent: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) authed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) auth_identity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) auth_identity_url: String,
    pub(crate) topology_zone: String,
    pub(crate) topology_region: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pub_counts: Vec<PublishCount>,
    pub(crate) tls: bool,
    pub(crate) tls_cipher_suite: String,
    pub(crate) tls_version: &'static str,
    pub(crate) tls_negotiated_protocol: &'static str,
    pub(crate) tls_negotiated_protocol_is_mutual: bool,
}

/// How many messages a connection published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublishCount {
    pub(crate) topic: TopicName,
    pub(crate) count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
impl TopicStats {
    /// One of which nothing else is known.
    pub(crate) fn named(topic_name: TopicName) -> Self {
        Self {
            topic_name,
            channels: Vec::new(),
            depth: 0,
            backend_depth: 0,
            message_count: 0,
            message_bytes: 0,
            paused: false,
            e2e_processing_latency: LatencyStats::default(),
            oldest_message_age_ms: None,
            settings: None,
            overflowed: 0,
            expired: 0,
        }
    }
}

#[cfg(test)]
impl ChannelStats {
    /// One of which nothing else is known.
    pub(crate) fn named(channel_name: ChannelName) -> Self {
        Self {
            channel_name,
            depth: 0,
            backend_depth: 0,
            in_flight_count: 0,
            deferred_count: 0,
            message_count: 0,
            zone_local_msg_count: 0,
            region_local_msg_count: 0,
            global_msg_count: 0,
            requeue_count: 0,
            timeout_count: 0,
            client_count: 0,
            clients: None,
            paused: false,
            e2e_processing_latency: LatencyStats::default(),
            oldest_message_age_ms: None,
            dead_letter: None,
            dead_letter_count: 0,
            finished: 0,
            dropped: Dropped::default(),
        }
    }
}
