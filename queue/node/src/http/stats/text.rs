//! `/stats` as people, and scripts with `grep`, read it: in the columns that nsqd prints.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::Shown;
use crate::memory::MemoryStats;
use crate::stats::{ChannelStats, ClientStats, TopicStats};

/// All of it, of a node that was `started` some time before `now`.
pub(super) fn render(shown: &Shown, started: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, shown, started, now);
    text
}

fn write_all(out: &mut String, shown: &Shown, started: DateTime<Utc>, now: DateTime<Utc>) -> fmt::Result {
    writeln!(out, "nsqd v{} (built w/punctual {})", shown.version, env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "start_time {}", started.to_rfc3339_opts(SecondsFormat::Secs, true))?;
    writeln!(out, "uptime {}", go_duration((now - started).to_std().unwrap_or_default()))?;
    writeln!(out, "\nHealth: {}", shown.health)?;
    if let Some(memory) = &shown.memory {
        write_memory(out, memory)?;
    }
    write_topics(out, shown.topics.as_deref().unwrap_or_default(), now)?;
    write_producers(out, shown.producers.as_deref().unwrap_or_default(), now)
}

fn write_memory(out: &mut String, memory: &MemoryStats) -> fmt::Result {
    writeln!(out, "\nMemory:")?;
    let runs = ("gc_total_runs", memory.gc_total_runs());
    for (name, value) in memory.gauges().into_iter().chain([runs]) {
        writeln!(out, "   {name:<25}\t{value}")?;
    }
    Ok(())
}

/// Between two topics stands an empty line.
fn write_topics(out: &mut String, topics: &[TopicStats], now: DateTime<Utc>) -> fmt::Result {
    if topics.is_empty() {
        return writeln!(out, "\nTopics: None");
    }
    write!(out, "\nTopics:")?;
    for topic in topics {
        writeln!(
            out,
            "\n{}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: {}",
            mark(topic.paused),
            topic.topic_name.as_str(),
            topic.depth,
            topic.backend_depth,
            topic.message_count,
            topic.e2e_processing_latency,
        )?;
        for channel in &topic.channels {
            write_channel(out, channel, now)?;
        }
    }
    Ok(())
}

fn write_channel(out: &mut String, channel: &ChannelStats, now: DateTime<Utc>) -> fmt::Result {
    write!(
        out,
        "   {}[{:<25}] depth: {:<5} be-depth: {:<5} ",
        mark(channel.paused),
        channel.channel_name.as_str(),
        channel.depth,
        channel.backend_depth,
    )?;
    writeln!(
        out,
        "inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: {}",
        channel.in_flight_count,
        channel.deferred_count,
        channel.requeue_count,
        channel.timeout_count,
        channel.message_count,
        channel.e2e_processing_latency,
    )?;
    for client in channel.clients.iter().flatten() {
        writeln!(
            out,
            "        [{} {:<21}] state: {} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} connected: {}",
            client.version,
            who(client),
            client.state,
            client.in_flight_count,
            client.ready_count,
            client.finish_count,
            client.requeue_count,
            client.message_count,
            connected(client, now),
        )?;
    }
    Ok(())
}

fn write_producers(out: &mut String, producers: &[ClientStats], now: DateTime<Utc>) -> fmt::Result {
    if producers.is_empty() {
        return writeln!(out, "\nProducers: None");
    }
    writeln!(out, "\nProducers:")?;
    for client in producers {
        let counts = client.pub_counts.iter();
        let topics: Vec<_> = counts.clone().map(|count| format!("{}={}", count.topic, count.count)).collect();
        writeln!(
            out,
            "   [{} {:<21}] msgs: {:<8} topics: {} connected: {}",
            client.version,
            who(client),
            counts.map(|count| count.count).sum::<u64>(),
            topics.join(","),
            connected(client, now),
        )?;
    }
    Ok(())
}

fn mark(paused: bool) -> &'static str {
    if paused { "*P " } else { "   " }
}

fn who(client: &ClientStats) -> String {
    let port = client.remote_address.rsplit_once(':').map_or("", |(_, port)| port);
    format!("{}:{port} {}", client.hostname, client.user_agent)
}

/// For how long, in whole seconds.
fn connected(client: &ClientStats, now: DateTime<Utc>) -> String {
    let seconds = now.timestamp().saturating_sub(client.connect_ts);
    go_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// A duration as Go prints it, such as `1h2m3.5s`, `12.5ms` or `0s`.
fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{nanoseconds}ns"),
        1_000..1_000_000 => return format!("{}µs", decimal(nanoseconds, 3)),
        1_000_000..1_000_000_000 => return format!("{}ms", decimal(nanoseconds, 6)),
        _ => {}
    }
    let (minutes, rest) = (duration.as_secs() / 60, nanoseconds % 60_000_000_000);
    let seconds = decimal(rest, 9);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `number` with so many of its digits after the point, and without zeros at the end.
fn decimal(number: u128, places: usize) -> String {
    let unit = 10_u128.pow(u32::try_from(places).unwrap_or_default());
    let digits = format!("{}.{:0places$}", number / unit, number % unit);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
