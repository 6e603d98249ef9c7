//! Pushing statistics to a statsd, over UDP.

mod lines;
mod packets;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use crate::lookup::Advertised;
use crate::memory::MemoryStats;
use crate::options::StatsdOptions;
use crate::stats::{self, StatsFilter};
use crate::tcp::Shared;
use lines::Snapshot;

/// The packets of a push are all sent this long before the next, or within half of a short interval.
const QUIET: Duration = Duration::from_secs(1);

/// Pushes the node's statistics until `stop`; does nothing but wait for it if there is no statsd.
pub(crate) async fn push(
    shared: Arc<Shared>,
    advertised: Advertised,
    stop: CancellationToken,
) -> io::Result<()> {
    let options = &shared.context.options.statsd;
    let Some(address) = &options.statsd_address else {
        stop.cancelled().await;
        return Ok(());
    };
    let prefix = options.prefix_for(&advertised.0.broadcast_address, advertised.0.http_port);
    let interval = options.statsd_interval;
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Snapshot::default();
    let mut failed = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = snapshot(&shared, options);
        let packets = packets::pack(&now.lines(&before, &prefix), options.statsd_udp_packet_size.into());
        match send(address, &packets, spread(interval), &stop).await {
            Ok(()) => failed = false,
            Err(e) if failed => tracing::debug!(statsd = address, error = %e, "still cannot push statistics"),
            Err(e) => {
                failed = true;
                tracing::warn!(statsd = address, error = %e, "cannot push statistics; trying on");
            }
        }
        before = now; // also what was not sent: counters that are late would be taken for a burst
    }
    Ok(())
}

fn snapshot(shared: &Shared, options: &StatsdOptions) -> Snapshot {
    let filter = StatsFilter { without_clients: true, ..StatsFilter::default() };
    let topics = stats::topics(shared, &filter).unwrap_or_default();
    let memory = options.statsd_mem_stats.then(MemoryStats::of_process);
    let all = Snapshot { topics, memory };
    if options.statsd_exclude_ephemeral { all.without_ephemeral() } else { all }
}

/// Over how much of the interval the packets are spread, so that none is lost for want of room where they arrive.
fn spread(interval: Duration) -> Duration {
    interval.saturating_sub(QUIET).max(interval / 2)
}

/// Sends the packets one after another within `spread`, and without waiting once the node stops.
async fn send(
    address: &str,
    packets: &[String],
    spread: Duration,
    stop: &CancellationToken,
) -> io::Result<()> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let to = lookup_host(address).await?.next().ok_or_else(unknown)?;
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    let pause = spread / u32::try_from(packets.len().max(1)).unwrap_or(u32::MAX);
    let mut outcome = Ok(());
    for packet in packets {
        // One that is refused says nothing of the next: a statsd that was just started has the rest.
        outcome = outcome.and(socket.send_to(packet.as_bytes(), to).await.map(drop));
        let _stopping = stop.run_until_cancelled(sleep(pause)).await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_spread_over_the_interval_but_for_its_end() {
        let seconds = Duration::from_secs;
        assert_eq!(spread(seconds(60)), seconds(59));
        assert_eq!(spread(seconds(2)), seconds(1));
        assert_eq!(spread(Duration::from_millis(100)), Duration::from_millis(50));
    }
}
