//! What is told to a statsd, line by line, under nsqd's names.

use std::fmt::Display;

use crate::latency::LatencyStats;
use crate::memory::MemoryStats;
use crate::stats::{ChannelStats, TopicStats};

/// The node's statistics at one moment.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) topics: Vec<TopicStats>,
    /// `None` when nobody wants to know.
    pub(super) memory: Option<MemoryStats>,
}

impl Snapshot {
    /// Leaves out ephemeral topics and channels.
    pub(super) fn without_ephemeral(mut self) -> Self {
        self.topics.retain(|topic| !topic.topic_name.is_ephemeral());
        for topic in &mut self.topics {
            topic.channels.retain(|channel| !channel.channel_name.is_ephemeral());
        }
        self
    }

    /// What to tell of this moment: gauges as they are, counters as what came since `before`. Each line has its end.
    pub(super) fn lines(&self, before: &Self, prefix: &str) -> Vec<String> {
        let mut lines = Lines { prefix, lines: Vec::new() };
        for topic in &self.topics {
            let before = before.topics.iter().find(|before| before.topic_name == topic.topic_name);
            lines.topic(topic, before);
        }
        if let Some(memory) = &self.memory {
            for (name, value) in memory.gauges() {
                lines.gauge("mem", name, value);
            }
            let before = before.memory.unwrap_or_default().gc_total_runs();
            lines.counter("mem", "gc_runs", memory.gc_total_runs(), before);
        }
        lines.lines
    }
}

struct Lines<'a> {
    prefix: &'a str,
    lines: Vec<String>,
}

impl Lines<'_> {
    fn topic(&mut self, topic: &TopicStats, before: Option<&TopicStats>) {
        let of = format!("topic.{}", topic.topic_name);
        let was = |figure: fn(&TopicStats) -> u64| before.map_or(0, figure);
        self.counter(&of, "message_count", topic.message_count, was(|topic| topic.message_count));
        self.counter(&of, "message_bytes", topic.message_bytes, was(|topic| topic.message_bytes));
        self.gauge(&of, "depth", topic.depth);
        self.gauge(&of, "backend_depth", topic.backend_depth);
        self.latency(&of, &topic.e2e_processing_latency);
        for channel in &topic.channels {
            let known = before.into_iter().flat_map(|topic| &topic.channels);
            let before = known.into_iter().find(|before| before.channel_name == channel.channel_name);
            self.channel(&format!("{of}.channel.{}", channel.channel_name), channel, before);
        }
    }

    fn channel(&mut self, of: &str, channel: &ChannelStats, before: Option<&ChannelStats>) {
        let was = |figure: fn(&ChannelStats) -> u64| before.map_or(0, figure);
        self.counter(of, "message_count", channel.message_count, was(|channel| channel.message_count));
        self.gauge(of, "depth", channel.depth);
        self.gauge(of, "backend_depth", channel.backend_depth);
        self.gauge(of, "in_flight_count", channel.in_flight_count);
        self.gauge(of, "deferred_count", channel.deferred_count);
        self.counter(of, "requeue_count", channel.requeue_count, was(|channel| channel.requeue_count));
        self.counter(of, "timeout_count", channel.timeout_count, was(|channel| channel.timeout_count));
        self.gauge(of, "clients", channel.client_count);
        self.latency(of, &channel.e2e_processing_latency);
    }

    fn latency(&mut self, of: &str, latency: &LatencyStats) {
        for percentile in latency.percentiles.iter().flatten() {
            let name = format!("e2e_processing_latency_{:.0}", percentile.quantile * 100.0);
            self.gauge(of, &name, percentile.value);
        }
    }

    fn gauge(&mut self, of: &str, name: &str, value: impl Display) {
        self.lines.push(format!("{}{of}.{name}:{value}|g\n", self.prefix));
    }

    /// One that is lower than before began anew, with a topic or channel that was deleted and made again.
    fn counter(&mut self, of: &str, name: &str, now: u64, before: u64) {
        let value = now.checked_sub(before).unwrap_or(now);
        self.lines.push(format!("{}{of}.{name}:{value}|c\n", self.prefix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Percentile;

    fn channel(name: &str, message_count: u64) -> ChannelStats {
        ChannelStats { message_count, ..ChannelStats::named(name.parse().unwrap()) }
    }

    fn topic(name: &str, message_count: u64, channels: Vec<ChannelStats>) -> TopicStats {
        let message_bytes = message_count * 10;
        TopicStats { message_count, message_bytes, channels, ..TopicStats::named(name.parse().unwrap()) }
    }

    fn at(topics: Vec<TopicStats>) -> Snapshot {
        Snapshot { topics, memory: None }
    }

    #[track_caller]
    fn check(now: &Snapshot, before: &Snapshot, expect: &[&str]) {
        let lines = now.lines(before, "nsq.here_4151.");
        let expect: Vec<_> = expect.iter().map(|line| format!("nsq.here_4151.{line}\n")).collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn everything_has_nsqds_name_and_kind() {
        let latency = LatencyStats {
            count: 3,
            percentiles: Some(vec![
                Percentile { quantile: 0.99, value: 2_000_000 },
                Percentile { quantile: 0.5, value: 1 },
            ]),
        };
        let mut channel = ChannelStats {
            depth: 1,
            backend_depth: 2,
            in_flight_count: 3,
            deferred_count: 4,
            requeue_count: 5,
            timeout_count: 6,
            client_count: 7,
            ..channel("c", 8)
        };
        channel.e2e_processing_latency = latency.clone();
        let mut topic = TopicStats { depth: 9, backend_depth: 10, ..topic("t", 11, vec![channel]) };
        topic.e2e_processing_latency = latency;
        let now = Snapshot { topics: vec![topic], memory: Some(MemoryStats::default()) };
        check(
            &now,
            &Snapshot::default(),
            &[
                "topic.t.message_count:11|c",
                "topic.t.message_bytes:110|c",
                "topic.t.depth:9|g",
                "topic.t.backend_depth:10|g",
                "topic.t.e2e_processing_latency_99:2000000|g",
                "topic.t.e2e_processing_latency_50:1|g",
                "topic.t.channel.c.message_count:8|c",
                "topic.t.channel.c.depth:1|g",
                "topic.t.channel.c.backend_depth:2|g",
                "topic.t.channel.c.in_flight_count:3|g",
                "topic.t.channel.c.deferred_count:4|g",
                "topic.t.channel.c.requeue_count:5|c",
                "topic.t.channel.c.timeout_count:6|c",
                "topic.t.channel.c.clients:7|g",
                "topic.t.channel.c.e2e_processing_latency_99:2000000|g",
                "topic.t.channel.c.e2e_processing_latency_50:1|g",
                "mem.heap_objects:0|g",
                "mem.heap_idle_bytes:0|g",
                "mem.heap_in_use_bytes:0|g",
                "mem.heap_released_bytes:0|g",
                "mem.gc_pause_usec_100:0|g",
                "mem.gc_pause_usec_99:0|g",
                "mem.gc_pause_usec_95:0|g",
                "mem.next_gc_bytes:0|g",
                "mem.gc_runs:0|c",
            ],
        );
    }

    /// The counters, without what they have in common.
    fn counters(now: &Snapshot, before: &Snapshot) -> Vec<String> {
        let lines = now.lines(before, "");
        let counters = lines.iter().filter(|line| line.contains("message_count"));
        counters.map(|line| line.replace(".message_count", "").trim_end().to_owned()).collect()
    }

    #[test]
    fn counters_are_what_came_since() {
        let before = at(vec![topic("gone", 5, vec![]), topic("remade", 9, vec![channel("c", 9)])]);
        let now = at(vec![
            topic("new", 3, vec![channel("c", 2)]),
            topic("remade", 4, vec![channel("c", 10), channel("d", 1)]),
        ]);
        let since = ["topic.new:3|c", "topic.new.channel.c:2|c", "topic.remade:4|c"];
        let since = [&since[..], &["topic.remade.channel.c:1|c", "topic.remade.channel.d:1|c"]].concat();
        assert_eq!(counters(&now, &before), since);
        assert_eq!(counters(&now, &now).iter().filter(|line| line.ends_with(":0|c")).count(), 5);
    }

    #[test]
    fn ephemeral_topics_and_channels_keep_their_names_or_are_left_out() {
        let now =
            || at(vec![topic("t", 1, vec![channel("c#ephemeral", 1)]), topic("u#ephemeral", 1, vec![])]);
        let nothing = Snapshot::default();
        let all = ["topic.t:1|c", "topic.t.channel.c#ephemeral:1|c", "topic.u#ephemeral:1|c"];
        assert_eq!(counters(&now(), &nothing), all);
        assert_eq!(counters(&now().without_ephemeral(), &nothing), ["topic.t:1|c"]);
    }
}
