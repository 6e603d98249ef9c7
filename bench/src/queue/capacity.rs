//! What a large backlog and many idle connections cost.

use std::time::{Duration, Instant};

use super::consume::{self, make_channels};
use super::link::{Arrival, Link};
use super::server::Server;
use crate::figures::{line, ms};

const IDLE_CONNECTIONS: usize = 5_000;
const WATCHED: Duration = Duration::from_secs(10);

/// Memory with `messages` queued, and how long a killed server takes to its first message then.
pub(super) fn backlog(body: &[u8], messages: usize) -> anyhow::Result<()> {
    let mut server = Server::start()?;
    make_channels(&server.address, "backlog-0", 1)?;
    let filled = consume::fill(&server.address, "backlog", body, messages)?;
    let memory = server.process()?.memory()? as f64 / 1e6;
    line(&format!("memory with {filled} messages queued"), &format!("{memory:.0} MB"), "<= 60 MB");
    let disk = server.disk().unwrap_or_default() as f64 / filled as f64;
    line("disk, one channel", &format!("{disk:.0} bytes each"), "");
    let listens = server.restart()?;
    let started = Instant::now();
    let mut link = Link::subscribe(&server.address, "backlog-0", "channel-0", 1)?;
    let mut came = false;
    while !came {
        link.receive(|arrival| came |= matches!(arrival, Arrival::Message { .. }))?;
    }
    let first = listens + started.elapsed();
    let value = format!(
        "{} to the first message, {} to the port",
        ms(first.as_secs_f64() * 1e3),
        ms(listens.as_secs_f64() * 1e3)
    );
    line("start after kill -9 with them", &value, "<= 200 ms");
    Ok(())
}

/// Memory and processor time of connections that do nothing but answer heartbeats never asked for.
pub(super) fn idle() -> anyhow::Result<()> {
    let server = Server::start()?;
    let before = server.process()?.memory()?;
    let links: Vec<_> =
        (0..IDLE_CONNECTIONS).map(|_| Link::open(&server.address)).collect::<anyhow::Result<_>>()?;
    let each = server.process()?.memory()?.saturating_sub(before) as f64 / links.len() as f64 / 1e3;
    let cpu = server.process()?.cpu();
    let started = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the time that passes is what is measured over")]
    std::thread::sleep(WATCHED);
    let share = (server.process()?.cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    let what = format!("{IDLE_CONNECTIONS} idle connections");
    line(&what, &format!("{each:.1} kB each, {share:.1} % of a core"), "<= 8 kB, <= 1 %");
    Ok(())
}
