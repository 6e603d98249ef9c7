//! Acknowledged publishes beside bare writes to the same disk.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use punctual_queue_client::wire::name::TopicName;
use tokio::task::JoinSet;

use crate::figures::{Sample, line, per_second, rate, title};
use crate::system::{Parts, System};
use crate::{Args, machine};

const BODY_BYTES: usize = 200;
const ROUND: Duration = Duration::from_secs(3);

/// How messages are published.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    what: &'static str,
    connections: usize,
    /// On each connection.
    in_flight: usize,
    batch: usize,
}

const PATTERNS: [Pattern; 4] = [
    Pattern { what: "PUB, 1 connection, one at a time", connections: 1, in_flight: 1, batch: 1 },
    Pattern { what: "PUB, 4 connections, 64 in flight", connections: 4, in_flight: 64, batch: 1 },
    Pattern { what: "MPUB of 200, 1 connection, one at a time", connections: 1, in_flight: 1, batch: 200 },
    Pattern { what: "MPUB of 200, 2 connections, 8 in flight", connections: 2, in_flight: 8, batch: 200 },
];

pub(crate) async fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!("Queue: acknowledged durable publishes of {BODY_BYTES} bytes, {} rounds", args.rounds));
    let single = Sample::new((0..args.rounds).map(|_| bare_writes(BODY_BYTES)).collect::<Result<_, _>>()?);
    line("bare append of 200 bytes + fdatasync", &rate(&single), "");
    let batch = BODY_BYTES * 200;
    let batched = Sample::new((0..args.rounds).map(|_| bare_writes(batch)).collect::<Result<_, _>>()?);
    line("bare append of 40,000 bytes + fdatasync", &rate(&batched), "");
    for pattern in PATTERNS {
        let system = System::start(Parts::Queue).await?;
        let mut rates = Vec::new();
        let before = system.cpu();
        let mut messages = 0;
        for round in 0..=args.rounds {
            let topic = format!("bench-{round}").parse()?;
            let (count, took) = publish(&system, pattern, topic).await?;
            messages += count;
            // The first round warms up.
            if round > 0 {
                rates.push(per_second(count, took));
            }
        }
        let rates = Sample::new(rates);
        let bare = if pattern.batch == 1 { single.median() } else { batched.median() * 200.0 };
        let (_, cpu_us) = system.cpu().per_item_since(&before, messages);
        let value = format!("{}, {:.2} x bare, {cpu_us:.1} us CPU each", rate(&rates), rates.median() / bare);
        line(pattern.what, &value, "");
    }
    Ok(())
}

/// Appends to a growing file, each write synced: what the disk gives without anything around it. Writes per second.
fn bare_writes(bytes: usize) -> anyhow::Result<f64> {
    let path = machine::scratch()?.join("bare-writes");
    let mut file = File::create(&path)?;
    let body = vec![b'x'; bytes];
    let started = Instant::now();
    let mut writes = 0;
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&body)?;
        file.sync_data()?;
        writes += 1;
    }
    let rate = per_second(writes, started.elapsed());
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Publishes for one round; how many were acknowledged, and in what time.
async fn publish(system: &System, pattern: Pattern, topic: TopicName) -> anyhow::Result<(usize, Duration)> {
    let node = NodeAddress::new(system.queue_tcp.clone());
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let started = Instant::now();
    let mut publishers = JoinSet::new();
    for _ in 0..pattern.connections {
        let producer = std::sync::Arc::new(Producer::connect(&node, ProducerOptions::default()).await?);
        for _ in 0..pattern.in_flight {
            let (producer, topic, body) = (producer.clone(), topic.clone(), body.clone());
            publishers.spawn(async move {
                let mut count = 0;
                while started.elapsed() < ROUND {
                    match producer.publish(&topic, vec![body.clone(); pattern.batch]).await {
                        PublishOutcome::Acknowledged => count += pattern.batch,
                        other => bail!("a publish was not acknowledged: {other:?}"),
                    }
                }
                Ok(count)
            });
        }
    }
    let mut count = 0;
    while let Some(publisher) = publishers.join_next().await {
        count += publisher??;
    }
    Ok((count, started.elapsed()))
}
