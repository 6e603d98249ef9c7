//! The lookups there are, which may change while the node runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Advertised, register};
use crate::tcp::Shared;

/// What lookups are told, and how.
#[derive(Clone)]
pub(crate) struct Registering {
    pub(crate) advertised: Advertised,
    /// With it, every lookup is spoken to over TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) shared: Arc<Shared>,
}

impl Registering {
    /// Keeps every lookup of [`Context::lookups`](crate::node::Context::lookups) informed until `leave`. One that is
    /// taken out of the set is left at once; the others do not notice.
    pub(crate) async fn with_all(self, leave: CancellationToken) {
        let mut wanted = self.shared.context.lookups();
        let mut tasks = JoinSet::new();
        let mut stops: BTreeMap<String, CancellationToken> = BTreeMap::new();
        loop {
            let addresses: BTreeSet<_> = wanted.borrow_and_update().iter().cloned().collect();
            stops.retain(|address, stop| {
                let stays = addresses.contains(address);
                if !stays {
                    tracing::info!(lookup = address, "the lookup is to be left");
                    stop.cancel();
                }
                stays
            });
            for address in addresses {
                stops.entry(address.clone()).or_insert_with(|| {
                    let stop = leave.child_token();
                    tasks.spawn(register(address, self.clone(), stop.clone()));
                    stop
                });
            }
            tokio::select! {
                () = leave.cancelled() => break,
                changed = wanted.changed() => if changed.is_err() {
                    break;
                },
                Some(ended) = tasks.join_next() => log_panic(ended),
            }
        }
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task that keeps a lookup informed failed");
    }
}
