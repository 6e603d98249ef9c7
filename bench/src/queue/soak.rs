//! A node under steady load for a long time: what it holds must not grow.

mod flat;
mod load;

use std::time::{Duration, Instant};

use anyhow::ensure;

use self::flat::{Sighting, verdicts};
use self::load::Load;
use super::consume;
use super::server::Server;
use super::{BODY_BYTES, ROUND};
use crate::Args;
use crate::figures::{Sample, line, per_second, title};

/// Of what the node can do.
const SHARE: f64 = 0.7;
const BETWEEN_SIGHTINGS: Duration = Duration::from_secs(1);

/// Fails unless memory, descriptors and backlog are flat.
pub(crate) fn measure(args: &Args) -> anyhow::Result<()> {
    let lasting = Duration::from_secs(args.minutes * 60);
    title(&format!(
        "Soak: {} minutes of MPUB of 200 and consuming, 2 + 2 connections, messages of {BODY_BYTES} bytes; the node on \
         core 0, the load on core 1",
        args.minutes
    ));
    let body = vec![b'x'; BODY_BYTES];
    let full = full_rate(args.rounds, &body)?;
    let rate = full * SHARE;
    line("publish and consume, as fast as it goes", &format!("{full:.0}/s"), "");
    line("the load from now on", &format!("{rate:.0}/s"), "");
    let server = Server::start()?;
    let load = Load::new(rate);
    consume::make_channels(&server.address, load::TOPIC, 1)?;
    let sightings = std::thread::scope(|threads| {
        let running = threads.spawn(|| load.run(&server.address, &body, lasting));
        let sightings = watch(&server, &load, lasting, || running.is_finished());
        running.join().expect("the load's thread panicked")?;
        sightings
    })?;
    let mut grown = Vec::new();
    for verdict in verdicts(&sightings, rate) {
        line(verdict.what, &verdict.to_string(), &verdict.aim());
        grown.extend((!verdict.is_flat()).then_some(verdict.what));
    }
    ensure!(grown.is_empty(), "not flat: {}", grown.join(", "));
    Ok(())
}

fn full_rate(rounds: usize, body: &[u8]) -> anyhow::Result<f64> {
    let server = Server::start()?;
    let mut rates = Vec::new();
    for round in 0..=rounds {
        let (count, took) = consume::both(&server.address, &format!("full-{round}"), body, ROUND)?;
        // The first round warms up.
        if round > 0 {
            rates.push(per_second(count, took));
        }
    }
    Ok(Sample::new(rates).median())
}

/// What is seen each second, with a line a minute, until the time is over or the load `has_ended`.
fn watch(
    server: &Server,
    load: &Load,
    lasting: Duration,
    has_ended: impl Fn() -> bool,
) -> anyhow::Result<Vec<Sighting>> {
    let started = Instant::now();
    let mut sightings = Vec::new();
    let (mut minutes, mut consumed_before) = (0, 0);
    while started.elapsed() < lasting && !has_ended() {
        #[expect(clippy::disallowed_methods, reason = "it is looked at in equal steps of real time")]
        std::thread::sleep(BETWEEN_SIGHTINGS);
        let process = server.process()?;
        let sighting = Sighting {
            // Pages of the program's file come and go with what else the machine does.
            memory_bytes: process.own_memory()?,
            descriptors: process.descriptors()?,
            backlog: load.backlog(),
        };
        if started.elapsed() >= Duration::from_secs(60) * (minutes + 1) {
            minutes += 1;
            let consumed = load.consumed();
            let value = format!(
                "{:.0}/s, depth {}, {:.1} MB of its own and {:.1} MB resident, {} descriptors, {:.0} MB on disk",
                (consumed - consumed_before) as f64 / 60.0,
                sighting.backlog,
                sighting.memory_bytes as f64 / 1e6,
                process.memory()? as f64 / 1e6,
                sighting.descriptors,
                server.disk().unwrap_or_default() as f64 / 1e6,
            );
            line(&format!("minute {minutes}"), &value, "");
            consumed_before = consumed;
        }
        sightings.push(sighting);
    }
    Ok(sightings)
}
