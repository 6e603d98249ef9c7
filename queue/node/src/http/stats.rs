//! `/stats`, for programs and for people.

use std::fmt::Write;

use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::identify::NSQ_VERSION;
use serde_json::json;

use super::Served;
use super::answer::Answer;
use crate::stats::{self, ClientStats, StatsFilter, TopicStats};

impl Served {
    pub(super) fn topics(&self, filter: &StatsFilter) -> Option<Vec<TopicStats>> {
        stats::topics(&self.shared.topics, &self.shared.clients, filter)
    }

    pub(super) fn stats(&self, query: &Query) -> Result<Answer, HttpError> {
        let given = |name| query.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let flag = |name| !matches!(query.get(name), Some("false" | "0"));
        let filter = StatsFilter {
            topic: given("topic"),
            channel: given("channel"),
            without_clients: !flag("include_clients"),
        };
        let topics = self.topics(&filter);
        let producers = (!filter.without_clients).then(|| self.shared.clients.producers());
        let problem = self.shared.context.health.problem();
        let health = problem.map_or("OK".to_owned(), |problem| format!("NOK - {problem}"));
        if query.get("format") != Some("json") {
            let uptime = self.shared.context.clock.now() - self.shared.context.started_at;
            let mut text = format!("nsqd v{NSQ_VERSION} (punctual v{})\n", env!("CARGO_PKG_VERSION"));
            let started = self.shared.context.started_at.format("%Y-%m-%dT%H:%M:%SZ");
            let uptime = humantime::format_duration(uptime.to_std().unwrap_or_default());
            let now = self.shared.context.clock.now().timestamp();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "start_time {started}\nuptime {uptime}\n\nHealth: {health}");
            let _ = write_topics(&mut text, &topics.unwrap_or_default(), now);
            let _ = write_producers(&mut text, &producers.unwrap_or_default(), now);
            return Ok(Answer::Text(text));
        }
        let mut stats = json!({
            "version": NSQ_VERSION,
            "health": health,
            "start_time": self.shared.context.started_at.timestamp(),
            "topics": topics,
            "producers": producers,
        });
        if let Some(drain) = self.draining() {
            stats["drain"] = drain;
        }
        Ok(Answer::Json(stats))
    }
}

fn write_topics(out: &mut String, topics: &[TopicStats], now: i64) -> std::fmt::Result {
    if topics.is_empty() {
        return writeln!(out, "\nTopics: None");
    }
    writeln!(out, "\nTopics:")?;
    for topic in topics {
        writeln!(
            out,
            "{}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: ",
            mark(topic.paused),
            topic.topic_name,
            topic.depth,
            topic.backend_depth,
            topic.message_count,
        )?;
        for channel in &topic.channels {
            writeln!(
                out,
                "   {}[{:<25}] depth: {:<5} be-depth: {:<5} inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: ",
                mark(channel.paused),
                channel.channel_name,
                channel.depth,
                channel.backend_depth,
                channel.in_flight_count,
                channel.deferred_count,
                channel.requeue_count,
                channel.timeout_count,
                channel.message_count,
            )?;
            for client in channel.clients.iter().flatten() {
                writeln!(
                    out,
                    "        [{} {:<21}] state: {} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} connected: {}s",
                    client.version,
                    who(client),
                    client.state,
                    client.in_flight_count,
                    client.ready_count,
                    client.finish_count,
                    client.requeue_count,
                    client.message_count,
                    now - client.connect_ts,
                )?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_producers(out: &mut String, producers: &[ClientStats], now: i64) -> std::fmt::Result {
    if producers.is_empty() {
        return writeln!(out, "\nProducers: None");
    }
    writeln!(out, "\nProducers:")?;
    for client in producers {
        let counts = client.pub_counts.iter();
        let topics: Vec<_> = counts.clone().map(|count| format!("{}={}", count.topic, count.count)).collect();
        writeln!(
            out,
            "   [{} {:<21}] msgs: {:<8} topics: {} connected: {}s",
            client.version,
            who(client),
            counts.map(|count| count.count).sum::<u64>(),
            topics.join(","),
            now - client.connect_ts,
        )?;
    }
    Ok(())
}

fn mark(paused: bool) -> &'static str {
    if paused { "*P " } else { "   " }
}

fn who(client: &ClientStats) -> String {
    let port = client.remote_address.rsplit(':').next().unwrap_or_default();
    format!("{}:{port} {}", client.hostname, client.user_agent)
}
