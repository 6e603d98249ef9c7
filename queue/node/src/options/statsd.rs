//! Flags of what is pushed to a statsd.

use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

/// Pushing statistics to a statsd
#[derive(Debug, Clone, Args)]
pub struct StatsdOptions {
    /// Where a statsd takes UDP packets, as host:port; without it nothing is pushed
    #[arg(long, env = "PUNCTUAL_QUEUE_STATSD_ADDRESS")]
    pub statsd_address: Option<String>,
    /// What the names begin with; %s stands for the broadcast address and HTTP port
    #[arg(long, env = "PUNCTUAL_QUEUE_STATSD_PREFIX", default_value = "nsq.%s")]
    pub statsd_prefix: String,
    /// How often statistics are pushed
    #[arg(long, env = "PUNCTUAL_QUEUE_STATSD_INTERVAL", default_value = "1m", value_parser = parse_interval)]
    pub statsd_interval: Duration,
    /// Whether to push what the process's memory takes
    #[arg(
        long,
        env = "PUNCTUAL_QUEUE_STATSD_MEM_STATS",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub statsd_mem_stats: bool,
    /// The most bytes of a UDP packet; a line that is longer has a packet of its own
    #[arg(long, env = "PUNCTUAL_QUEUE_STATSD_UDP_PACKET_SIZE", default_value_t = 508, value_parser = clap::value_parser!(u16).range(1..))]
    pub statsd_udp_packet_size: u16,
    /// Leave out ephemeral topics and channels
    #[arg(long, env = "PUNCTUAL_QUEUE_STATSD_EXCLUDE_EPHEMERAL")]
    pub statsd_exclude_ephemeral: bool,
}

impl StatsdOptions {
    /// What the names of a node begin with that is reached at this address: with its dots and colons replaced, and a
    /// dot at the end.
    pub(crate) fn prefix_for(&self, broadcast_address: &str, http_port: u16) -> String {
        if self.statsd_prefix.is_empty() {
            return String::new();
        }
        // As Go joins them: an address of IPv6 stands in brackets.
        let host = match broadcast_address {
            bare if bare.contains(':') => format!("[{bare}]:{http_port}"),
            plain => format!("{plain}:{http_port}"),
        };
        let mut prefix = self.statsd_prefix.replace("%s", &host.replace(['.', ':'], "_"));
        if !prefix.ends_with('.') {
            prefix.push('.');
        }
        prefix
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(interval) if interval.is_zero() => Err("it must be longer than nothing".to_owned()),
        Ok(interval) => Ok(interval),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        statsd: StatsdOptions,
    }

    #[track_caller]
    fn check(prefix: &str, address: &str, expect: &str) {
        let node = Node::parse_from(["node", "--statsd-prefix", prefix]);
        assert_eq!(node.statsd.prefix_for(address, 4151), expect);
    }

    #[test]
    fn names_begin_with_the_node_they_come_from() {
        check("nsq.%s", "127.0.0.1", "nsq.127_0_0_1_4151.");
        check("nsq.%s.", "queue.example.org", "nsq.queue_example_org_4151.");
        check("%s.%s", "::1", "[__1]_4151.[__1]_4151.");
        check("all", "127.0.0.1", "all.");
        check("", "127.0.0.1", "");
    }

    #[test]
    fn memory_is_pushed_unless_it_is_set_to_false() {
        let shown =
            |arguments: &[&str]| Node::parse_from([&["node"], arguments].concat()).statsd.statsd_mem_stats;
        assert!(shown(&[]));
        assert!(shown(&["--statsd-mem-stats"]));
        assert!(!shown(&["--statsd-mem-stats=false"]));
    }

    #[test]
    fn an_interval_and_a_packet_have_a_size() {
        for wrong in ["--statsd-interval=0s", "--statsd-udp-packet-size=0"] {
            assert!(Node::try_parse_from(["node", wrong]).is_err(), "{wrong}");
        }
    }
}
