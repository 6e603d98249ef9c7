//! Which nodes a consumer is connected to.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, warn};

use super::{ConsumerOptions, Delivery, DiscoveryMode, Stages, roster::Roster, session::Session};
use crate::{
    address::NodeAddress,
    backoff::{Backoff, jittered},
    discovery::LookupClient,
};

/// The first wait before a node is dialled again.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A connection that stood this long was a good one: the next failure is a first one again.
const GOOD_CONNECTION: Duration = Duration::from_secs(5);

/// Keeps a connection to every node there is.
#[derive(Debug)]
pub(super) struct Membership {
    session: Session,
    lookups: LookupClient,
    mode: DiscoveryMode,
    interval: Duration,
    fixed: Vec<NodeAddress>,
    nodes: HashMap<NodeAddress, Listed>,
    keepers: JoinSet<NodeAddress>,
    stages: Stages,
}

/// Whether a node is still to be dialled again when its connection ends.
type Listed = Arc<AtomicBool>;

impl Membership {
    pub(super) fn new(
        options: ConsumerOptions,
        lookups: LookupClient,
        roster: Arc<Roster>,
        deliveries: mpsc::Sender<Delivery>,
        stages: Stages,
    ) -> Self {
        let ConsumerOptions { topic, channel, connection, nodes: fixed, .. } = options;
        Self {
            session: Session { topic, channel, connection, roster, deliveries, stages: stages.clone() },
            lookups,
            mode: options.discovery,
            interval: options.discovery_interval,
            fixed,
            nodes: HashMap::new(),
            keepers: JoinSet::new(),
            stages,
        }
    }

    /// Runs until the consumer closes and every connection has ended.
    pub(super) async fn run(mut self) {
        let stopping = self.stages.stopping.clone();
        for node in self.fixed.clone() {
            self.add(node);
        }
        let mut next_poll = Instant::now();
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(ended) = self.keepers.join_next() => self.forget(ended),
                () = sleep_until(next_poll), if self.lookups.has_lookups() => {
                    tokio::select! {
                        () = stopping.cancelled() => break,
                        () = self.poll() => {}
                    }
                    next_poll = Instant::now() + jittered(self.interval);
                }
            }
        }
        while self.keepers.join_next().await.is_some() {}
    }

    /// Asks the lookups, and follows what they say.
    async fn poll(&mut self) {
        let listing = match self.mode {
            DiscoveryMode::Topic => self.lookups.producers(&self.session.topic).await,
            DiscoveryMode::AllNodes => self.lookups.nodes().await,
        };
        for error in &listing.failed {
            debug!(%error, "a lookup could not be asked");
        }
        // A lookup that is silent, or has just started, says nothing about the nodes it does not list.
        if listing.is_complete() {
            for (node, listed) in &self.nodes {
                let wanted = listing.nodes.contains(node) || self.fixed.contains(node);
                listed.store(wanted, Ordering::Relaxed);
            }
        }
        for node in listing.nodes {
            self.add(node);
        }
    }

    fn add(&mut self, node: NodeAddress) {
        if let Some(listed) = self.nodes.get(&node) {
            listed.store(true, Ordering::Relaxed);
            return;
        }
        let listed = Arc::new(AtomicBool::new(true));
        self.nodes.insert(node.clone(), listed.clone());
        self.keepers.spawn(keep(self.session.clone(), node, listed));
    }

    fn forget(&mut self, ended: Result<NodeAddress, tokio::task::JoinError>) {
        match ended {
            Ok(node) => drop(self.nodes.remove(&node)),
            // It can only have panicked. That is a bug, and must not pass for a node that is away.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

/// Connects to one node again and again, until it is not listed any more or the consumer closes.
async fn keep(session: Session, node: NodeAddress, listed: Listed) -> NodeAddress {
    let stopping = session.stages.stopping.clone();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let started = Instant::now();
        let end = session.run(&node).await;
        if stopping.is_cancelled() || !listed.load(Ordering::Relaxed) {
            return node;
        }
        if started.elapsed() >= GOOD_CONNECTION {
            backoff.reset();
        }
        let wait = backoff.next();
        if let Err(error) = end {
            warn!(node.address = %node, %error, retry_ms = wait.as_millis(), "not subscribed at a queue node");
        }
        tokio::select! {
            () = stopping.cancelled() => return node,
            () = sleep(wait) => {}
        }
    }
}
