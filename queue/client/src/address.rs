//! Where a node is.

use std::{fmt, hash::Hash};

use punctual_queue_wire::discovery::Producer;

/// A node's addresses, each `host:port`.
///
/// Two are equal when their TCP addresses are: that is what is dialled, and what NSQ clients tell nodes apart by.
#[derive(Debug, Clone)]
pub struct NodeAddress {
    tcp: String,
    http: Option<String>,
}

impl NodeAddress {
    /// A node known by its TCP address alone.
    pub fn new(tcp: impl Into<String>) -> Self {
        Self { tcp: tcp.into(), http: None }
    }

    /// The same node with an HTTP address, which allows to ask a stock nsqd for its identity.
    #[must_use]
    pub fn with_http(mut self, http: impl Into<String>) -> Self {
        self.http = Some(http.into());
        self
    }

    /// A node's addresses for clients, as a lookup lists them.
    pub fn of(producer: &Producer) -> Self {
        let host = &producer.broadcast_address;
        let at = |port: u16| {
            // A bare IPv6 address would run into its port.
            if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        };
        Self { tcp: at(producer.tcp_port), http: (producer.http_port != 0).then(|| at(producer.http_port)) }
    }

    /// Where NSQ's protocol is spoken.
    pub fn tcp(&self) -> &str {
        &self.tcp
    }

    /// Where HTTP is spoken, if known.
    pub fn http(&self) -> Option<&str> {
        self.http.as_deref()
    }
}

impl PartialEq for NodeAddress {
    fn eq(&self, other: &Self) -> bool {
        self.tcp == other.tcp
    }
}

impl Eq for NodeAddress {}

impl Hash for NodeAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.tcp.hash(state);
    }
}

impl PartialOrd for NodeAddress {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodeAddress {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.tcp.cmp(&other.tcp)
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.tcp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, http_port: u16, expect: (&str, Option<&str>)) {
        let producer =
            Producer { broadcast_address: host.to_owned(), tcp_port: 4150, http_port, ..Producer::default() };
        let address = NodeAddress::of(&producer);
        assert_eq!((address.tcp(), address.http()), expect);
    }

    #[test]
    fn a_listed_node_is_dialled_at_its_broadcast_address() {
        check("node-1.example", 4151, ("node-1.example:4150", Some("node-1.example:4151")));
        check("10.0.0.7", 0, ("10.0.0.7:4150", None));
        check("fd00::7", 4151, ("[fd00::7]:4150", Some("[fd00::7]:4151")));
    }
}
