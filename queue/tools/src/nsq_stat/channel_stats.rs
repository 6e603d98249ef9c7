use std::ops::AddAssign;

use serde::Deserialize;

/// The part of a node's `/stats` that is shown.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StatsAnswer {
    #[serde(default)]
    topics: Option<Vec<TopicStats>>,
}

#[derive(Debug, Deserialize)]
struct TopicStats {
    topic_name: String,
    #[serde(default)]
    channels: Option<Vec<NamedStats>>,
}

#[derive(Debug, Deserialize)]
struct NamedStats {
    channel_name: String,
    #[serde(flatten)]
    stats: ChannelStats,
}

/// A channel, at one node or several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ChannelStats {
    pub(super) depth: i64,
    #[serde(default)]
    pub(super) backend_depth: i64,
    pub(super) in_flight_count: i64,
    pub(super) deferred_count: i64,
    pub(super) message_count: i64,
    pub(super) requeue_count: i64,
    pub(super) timeout_count: i64,
    #[serde(default)]
    pub(super) client_count: i64,
}

impl StatsAnswer {
    /// What it says about a channel.
    pub(super) fn channel(self, topic: &str, channel: &str) -> Option<ChannelStats> {
        let topic = self.topics?.into_iter().find(|stats| stats.topic_name == topic)?;
        let channel = topic.channels?.into_iter().find(|stats| stats.channel_name == channel)?;
        Some(channel.stats)
    }
}

impl AddAssign for ChannelStats {
    fn add_assign(&mut self, other: Self) {
        self.depth += other.depth;
        self.backend_depth += other.backend_depth;
        self.in_flight_count += other.in_flight_count;
        self.deferred_count += other.deferred_count;
        self.message_count += other.message_count;
        self.requeue_count += other.requeue_count;
        self.timeout_count += other.timeout_count;
        self.client_count += other.client_count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<ChannelStats> {
        serde_json::from_str::<StatsAnswer>(text).unwrap().channel("t", "c")
    }

    #[test]
    fn a_channel_is_found_in_an_answer_or_not() {
        let channel = r#"{"channel_name":"c","depth":7,"backend_depth":2,"in_flight_count":3,"deferred_count":1,
            "message_count":90,"requeue_count":4,"timeout_count":5,"client_count":6,"clients":null}"#;
        let found = read(&format!(r#"{{"topics":[{{"topic_name":"t","channels":[{channel}]}}]}}"#)).unwrap();
        assert_eq!((found.depth, found.message_count, found.client_count), (7, 90, 6));
        assert_eq!(read(r#"{"topics":null}"#), None);
        assert_eq!(read(r#"{"topics":[{"topic_name":"t","channels":[]}]}"#), None);
        assert_eq!(read(&format!(r#"{{"topics":[{{"topic_name":"x","channels":[{channel}]}}]}}"#)), None);
    }
}
