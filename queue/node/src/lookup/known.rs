//! The lookups' HTTP interfaces, as far as the lookups have told of them.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual_queue_wire::lookup::LookupIdentity;
use tokio::sync::watch;
use tokio::time::timeout;

/// The lookups to register with, by their TCP addresses, and what each has said.
#[derive(Debug)]
pub(crate) struct KnownLookups(watch::Sender<BTreeMap<String, Heard>>);

/// What came of trying to reach a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// It was not tried yet.
    NotYet,
    OutOfReach,
    /// It was reached, and this is its HTTP address; it may be out of reach again.
    HttpAt(String),
}

impl KnownLookups {
    pub(crate) fn new(addresses: &[String]) -> Self {
        let known = Self(watch::Sender::default());
        known.set(addresses);
        known
    }

    /// There are these from now on, and no others.
    pub(crate) fn set(&self, addresses: &[String]) {
        self.0.send_modify(|lookups| {
            lookups.retain(|address, _| addresses.contains(address));
            for address in addresses {
                lookups.entry(address.clone()).or_insert(Heard::NotYet);
            }
        });
    }

    pub(super) fn reached(&self, address: &str, identity: &LookupIdentity) {
        let LookupIdentity { broadcast_address: host, http_port, .. } = identity;
        let is_bare_v6 = host.contains(':') && !host.starts_with('[');
        let http = if is_bare_v6 { format!("[{host}]:{http_port}") } else { format!("{host}:{http_port}") };
        let says_where = !host.is_empty() && *http_port != 0;
        self.note(address, if says_where { Heard::HttpAt(http) } else { Heard::OutOfReach });
    }

    pub(super) fn out_of_reach(&self, address: &str) {
        self.note(address, Heard::OutOfReach);
    }

    fn note(&self, address: &str, heard: Heard) {
        self.0.send_if_modified(|lookups| {
            let Some(known) = lookups.get_mut(address) else { return false }; // it was left meanwhile
            let is_news =
                *known != heard && !(heard == Heard::OutOfReach && matches!(known, Heard::HttpAt(_)));
            if is_news {
                *known = heard;
            }
            is_news
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The HTTP addresses, once every lookup was tried, or `patience` is over.
    pub(super) async fn http_addresses(&self, patience: Duration) -> Vec<String> {
        let mut lookups = self.0.subscribe();
        let all_tried = lookups.wait_for(|lookups| lookups.values().all(|heard| *heard != Heard::NotYet));
        let _all_or_late = timeout(patience, all_tried).await;
        let lookups = self.0.borrow();
        let addresses = lookups.values().filter_map(|heard| match heard {
            Heard::HttpAt(address) => Some(address.clone()),
            Heard::NotYet | Heard::OutOfReach => None,
        });
        addresses.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(host: &str, http_port: u16) -> LookupIdentity {
        LookupIdentity { broadcast_address: host.to_owned(), http_port, ..LookupIdentity::default() }
    }

    #[tokio::test]
    async fn a_lookup_that_was_never_tried_is_waited_for_but_not_for_ever() {
        let known = KnownLookups::new(&["a:1".to_owned(), "b:1".to_owned()]);
        known.reached("a:1", &identity("::1", 4161));
        assert_eq!(known.http_addresses(Duration::from_millis(10)).await, ["[::1]:4161"]);

        known.out_of_reach("b:1");
        known.out_of_reach("a:1"); // where it listened is still known
        known.reached("c:1", &identity("c", 1)); // one that was left
        // Waited for in vain, this would outlast the test.
        assert_eq!(known.http_addresses(Duration::MAX).await, ["[::1]:4161"]);
        known.set(&["b:1".to_owned()]);
        assert_eq!(known.http_addresses(Duration::MAX).await, Vec::<String>::new());
    }
}
