//! What `/stats` shows.

use std::collections::HashMap;

use punctual_queue_wire::name::{ChannelName, TopicName};
use serde::Serialize;

use crate::channel::{ConnectionId, DeadLetters, Nearness};
use crate::tcp::Clients;
use crate::topic::{Topic, TopicSettings};
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
    pub(crate) e2e_processing_latency: Latency,
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
    pub(crate) dropped: Dropped,
}

/// Messages that left a channel without being finished, by reason.
#[derive(Debug, Clone, Copy)]
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
    pub(crate) topology_zone: String,
    pub(crate) topology_region: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pub_counts: Vec<PublishCount>,
    pub(crate) tls: bool,
    pub(crate) tls_cipher_suite: &'static str,
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
    let all = topic.channels();
    let ages = all.iter().map(|channel| topic.age_ms(channel.with(|channel, _| channel.oldest())));
    let oldest_message_age_ms = ages.chain([topic.age_ms(counts.oldest)]).flatten().max();
    TopicStats {
        topic_name: topic.name.clone(),
        channels: wanted.map(|channel| channel_stats(topic, &channel, clients, filter)).collect(),
        depth: counts.depth,
        backend_depth: counts.depth,
        message_count: counts.message_count,
        message_bytes: counts.message_bytes,
        paused: counts.paused,
        e2e_processing_latency: Latency::default(),
        oldest_message_age_ms,
        settings: Some(counts.settings).filter(|settings| *settings != TopicSettings::default()),
        overflowed: counts.overflowed,
        expired: counts.expired,
    }
}

fn channel_stats(
    topic: &Topic,
    handle: &crate::topic::ChannelHandle,
    clients: &HashMap<ConnectionId, ClientStats>,
    filter: &StatsFilter,
) -> ChannelStats {
    let oldest = handle.with(|channel, _| channel.oldest());
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
            zone_local_msg_count: counts.delivered[Nearness::Zone as usize],
            region_local_msg_count: counts.delivered[Nearness::Region as usize],
            global_msg_count: counts.delivered[Nearness::Elsewhere as usize],
            requeue_count: counts.requeued,
            timeout_count: counts.timed_out,
            client_count: consumers.len(),
            clients: shown,
            paused: channel.is_paused(),
            e2e_processing_latency: Latency::default(),
            oldest_message_age_ms: topic.age_ms(oldest),
            dead_letter: channel.dead_letters().cloned(),
            dead_letter_count: counts.dead_lettered,
            dropped: Dropped {
                emptied: counts.emptied,
                sampled: counts.sampled_out,
                expired: counts.expired,
                overflowed: counts.overflowed,
                corrupt: counts.corrupt,
            },
        }
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
