use std::net::{SocketAddr, ToSocketAddrs};

/// The address that Go would listen on: every address where there is no host, and the first that a host name has.
/// What is no address is left for others to judge, such as the path of a socket.
pub(super) fn listening(address: &str) -> String {
    if address.parse::<SocketAddr>().is_ok() || address.contains('/') {
        return address.to_owned();
    }
    if let Some(port) = address.strip_prefix(':') {
        return format!("0.0.0.0:{port}");
    }
    let first = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    first.map_or_else(|| address.to_owned(), |found| found.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_host() {
        assert_eq!(listening(":4150"), "0.0.0.0:4150");
        assert_eq!(listening("127.0.0.1:0"), "127.0.0.1:0");
        assert_eq!(listening("[::1]:4150"), "[::1]:4150");
        assert_eq!(listening("/run/nsqd.sock"), "/run/nsqd.sock");
        assert_eq!(listening("nonsense"), "nonsense");
        assert!(
            listening("localhost:4150").parse::<SocketAddr>().is_ok_and(|found| found.ip().is_loopback())
        );
    }
}
