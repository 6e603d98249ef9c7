//! Workers: each takes a place for a message, asks for the attempt, executes it and reports.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::store::{Dispatch, FinishAnswer, Grant, StartAnswer};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::SessionId;

use super::scene::Queue;
use crate::conformance::world::World;

const BEAT_EVERY: TimeDelta = TimeDelta::seconds(2);

/// How long attempts may be executed after a heartbeat was sent.
const WORKER_LEASE: TimeDelta = TimeDelta::seconds(10);

/// What a worker executes, and until when.
#[derive(Debug)]
struct Attempt {
    grant: Grant,
    until: DateTime<Utc>,
}

#[derive(Debug)]
pub(super) struct Worker {
    session: SessionId,
    places: usize,
    takes: TimeDelta,
    beat_at: DateTime<Utc>,
    held: Vec<Attempt>,
    /// Neither beats nor works, and does not know it.
    pub(super) frozen: bool,
}

#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) workers: Vec<Worker>,
    /// Reports that were stored.
    pub(super) stored: usize,
    /// Grants of attempts whose run another worker still executed, as far as that one knew.
    pub(super) doubled: usize,
    /// Out of how many executions one fails, by its place in the row; 0 for none.
    pub(super) fails_every: usize,
    /// Of how many answers to `StartAttempt` one never arrives; 0 for none.
    pub(super) misses_every: usize,
    executed: usize,
    asked: usize,
}

impl Fleet {
    /// A worker more, whose attempts take this long.
    pub(super) async fn join(&mut self, world: &World, places: u32, takes: TimeDelta) {
        let session = world.worker(places).await;
        let places = usize::try_from(places).unwrap();
        let beat_at = world.now();
        self.workers.push(Worker { session, places, takes, beat_at, held: Vec::new(), frozen: false });
    }

    pub(super) async fn work(&mut self, world: &World, queue: &mut Queue) {
        for place in 0..self.workers.len() {
            if !self.workers[place].frozen {
                self.beat(world, place).await;
                self.report(world, place).await;
                self.take(world, queue, place).await;
            }
        }
    }

    async fn beat(&mut self, world: &World, place: usize) {
        let worker = &mut self.workers[place];
        if world.now() - worker.beat_at < BEAT_EVERY {
            return;
        }
        let held: Vec<_> =
            worker.held.iter().map(|attempt| (attempt.grant.run, attempt.grant.attempt)).collect();
        match world.beat(worker.session, &held).await {
            Some(answer) => {
                worker.beat_at = world.now();
                worker
                    .held
                    .retain(|attempt| !answer.lost.contains(&(attempt.grant.run, attempt.grant.attempt)));
            }
            // The session is lost: everything stops, and the worker begins anew.
            None => {
                let (places, takes) = (u32::try_from(worker.places).unwrap(), worker.takes);
                self.workers.remove(place);
                self.join(world, places, takes).await;
                let last = self.workers.len() - 1;
                self.workers.swap(place, last);
            }
        }
    }

    /// Reports what is done.
    async fn report(&mut self, world: &World, place: usize) {
        let now = world.now();
        let done: Vec<_> = self.workers[place].held.extract_if(.., |attempt| attempt.until <= now).collect();
        for attempt in done {
            self.executed += 1;
            let fails = self.fails_every > 0 && self.executed.is_multiple_of(self.fails_every);
            let outcome = if fails { AttemptOutcome::Failed } else { AttemptOutcome::Succeeded };
            let answer = world.finish(self.workers[place].session, &attempt.grant, outcome).await;
            self.stored += usize::from(answer == FinishAnswer::Stored);
        }
    }

    /// Takes messages into its free places.
    async fn take(&mut self, world: &World, queue: &mut Queue, place: usize) {
        while self.workers[place].held.len() < self.workers[place].places {
            let Some(message) = queue.deliver(world.now()) else { return };
            self.start(world, queue, place, &message).await;
        }
    }

    async fn start(&mut self, world: &World, queue: &mut Queue, place: usize, message: &Dispatch) {
        let worker = &mut self.workers[place];
        let answer = world.start(worker.session, message).await;
        self.asked += 1;
        if self.misses_every > 0 && self.asked.is_multiple_of(self.misses_every) {
            return;
        }
        match answer {
            StartAnswer::Granted(grant) => {
                queue.finish(message);
                // Told of the same attempt twice, it executes it once.
                if worker
                    .held
                    .iter()
                    .all(|held| (held.grant.run, held.grant.attempt) != (grant.run, grant.attempt))
                {
                    let until = world.now() + worker.takes;
                    let run = grant.run;
                    worker.held.push(Attempt { grant: *grant, until });
                    // A worker whose lease has run out stops by itself, before it does anything else.
                    let now = world.now();
                    let alive = self.workers.iter().filter(|worker| now < worker.beat_at + WORKER_LEASE);
                    let holders = alive.flat_map(|worker| &worker.held).filter(|held| held.grant.run == run);
                    self.doubled += usize::from(holders.count() > 1);
                }
            }
            StartAnswer::Gone(_) => queue.finish(message),
            StartAnswer::NotDue(wait) => panic!("{wait:?} early"),
        }
    }
}
