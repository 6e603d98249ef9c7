//! The queue node beside the machine's own limits, over the bare protocol: the server on one core, the load on the
//! other.

pub(crate) mod consume;
pub(crate) mod link;
pub(crate) mod publish;
pub(crate) mod server;

pub(crate) mod logs;
pub(crate) mod soak;

mod capacity;
mod latency;
mod limits;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::consume::Consumers;
use self::publish::Pattern;
use self::server::Server;
use crate::Args;
use crate::figures::{Sample, line, ms, per_second, rate, title};

pub(crate) const BODY_BYTES: usize = 200;
pub(crate) const ROUND: Duration = Duration::from_secs(2);
/// Messages of a backlog that is drained.
pub(crate) const BACKLOG: usize = 1_000_000;

pub(crate) const PATTERNS: [Pattern; 5] = [
    Pattern {
        what: "PUB, 1 connection, one at a time",
        aim: "p50 <= 1.15 x (round trip + sync)",
        connections: 1,
        in_flight: 1,
        batch: 1,
        topics: 1,
    },
    Pattern {
        what: "PUB, 4 connections, 64 in flight",
        aim: ">= 350 k/s, <= 2.5 us",
        connections: 4,
        in_flight: 64,
        batch: 1,
        topics: 1,
    },
    Pattern {
        what: "MPUB of 200, 2 connections, one at a time",
        aim: "",
        connections: 2,
        in_flight: 1,
        batch: 200,
        topics: 1,
    },
    Pattern { aim: ">= 1.5 M/s", ..consume::FILL },
    Pattern {
        what: "MPUB of 10 to 100 topics, 4 connections, 32 in flight",
        aim: "within 30 % of the same to one topic",
        connections: 4,
        in_flight: 32,
        batch: 10,
        topics: 100,
    },
];

pub(crate) fn measure(args: &Args) -> anyhow::Result<()> {
    let server = match &args.address {
        Some(address) => format!("the server at {address} where it was put"),
        None => "the node on core 0".to_owned(),
    };
    title(&format!(
        "Queue: messages of {BODY_BYTES} bytes, durable, {} rounds; {server}, the load on core 1",
        args.rounds
    ));
    limits()?;
    let body = vec![b'x'; BODY_BYTES];
    for pattern in PATTERNS {
        publishes(args, pattern, &body)?;
    }
    publishes(args, Pattern { what: "the same to one topic", aim: "", topics: 1, ..PATTERNS[4] }, &body)?;
    drains(
        args,
        "drain, 2 connections, RDY 2500",
        ">= 800 k/s",
        Consumers { connections: 2, channels: 1 },
        &body,
    )?;
    drains(
        args,
        "16 channels, deliveries",
        ">= 1.5 M/s",
        Consumers { connections: 16, channels: 16 },
        &body,
    )?;
    publish_and_consume(args, &body)?;
    for per_second in [5_000, 20_000, 50_000] {
        delivery(args, per_second)?;
    }
    if args.address.is_none() {
        capacity::backlog(&body, 5_000_000)?;
        capacity::idle()?;
    }
    Ok(())
}

/// The server that is measured and a beginning for topics' names that no measure before had: a server that runs
/// already keeps them.
fn server(args: &Args) -> anyhow::Result<(Server, String)> {
    static MEASURES: AtomicUsize = AtomicUsize::new(0);
    let measure = MEASURES.fetch_add(1, Ordering::Relaxed);
    Ok((Server::at_or_start(args.address.as_deref())?, format!("bench-{}-{measure}", std::process::id())))
}

fn limits() -> anyhow::Result<()> {
    for (bytes, what) in [(4 << 10, "4 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")] {
        let (written, growing) = (limits::synced_writes(bytes, true)?, limits::synced_writes(bytes, false)?);
        let value = format!(
            "p50 {:.0} us, p99 {:.0} us; growing file {:.0} us",
            written.median(),
            written.quantile(0.99),
            growing.median()
        );
        line(&format!("limit: write + fdatasync of {what} over written blocks"), &value, "");
    }
    let trips = limits::round_trips(BODY_BYTES)?;
    line("limit: loopback round trip", &format!("p50 {:.0} us", trips.median()), "");
    let (one, many) = (limits::framed_messages(BODY_BYTES, 1)?, limits::framed_messages(BODY_BYTES, 200)?);
    line("limit: framed over loopback, 1 or 200 to a write", &format!("{one:.0}/s, {many:.0}/s"), "");
    Ok(())
}

/// Beside what the disk gives when as many bytes as a command has are appended bare, each append synced.
fn publishes(args: &Args, pattern: Pattern, body: &[u8]) -> anyhow::Result<()> {
    let bare_us = limits::synced_writes(body.len() * pattern.batch, false)?.median();
    let bare = pattern.batch as f64 * 1e6 / bare_us;
    let (server, name) = server(args)?;
    let (mut rates, mut waits, mut messages) = (Vec::new(), Vec::new(), 0);
    let before = server.cpu();
    for round in 0..=args.rounds {
        let published = publish::run(&server.address, pattern, &format!("{name}-{round}"), body, ROUND)?;
        messages += published.messages;
        // The first round warms up.
        if round > 0 {
            rates.push(per_second(published.messages, published.took));
            waits.extend(published.waits_us);
        }
    }
    let cpu = cpu_each(before, server.cpu(), messages);
    let waits = Sample::new(waits);
    let wait = match waits.len() {
        0 => String::new(),
        _ => format!(", p50 {:.0} us, p99 {:.0} us", waits.median(), waits.quantile(0.99)),
    };
    let rates = Sample::new(rates);
    let ratio = format!("{:.2} x the {bare:.0}/s of bare appends", rates.median() / bare);
    line(pattern.what, &format!("{}, {ratio}{cpu}{wait}", rate(&rates)), pattern.aim);
    Ok(())
}

fn drains(args: &Args, what: &str, aim: &str, consumers: Consumers, body: &[u8]) -> anyhow::Result<()> {
    let (server, name) = server(args)?;
    let (mut rates, mut deliveries, mut cpu, mut filled) = (Vec::new(), 0, Some(Duration::ZERO), 0);
    for round in 0..=args.rounds {
        let name = format!("{name}-{round}");
        let topic = format!("{name}-0");
        consume::make_channels(&server.address, &topic, consumers.channels)?;
        let messages = consume::fill(&server.address, &name, body, BACKLOG / consumers.channels)?;
        filled += messages;
        let disk = server.disk();
        let before = server.cpu();
        let (count, took) = consume::drain(&server.address, &topic, consumers, messages)?;
        cpu = cpu.zip(server.cpu()).zip(before).map(|((sum, after), before)| sum + after - before);
        deliveries += count;
        if round > 0 {
            rates.push(per_second(count, took));
        } else if let Some(disk) = disk {
            line(what, &format!("{:.0} bytes on disk each", disk as f64 / filled as f64), "<= 260");
        }
    }
    let cpu = cpu_each(Some(Duration::ZERO), cpu, deliveries);
    line(what, &format!("{}{cpu}", rate(&Sample::new(rates))), aim);
    Ok(())
}

/// Of the server's processor time; nothing where that is unknown.
fn cpu_each(before: Option<Duration>, after: Option<Duration>, messages: usize) -> String {
    before.zip(after).map_or_else(String::new, |(before, after)| {
        format!(", {:.2} us CPU each", (after - before).as_secs_f64() * 1e6 / messages as f64)
    })
}

fn publish_and_consume(args: &Args, body: &[u8]) -> anyhow::Result<()> {
    let (server, name) = server(args)?;
    let mut rates = Vec::new();
    for round in 0..=args.rounds {
        let (count, took) = consume::both(&server.address, &format!("{name}-{round}"), body, ROUND)?;
        if round > 0 {
            rates.push(per_second(count, took));
        }
    }
    line("publish (MPUB of 200) and consume, 2 + 2 connections", &rate(&Sample::new(rates)), ">= 700 k/s");
    Ok(())
}

fn delivery(args: &Args, per_second: usize) -> anyhow::Result<()> {
    let (server, topic) = server(args)?;
    let lasting = Duration::from_secs(args.seconds.min(10));
    let times = latency::measure(&server.address, &topic, BODY_BYTES, per_second, lasting)?;
    let value = format!("p50 {}, p99 {}", ms(times.median()), ms(times.quantile(0.99)));
    line(&format!("due to be sent to received, {per_second}/s"), &value, "p50 <= 0.6 ms, p99 <= 2 ms");
    Ok(())
}
