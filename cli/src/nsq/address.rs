use punctual_service::socket::Address;

/// The address that Go would listen on: every address where there is no host, and the first that a host name has.
/// What is no address is left for others to judge.
pub(super) fn listening(address: &str) -> String {
    address.parse::<Address>().map_or_else(|_| address.to_owned(), |found| found.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
