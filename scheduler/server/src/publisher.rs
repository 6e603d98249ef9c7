//! The publisher: admits runs when they fall due, and sends their doorbells to the queue nodes.
//!
//! Three loops share the work. The lease keeper says which shards are this replica's; the admitter waits for the
//! next due instant of those shards, on the database's time, and lets the store admit; the sender publishes what was
//! admitted, and finds another node where a publish was refused or its outcome is unknown.

mod admit;
mod lease;
mod room;
mod send;

use std::sync::Arc;

use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use punctual_service::health::Health;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::Doorbells;
use crate::database_clock::DatabaseClock;
use crate::nodes::Nodes;
use crate::store::{Dispatch, NodeId, Replica, Store};
use crate::wake::Wake;

pub use lease::Owned;
use room::Rooms;

/// Batches of doorbells that wait to be sent. When the nodes are slower than admission, admission waits here.
const SEND_BACKLOG: usize = 256;

/// Admits and publishes until told to stop.
pub struct Publisher {
    shared: Shared,
    admitted: mpsc::Receiver<Vec<Dispatch>>,
    created: mpsc::UnboundedReceiver<Vec<Dispatch>>,
    health: Health,
}

/// What the loops have in common.
#[derive(Clone)]
struct Shared {
    store: Arc<dyn Store>,
    clock: DatabaseClock,
    nodes: Nodes,
    replica: Replica,
    owned: Owned,
    rooms: Rooms,
    wake: Wake,
    admitted: mpsc::Sender<Vec<Dispatch>>,
    created: mpsc::UnboundedSender<Vec<Dispatch>>,
}

impl Publisher {
    /// A publisher for one replica.
    pub fn new(
        store: Arc<dyn Store>,
        clock: DatabaseClock,
        nodes: Nodes,
        replica: Replica,
        wake: Wake,
        health: Health,
    ) -> Self {
        let (admitted_sender, admitted) = mpsc::channel(SEND_BACKLOG);
        // Unbounded, because a call must not wait here; each item belongs to a call, and those are bounded.
        let (created_sender, created) = mpsc::unbounded_channel();
        let shared = Shared {
            store,
            clock,
            nodes,
            replica,
            owned: Owned::default(),
            rooms: Rooms::default(),
            wake,
            admitted: admitted_sender,
            created: created_sender,
        };
        Self { shared, admitted, created, health }
    }

    /// For the calls that create runs.
    pub fn doorbells(&self) -> Arc<dyn Doorbells> {
        Arc::new(self.shared.clone())
    }

    /// The shards this replica owns, as they come and go.
    pub fn owned(&self) -> Owned {
        self.shared.owned.clone()
    }

    /// Runs until `shutdown`; then stops admitting, sends what is in hand, and gives its shards up.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { shared, admitted, created, health } = self;
        let stopped = CancellationToken::new();
        let lease = lease::keep(shared.clone(), health, stopped.clone());
        let rooms = room::refresh(shared.clone(), shutdown.clone());
        let sending = CancellationToken::new();
        let send = send::run(shared.clone(), admitted, created, sending.clone());
        let admit = async {
            admit::run(&shared, shutdown).await;
            sending.cancel();
        };
        let work = async {
            tokio::join!(admit, send, rooms);
            // Only now: a shard given up before its doorbells went out would have them published twice.
            stopped.cancel();
        };
        tokio::join!(lease, work);
    }
}

impl Doorbells for Shared {
    fn room_for(&self, namespace: &Namespace, task_queue: &TaskQueue, kind: &Kind) -> Option<NodeId> {
        let nodes = self.nodes.usable();
        self.rooms.take(namespace, task_queue, kind, &nodes)
    }

    fn send(&self, dispatches: Vec<Dispatch>) {
        // Fails only while stopping, when the next owner publishes them.
        let _ = self.created.send(dispatches);
    }

    fn wake(&self) {
        self.wake.all();
    }
}
