//! The same loads on a queue node and on the durable queues that Debian packages, each in its own protocol: the server
//! on core 0, the load on core 1, all on one disk. The figure to read is the ratio.

mod beanstalkd;
mod nats;
mod node;
mod redis;

mod kind;
mod peer;
mod wire;

mod consume;
mod latency;
mod publish;

use std::fmt::Display;
use std::time::Duration;

use self::kind::Kind;
use self::peer::Peer;
use crate::Args;
use crate::figures::{Sample, line, ms, per_second, rate, title};
use crate::queue::consume::FILL;
use crate::queue::publish::Pattern;
use crate::queue::{BODY_BYTES, PATTERNS, ROUND};

/// One at a time, pipelined, and in batches. A protocol that has no batch has as many single commands in one write.
const PUBLISHED: [Pattern; 3] =
    [PATTERNS[0], PATTERNS[1], Pattern { what: "batches of 200, 2 connections, 8 in flight", ..FILL }];
/// A peer that cannot keep up with one is not asked for the next.
const RATES: [usize; 4] = [1_000, 5_000, 20_000, 50_000];

/// What a server reached, to be compared with ours, and how that is shown.
struct Reached {
    /// Greater is better; none when it failed to do what was asked.
    figure: Option<f64>,
    shown: String,
}

pub(crate) fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!(
        "Peers: messages of {BODY_BYTES} bytes, {} rounds; each server on core 0, the load on core 1; in a \
         ratio above 1 we are ahead",
        args.rounds
    ));
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        match kind.settings() {
            Ok(settings) => {
                line(kind.name(), &settings, "");
                kinds.push(kind);
            }
            Err(missing) => line(kind.name(), &format!("not measured: {missing}"), ""),
        }
    }
    let body = vec![b'x'; BODY_BYTES];
    for pattern in PUBLISHED {
        compare(&kinds, pattern.what, |peer| publishes(args, peer, pattern, &body))?;
    }
    compare(&kinds, "drain, 2 consumers", |peer| drains(args, peer, &body))?;
    compare(&kinds, "publish and consume, 2 + 2 connections", |peer| both(args, peer, &body))?;
    let lasting = Duration::from_secs(args.seconds.min(10));
    for rate in RATES {
        let what = format!("due to received at {rate}/s");
        kinds = compare(&kinds, &what, |peer| delivers(peer, rate, lasting))?;
    }
    Ok(())
}

/// Measures one after the other, ours first; those that did what was asked. Only ours must not fail.
fn compare(
    kinds: &[Kind],
    what: &str,
    measure: impl Fn(&dyn Peer) -> anyhow::Result<Reached>,
) -> anyhow::Result<Vec<Kind>> {
    let mut ours = None;
    let mut able = Vec::new();
    for kind in kinds {
        let reached = kind.start().and_then(|peer| measure(peer.as_ref()));
        let label = format!("{what}: {}", kind.name());
        let reached = match reached {
            Err(failure) if *kind == Kind::Node => return Err(failure),
            Err(failure) => {
                line(&label, &format!("failed: {failure:#}"), "");
                continue;
            }
            Ok(reached) => reached,
        };
        let ratio = match (*kind, ours, reached.figure) {
            (Kind::Node, _, figure) => {
                ours = figure;
                String::new()
            }
            (_, Some(ours), Some(theirs)) => format!("; ratio {:.2}", ours / theirs),
            (_, _, _) => String::new(),
        };
        line(&label, &format!("{}{ratio}", reached.shown), "");
        // Ours stays to be compared with, whether it kept up or not.
        able.extend((reached.figure.is_some() || *kind == Kind::Node).then_some(*kind));
    }
    Ok(able)
}

fn publishes(args: &Args, peer: &dyn Peer, pattern: Pattern, body: &[u8]) -> anyhow::Result<Reached> {
    let (mut rates, mut waits, mut messages) = (Vec::new(), Vec::new(), 0);
    let before = peer.process().cpu();
    for round in 0..=args.rounds {
        let topic = format!("publish-{round}");
        peer.make(&topic)?;
        let published = publish::run(peer, pattern, &topic, body, ROUND)?;
        messages += published.messages;
        // The first round warms up.
        if round > 0 {
            rates.push(per_second(published.messages, published.took));
            waits.extend(published.waits_us);
        }
    }
    let cpu = cpu_each(peer.process().cpu() - before, messages);
    let waits = Sample::new(waits);
    let wait = match waits.len() {
        0 => String::new(),
        _ => format!(", p50 {:.0} us, p99 {:.0} us", waits.median(), waits.quantile(0.99)),
    };
    Ok(Reached::at(&Sample::new(rates), format!("{cpu}{wait}")))
}

fn drains(args: &Args, peer: &dyn Peer, body: &[u8]) -> anyhow::Result<Reached> {
    let (mut rates, mut deliveries, mut cpu, mut filled, mut disk) = (Vec::new(), 0, Duration::ZERO, 0, 0);
    for round in 0..=args.rounds {
        let topic = format!("drain-{round}");
        peer.make(&topic)?;
        let messages = consume::fill(peer, &topic, body)?;
        if round == 0 {
            (filled, disk) = (messages, peer.disk()?);
        }
        let before = peer.process().cpu();
        let (count, took) = consume::drain(peer, &topic, messages)?;
        cpu += peer.process().cpu() - before;
        deliveries += count;
        if round > 0 {
            rates.push(per_second(count, took));
        }
    }
    let (cpu, disk) = (cpu_each(cpu, deliveries), disk as f64 / filled as f64);
    Ok(Reached::at(&Sample::new(rates), format!("{cpu}, {disk:.0} bytes on disk each")))
}

fn both(args: &Args, peer: &dyn Peer, body: &[u8]) -> anyhow::Result<Reached> {
    let mut rates = Vec::new();
    for round in 0..=args.rounds {
        let topic = format!("both-{round}");
        peer.make(&topic)?;
        let (count, took) = consume::both(peer, &topic, body, ROUND)?;
        if round > 0 {
            rates.push(per_second(count, took));
        }
    }
    Ok(Reached::at(&Sample::new(rates), String::new()))
}

fn delivers(peer: &dyn Peer, rate: usize, lasting: Duration) -> anyhow::Result<Reached> {
    peer.make("latency")?;
    let seen = latency::measure(peer, "latency", BODY_BYTES, rate, lasting)?;
    let (p50, p99) = (seen.times_ms.median(), seen.times_ms.quantile(0.99));
    if seen.times_ms.len() < seen.sent {
        let received = per_second(seen.times_ms.len(), seen.took);
        return Ok(Reached { figure: None, shown: format!("cannot keep up: {received:.0}/s received") });
    }
    Ok(Reached { figure: Some(1.0 / p50), shown: format!("p50 {}, p99 {}", ms(p50), ms(p99)) })
}

impl Reached {
    fn at(rates: &Sample, more: impl Display) -> Self {
        Self { figure: Some(rates.median()), shown: format!("{}{more}", rate(rates)) }
    }
}

fn cpu_each(cpu: Duration, messages: usize) -> String {
    format!(", {:.2} us CPU each", cpu.as_secs_f64() * 1e6 / messages.max(1) as f64)
}
