//! What `/stats` shows.

use std::collections::HashMap;
use std::sync::Arc;

use punctual_queue_wire::name::{ChannelName, TopicName};
use serde::Serialize;

use crate::channel::{ConnectionId, Consumers, DeadLetters, Nearness};
use crate::latency::{Latencies, LatencyStats};
use crate::tcp::Shared;
use crate::topic::{ChannelHandle, Topic, TopicSettings};

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

/// The topics that `filter` asks for, in the order of their names; `None` for one that does not exist.
pub(crate) fn topics(shared: &Shared, filter: &StatsFilter) -> Option<Vec<TopicStats>> {
    let look = Look {
        filter,
        clients: if filter.without_clients { HashMap::new() } else { shared.clients.snapshot() },
        percentiles: shared.context.options.latency.percentiles(),
    };
    let all = shared.topics.all();
    let wanted = |topic: &&Arc<Topic>| filter.topic.as_ref().is_none_or(|name| name == topic.name.as_str());
    let mut shown: Vec<_> = all.iter().filter(wanted).map(|topic| look.at_topic(topic)).collect();
    if shown.is_empty() && filter.topic.is_some() {
        return None;
    }
    if filter.channel.is_some() {
        shown.retain(|topic| !topic.channels.is_empty());
    }
    Some(shown)
}

/// What it takes to look at a topic.
struct Look<'a> {
    filter: &'a StatsFilter,
    clients: HashMap<ConnectionId, ClientStats>,
    percentiles: Vec<f64>,
}

impl Look<'_> {
    fn at_topic(&self, topic: &Topic) -> TopicStats {
        let counts = topic.counts();
        let mut channels = Vec::new();
        let mut of_all: Option<Latencies> = None;
        let mut oldest_message_age_ms = topic.age_ms(counts.oldest);
        for channel in topic.channels() {
            let age_ms = topic.age_ms(channel.with(|channel, _| channel.oldest()));
            oldest_message_age_ms = oldest_message_age_ms.max(age_ms);
            let latencies = channel.latencies();
            if let Some(latencies) = &latencies {
                of_all.get_or_insert_default().merge(latencies);
            }
            if self.filter.channel.as_ref().is_none_or(|name| name == channel.name.as_str()) {
                channels.push(self.at_channel(&channel, age_ms, latencies.as_ref()));
            }
        }
        TopicStats {
            topic_name: topic.name.clone(),
            channels,
            depth: counts.depth,
            backend_depth: counts.depth,
            message_count: counts.message_count,
            message_bytes: counts.message_bytes,
            paused: counts.paused,
            e2e_processing_latency: self.latency(of_all.as_ref()),
            oldest_message_age_ms,
            settings: Some(counts.settings).filter(|settings| *settings != TopicSettings::default()),
            overflowed: counts.overflowed,
            expired: counts.expired,
        }
    }

    fn at_channel(
        &self,
        handle: &ChannelHandle,
        oldest_message_age_ms: Option<u64>,
        latencies: Option<&Latencies>,
    ) -> ChannelStats {
        handle.look(|channel| {
            let counts = channel.counts();
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
                client_count: channel.consumers().len(),
                clients: (!self.filter.without_clients).then(|| self.at_clients(channel.consumers())),
                paused: channel.is_paused(),
                e2e_processing_latency: self.latency(latencies),
                oldest_message_age_ms,
                dead_letter: channel.dead_letters().cloned(),
                dead_letter_count: counts.dead_lettered,
                finished: counts.finished,
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

    fn at_clients(&self, consumers: &Consumers) -> Vec<ClientStats> {
        let with_counts = consumers.iter().map(|(id, consumer)| ClientStats {
            ready_count: consumer.ready_count,
            in_flight_count: consumer.in_flight,
            message_count: consumer.message_count,
            finish_count: consumer.finish_count,
            requeue_count: consumer.requeue_count,
            ..self.clients.get(&id).cloned().unwrap_or_default()
        });
        let mut shown: Vec<_> = with_counts.collect();
        shown.sort_by(|a, b| a.remote_address.cmp(&b.remote_address));
        shown
    }

    fn latency(&self, latencies: Option<&Latencies>) -> LatencyStats {
        latencies.map(|latencies| latencies.summary(&self.percentiles)).unwrap_or_default()
    }
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
