//! Looking at topics and channels for whoever shows their figures.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ChannelStats, ClientStats, Dropped, StatsFilter, TopicStats};
use crate::channel::{ConnectionId, Consumers, Nearness};
use crate::latency::{Latencies, LatencyStats};
use crate::tcp::Shared;
use crate::topic::{ChannelHandle, Topic, TopicSettings};

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
