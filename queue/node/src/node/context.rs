//! What every part of the node may need.

use std::sync::Arc;

use punctual_queue_log::committer::Committer;
use punctual_queue_wire::command::Limits;
use punctual_queue_wire::identify::IdentifyLimits;
use punctual_service::clock::Clock;
use tokio::sync::watch;
use uuid::Uuid;

use crate::auth::AuthServers;
use crate::drain::Drain;
use crate::health::DiskHealth;
use crate::lookup::KnownLookups;
use crate::metrics::NodeMetrics;
use crate::options::NodeOptions;
use crate::tls::NodeTls;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: NodeOptions,
    pub(crate) limits: Limits,
    pub(crate) identify_limits: IdentifyLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Committer,
    pub(crate) health: DiskHealth,
    pub(crate) metrics: NodeMetrics,
    pub(crate) node_id: Uuid,
    pub(crate) drain: Drain,
    pub(crate) started_at: chrono::DateTime<chrono::Utc>,
    /// `None` without a certificate.
    pub(crate) tls: Option<NodeTls>,
    /// `None` where anyone may do anything.
    pub(crate) auth: Option<AuthServers>,
    pub(super) topology: watch::Sender<u64>,
    pub(super) lookups: watch::Sender<Vec<String>>,
    pub(crate) known_lookups: KnownLookups,
}

impl Context {
    /// A topic or channel was made or deleted: the lookups must hear of it.
    pub(crate) fn topology_changed(&self) {
        self.topology.send_modify(|version| *version += 1);
    }

    /// Sees a change with every [`topology_changed`](Self::topology_changed).
    pub(crate) fn topology(&self) -> watch::Receiver<u64> {
        self.topology.subscribe()
    }

    /// The TCP addresses of the lookups to register with.
    pub(crate) fn lookups(&self) -> watch::Receiver<Vec<String>> {
        self.lookups.subscribe()
    }

    /// Registers with these lookups from now on, and no others.
    pub(crate) fn set_lookups(&self, addresses: Vec<String>) {
        self.known_lookups.set(&addresses);
        self.lookups.send_replace(addresses);
    }

    /// Nanoseconds since the Unix epoch, which end in the year 2262.
    pub(crate) fn unix_ns(&self) -> i64 {
        self.clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX)
    }
}
