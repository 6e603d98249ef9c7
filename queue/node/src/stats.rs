//! What `/stats` shows.

use std::collections::HashMap;

use punctual_queue_wire::name::{ChannelName, TopicName};
use serde::Serialize;

use crate::channel::ConnectionId;
use crate::tcp::Clients;
use crate::topic::Topic;
use crate::topics::Topics;

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
    pub(crate) e2e_processing_latency: Latency,
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
    pub(crate) requeue_count: u64,
    pub(crate) timeout_count: u64,
    pub(crate) client_count: usize,
    pub(crate) clients: Option<Vec<ClientStats>>,
    pub(crate) paused: bool,
    pub(crate) e2e_processing_latency: Latency,
    /// For `/metrics` only.
    #[serde(skip)]
    pub(crate) dropped: Dropped,
}

/// Messages that left a channel without being finished, by reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropped {
    pub(crate) emptied: u64,
    pub(crate) sampled: u64,
    pub(crate) expired: u64,
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

/// End-to-end latency, which is not measured.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Latency {
    count: u64,
    percentiles: Option<[u64; 0]>,
}

/// The topics that `filter` asks for, in the order of their names; `None` for one that does not exist.
pub(crate) fn topics(topics: &Topics, clients: &Clients, filter: &StatsFilter) -> Option<Vec<TopicStats>> {
    let known = clients.snapshot();
    let wanted =
        |topic: &&std::sync::Arc<Topic>| filter.topic.as_ref().is_none_or(|name| name == topic.name.as_str());
    let all = topics.all();
    let mut shown: Vec<_> =
        all.iter().filter(wanted).map(|topic| topic_stats(topic, &known, filter)).collect();
    if shown.is_empty() && filter.topic.is_some() {
        return None;
    }
    if filter.channel.is_some() {
        shown.retain(|topic| !topic.channels.is_empty());
    }
    Some(shown)
}

fn topic_stats(
    topic: &Topic,
    clients: &HashMap<ConnectionId, ClientStats>,
    filter: &StatsFilter,
) -> TopicStats {
    let counts = topic.counts();
    let channels = topic.channels().into_iter();
    let wanted =
        channels.filter(|channel| filter.channel.as_ref().is_none_or(|name| name == channel.name.as_str()));
    TopicStats {
        topic_name: topic.name.clone(),
        channels: wanted.map(|channel| channel_stats(&channel, clients, filter)).collect(),
        depth: counts.depth,
        backend_depth: counts.depth,
        message_count: counts.message_count,
        message_bytes: counts.message_bytes,
        paused: counts.paused,
        e2e_processing_latency: Latency::default(),
        expired: counts.expired,
    }
}

fn channel_stats(
    handle: &crate::topic::ChannelHandle,
    clients: &HashMap<ConnectionId, ClientStats>,
    filter: &StatsFilter,
) -> ChannelStats {
    handle.look(|channel| {
        let counts = channel.counts();
        let consumers = channel.consumers();
        let shown = (!filter.without_clients).then(|| {
            let with_counts = consumers.iter().map(|(id, consumer)| ClientStats {
                ready_count: consumer.ready_count,
                in_flight_count: consumer.in_flight,
                message_count: consumer.message_count,
                finish_count: consumer.finish_count,
                requeue_count: consumer.requeue_count,
                ..clients.get(&id).cloned().unwrap_or_default()
            });
            let mut shown: Vec<_> = with_counts.collect();
            shown.sort_by(|a, b| a.remote_address.cmp(&b.remote_address));
            shown
        });
        ChannelStats {
            channel_name: handle.name.clone(),
            depth: channel.depth(),
            backend_depth: channel.depth(),
            in_flight_count: channel.in_flight_count(),
            deferred_count: channel.deferred_count(),
            message_count: counts.published,
            requeue_count: counts.requeued,
            timeout_count: counts.timed_out,
            client_count: consumers.len(),
            clients: shown,
            paused: channel.is_paused(),
            e2e_processing_latency: Latency::default(),
            dropped: Dropped {
                emptied: counts.emptied,
                sampled: counts.sampled_out,
                expired: counts.expired,
                corrupt: counts.corrupt,
            },
        }
    })
}
