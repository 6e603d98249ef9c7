//! The parts of a Punctual, each doing one round of its loop when told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::planner::Planner;
use punctual_scheduler::store::{AdmitRequest, Dispatch, NodeId};
use punctual_scheduler::wake::Wake;
use punctual_scheduler_domain::id::Shard;

use super::fleet::Fleet;
use crate::conformance::world::{REPLICA, World};

/// How long a message may be in flight before the queue delivers it again.
const MESSAGE_TIMEOUT: TimeDelta = TimeDelta::seconds(60);
/// One round of everything.
pub(super) const STEP: Duration = Duration::from_millis(100);

/// A topic and its one channel.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<Dispatch>,
    in_flight: Vec<(DateTime<Utc>, Dispatch)>,
}

impl Queue {
    pub(super) fn publish(&mut self, doorbells: impl IntoIterator<Item = Dispatch>) {
        self.ready.extend(doorbells);
    }

    /// The next message; it is in flight until [`Queue::finish`] or its time-out.
    pub(super) fn deliver(&mut self, now: DateTime<Utc>) -> Option<Dispatch> {
        let message = self.ready.pop_front()?;
        self.in_flight.push((now + MESSAGE_TIMEOUT, message.clone()));
        Some(message)
    }

    pub(super) fn finish(&mut self, message: &Dispatch) {
        self.in_flight.retain(|(_, other)| other != message);
    }

    /// Delivers again what was not finished in time.
    fn time_out(&mut self, now: DateTime<Utc>) {
        let late = self.in_flight.extract_if(.., |(until, _)| *until <= now);
        self.ready.extend(late.map(|(_, message)| message));
    }

    /// Everything on it is gone, as with its disk.
    pub(super) fn lose(&mut self) {
        *self = Self::default();
    }

    pub(super) fn depth(&self) -> usize {
        self.ready.len()
    }
}

pub(super) struct Scene {
    pub(super) world: World,
    planner: Planner,
    pub(super) node: NodeId,
    pub(super) queue: Queue,
    pub(super) fleet: Fleet,
    /// Doorbells sent so far.
    pub(super) doorbells: usize,
    steps: u64,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let world = World::model();
        let node = world.node("one:4150", "a").await;
        let planner = Planner::new(Arc::clone(&world.store), Wake::default());
        let (queue, fleet) = (Queue::default(), Fleet::default());
        Self { world, planner, node, queue, fleet, doorbells: 0, steps: 0 }
    }

    /// One step of time, and what each part does in it.
    pub(super) async fn step(&mut self) {
        self.plan().await;
        for doorbells in self.admit().await {
            self.publish(doorbells);
        }
        self.work().await;
    }

    /// Moves time on; the planner looks every 500 ms.
    pub(super) async fn plan(&mut self) {
        self.world.advance(STEP);
        self.steps += 1;
        if self.steps.is_multiple_of(5) {
            self.planner.plan().await.unwrap();
        }
    }

    /// Admits until nothing more is due. What was admitted is not sent yet.
    pub(super) async fn admit(&self) -> Vec<Vec<Dispatch>> {
        let mut admitted = Vec::new();
        loop {
            let shards: Vec<_> = Shard::all().collect();
            let now = self.world.now();
            let mut lanes = self.world.store.due_lanes(&shards).await.unwrap();
            lanes.retain(|lane| lane.first_run_at <= now);
            if lanes.is_empty() {
                return admitted;
            }
            let (nodes, ahead) = (vec![self.node], Duration::ZERO);
            let request = AdmitRequest { publisher: REPLICA, shards, lanes, nodes, ahead, limit: 500 };
            let round = self.world.store.admit_due_runs(&request).await.unwrap();
            admitted.push(round.dispatches);
            if !round.more {
                return admitted;
            }
        }
    }

    pub(super) fn publish(&mut self, doorbells: Vec<Dispatch>) {
        self.doorbells += doorbells.len();
        self.queue.publish(doorbells);
    }

    /// The queue, the workers, and the reaper, which looks every 300 ms.
    pub(super) async fn work(&mut self) {
        self.queue.time_out(self.world.now());
        self.fleet.work(&self.world, &mut self.queue).await;
        if self.steps.is_multiple_of(3) {
            while self.world.store.reap_sessions(500).await.unwrap().runs == 500 {}
            while self.world.store.reap_runs(500).await.unwrap().runs == 500 {}
            while self.world.store.requeue_lost(&[], &[], 1000).await.unwrap().runs == 1000 {}
        }
    }

    /// Nothing waits: no run is scheduled or queued.
    pub(super) async fn is_idle(&self) -> bool {
        let shards: Vec<_> = Shard::all().collect();
        self.queued().await == 0 && self.world.store.due_lanes(&shards).await.unwrap().is_empty()
    }

    pub(super) async fn queued(&self) -> u32 {
        self.world.store.queued_counts().await.unwrap().values().sum()
    }
}
