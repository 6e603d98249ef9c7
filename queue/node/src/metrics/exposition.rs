//! The topics' and channels' figures in Prometheus's text form.
//!
//! They are read from the topics when somebody asks, and not kept beside them: what was deleted is not shown any more,
//! and nodes that share a process do not share their figures.

use std::fmt::{self, Write};

use crate::latency::LatencyStats;
use crate::stats::{ChannelStats, Dropped, TopicStats};

/// A figure's name, what kind it is, what it says, and where it is found.
type Figure<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

const OF_TOPICS: &[Figure<TopicStats>] = &[
    ("published_total", "counter", "Messages published.", |topic| topic.message_count),
    ("published_bytes_total", "counter", "Bytes of messages published.", |topic| topic.message_bytes),
    ("topic_depth", "gauge", "Messages that no channel has yet.", |topic| topic.depth),
    ("topic_paused", "gauge", "Whether the topic is paused.", |topic| topic.paused.into()),
    ("topic_expired_total", "counter", "Messages too old before a channel had them.", |topic| topic.expired),
    ("topic_overflowed_total", "counter", "Messages too many before a channel had them.", |topic| {
        topic.overflowed
    }),
];

const OF_CHANNELS: &[Figure<ChannelStats>] = &[
    ("channel_depth", "gauge", "Messages that wait to be delivered.", |channel| channel.depth),
    ("channel_in_flight", "gauge", "Messages at consumers.", |channel| channel.in_flight_count as u64),
    ("channel_deferred", "gauge", "Messages that are put off.", |channel| channel.deferred_count as u64),
    ("channel_consumers", "gauge", "Consumers.", |channel| channel.client_count as u64),
    ("channel_paused", "gauge", "Whether the channel is paused.", |channel| channel.paused.into()),
    ("received_total", "counter", "Messages that became the channel's.", |channel| channel.message_count),
    ("finished_total", "counter", "Messages finished.", |channel| channel.finished),
    ("requeued_total", "counter", "Requeues.", |channel| channel.requeue_count),
    ("timed_out_total", "counter", "Messages in flight for too long.", |channel| channel.timeout_count),
];

/// All of them.
pub(crate) fn render(topics: &[TopicStats]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, topics);
    text
}

fn write_all(out: &mut String, topics: &[TopicStats]) -> fmt::Result {
    let labelled: Vec<_> =
        topics.iter().map(|topic| (format!("topic=\"{}\"", topic.topic_name), topic)).collect();
    let channels: Vec<_> = labelled
        .iter()
        .flat_map(|(label, topic)| topic.channels.iter().map(move |channel| (label, channel)))
        .map(|(label, channel)| (format!("{label},channel=\"{}\"", channel.channel_name), channel))
        .collect();
    for (name, kind, help, figure) in OF_TOPICS {
        write_head(out, name, kind, help)?;
        for (labels, topic) in &labelled {
            writeln!(out, "punctual_queue_{name}{{{labels}}} {}", figure(topic))?;
        }
    }
    for (name, kind, help, figure) in OF_CHANNELS {
        write_head(out, name, kind, help)?;
        for (labels, channel) in &channels {
            writeln!(out, "punctual_queue_{name}{{{labels}}} {}", figure(channel))?;
        }
    }
    write_head(out, "dropped_total", "counter", "Messages that left the channel without being finished.")?;
    for (labels, channel) in &channels {
        for (reason, count) in dropped(channel) {
            writeln!(out, "punctual_queue_dropped_total{{{labels},reason=\"{reason}\"}} {count}")?;
        }
    }
    let of_topics = labelled.iter().map(|(labels, topic)| (labels, topic.oldest_message_age_ms));
    write_ages(out, "topic_oldest_message_age_seconds", of_topics)?;
    let of_channels = channels.iter().map(|(labels, channel)| (labels, channel.oldest_message_age_ms));
    write_ages(out, "oldest_message_age_seconds", of_channels)?;
    let of_topics = labelled.iter().map(|(labels, topic)| (labels, &topic.e2e_processing_latency));
    write_latencies(out, "topic_end_to_end_seconds", of_topics)?;
    let of_channels = channels.iter().map(|(labels, channel)| (labels, &channel.e2e_processing_latency));
    write_latencies(out, "channel_end_to_end_seconds", of_channels)
}

fn dropped(channel: &ChannelStats) -> [(&'static str, u64); 6] {
    let Dropped { emptied, sampled, expired, overflowed, corrupt } = channel.dropped;
    [
        ("emptied", emptied),
        ("sampled", sampled),
        ("expired", expired),
        ("overflowed", overflowed),
        ("corrupt", corrupt),
        ("dead_lettered", channel.dead_letter_count),
    ]
}

/// Absent where it is not known.
fn write_ages<'a>(
    out: &mut String,
    name: &str,
    ages: impl Iterator<Item = (&'a String, Option<u64>)>,
) -> fmt::Result {
    write_head(out, name, "gauge", "Age of the oldest message that waits or is in flight.")?;
    for (labels, age_ms) in ages {
        if let Some(age_ms) = age_ms {
            writeln!(out, "punctual_queue_{name}{{{labels}}} {}", age_ms as f64 / 1000.0)?;
        }
    }
    Ok(())
}

/// These are of a window that moves on, so they are gauges rather than a summary.
fn write_latencies<'a>(
    out: &mut String,
    name: &str,
    latencies: impl Iterator<Item = (&'a String, &'a LatencyStats)>,
) -> fmt::Result {
    write_head(out, name, "gauge", "From the publication until it was finished, within the window.")?;
    for (labels, latency) in latencies {
        for percentile in latency.percentiles.iter().flatten() {
            let (quantile, seconds) = (percentile.quantile, percentile.value as f64 / 1e9);
            writeln!(out, "punctual_queue_{name}{{{labels},quantile=\"{quantile}\"}} {seconds}")?;
        }
    }
    Ok(())
}

fn write_head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP punctual_queue_{name} {help}\n# TYPE punctual_queue_{name} {kind}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::latency::Percentile;

    fn topic() -> TopicStats {
        let percentiles = Some(vec![Percentile { quantile: 0.99, value: 1_500_000_000 }]);
        let latency = LatencyStats { count: 1, percentiles };
        let channel = ChannelStats {
            depth: 1,
            in_flight_count: 2,
            deferred_count: 3,
            requeue_count: 4,
            timeout_count: 5,
            finished: 6,
            oldest_message_age_ms: Some(2500),
            e2e_processing_latency: latency.clone(),
            ..ChannelStats::named("c#ephemeral".parse().unwrap())
        };
        let topic = TopicStats::named("t".parse().unwrap());
        TopicStats { message_count: 7, channels: vec![channel], e2e_processing_latency: latency, ..topic }
    }

    #[test]
    fn topics_and_channels_are_labelled() {
        let text = render(&[topic()]);
        for line in [
            r#"punctual_queue_published_total{topic="t"} 7"#,
            r#"punctual_queue_channel_depth{topic="t",channel="c#ephemeral"} 1"#,
            r#"punctual_queue_channel_in_flight{topic="t",channel="c#ephemeral"} 2"#,
            r#"punctual_queue_channel_deferred{topic="t",channel="c#ephemeral"} 3"#,
            r#"punctual_queue_requeued_total{topic="t",channel="c#ephemeral"} 4"#,
            r#"punctual_queue_timed_out_total{topic="t",channel="c#ephemeral"} 5"#,
            r#"punctual_queue_finished_total{topic="t",channel="c#ephemeral"} 6"#,
            r#"punctual_queue_dropped_total{topic="t",channel="c#ephemeral",reason="expired"} 0"#,
            r#"punctual_queue_oldest_message_age_seconds{topic="t",channel="c#ephemeral"} 2.5"#,
            r#"punctual_queue_topic_end_to_end_seconds{topic="t",quantile="0.99"} 1.5"#,
            r#"punctual_queue_channel_end_to_end_seconds{topic="t",channel="c#ephemeral",quantile="0.99"} 1.5"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn figures_of_one_name_stand_together_after_their_head() {
        let text = render(&[topic(), TopicStats { topic_name: "u".parse().unwrap(), ..topic() }]);
        let mut seen = BTreeSet::new();
        let mut current = "";
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                current = head.split(' ').next().unwrap();
                assert!(seen.insert(current), "{current} comes twice");
            } else if !line.starts_with("# HELP") {
                assert_eq!(line.split('{').next(), Some(current), "{line}");
            }
        }
        assert_eq!(seen.len(), OF_TOPICS.len() + OF_CHANNELS.len() + 5);
    }
}
