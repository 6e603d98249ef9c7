//! Everything that can be lost is lost, now and then; no run may be.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use punctual_scheduler::publisher::Owned;
use punctual_scheduler::reconciler::Reconciler;
use punctual_scheduler::store::{EndedReplica, JobChange};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::run::RunState;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::scene::Scene;
use crate::conformance::world::{REPLICA, World, a_job, every, seconds};

/// Seeds of one test run; the first of them that fails is named.
const SEEDS: u64 = 12;
/// Four minutes of trouble, in steps.
const TROUBLE: usize = 2_400;

#[tokio::test]
async fn whatever_is_lost_every_run_ends_and_no_two_attempts_live_at_once() {
    for seed in 0..SEEDS {
        let mut scene = troubled(seed).await;
        recovered(&mut scene, seed).await;
    }
}

/// Jobs of both kinds of overlap, some of whose attempts fail, and a fleet that is a little too small.
async fn begin(seed: u64) -> Scene {
    let mut scene = Scene::new().await;
    let retry = RetryPolicy { max_tries: 4, ..a_job().retry };
    for number in 0..10 {
        let overlap = if number % 2 == 0 { Overlap::Allow } else { Overlap::Skip };
        let spec = JobSpec { overlap, retry: retry.clone(), ..every(seconds(1 + number % 3)) };
        scene.world.job(&format!("job{number}"), spec).await;
    }
    for _ in 0..3 {
        scene.fleet.join(&scene.world, 4, TimeDelta::milliseconds(1_300)).await;
    }
    scene.fleet.fails_every = 7 + usize::try_from(seed).unwrap();
    scene.fleet.misses_every = 50;
    scene
}

async fn troubled(seed: u64) -> Scene {
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = begin(seed).await;
    for _ in 0..TROUBLE {
        scene.plan().await;
        for doorbells in scene.admit().await {
            match random.random_range(0..100) {
                // The scheduler dies between admitting and publishing, and nobody takes over.
                0..4 => {}
                // The same, and a successor takes over within the lease.
                4..8 => {
                    let ended = EndedReplica { id: REPLICA, expired_at: scene.world.now() };
                    let again = scene.world.store.adopt_dispatches(REPLICA, &ended, 1_000).await.unwrap();
                    scene.publish(again);
                }
                // The answer to a publish is lost, and it is repeated.
                8..14 => {
                    scene.publish(doorbells.clone());
                    scene.publish(doorbells);
                }
                _ => scene.publish(doorbells),
            }
        }
        match random.random_range(0..1_000) {
            0..4 => {
                // A worker process dies, and another one is started in its place.
                let place = random.random_range(0..scene.fleet.workers.len());
                scene.fleet.workers.remove(place);
                scene.fleet.join(&scene.world, 4, TimeDelta::milliseconds(1_300)).await;
            }
            4..7 => {
                let place = random.random_range(0..scene.fleet.workers.len());
                let frozen = &mut scene.fleet.workers[place].frozen;
                *frozen = !*frozen;
            }
            7..8 => {
                // The node loses its disk, and comes back as another one.
                scene.queue.lose();
                let identity = scene.world.now().to_rfc3339();
                scene.node = scene.world.node("one:4150", &identity).await;
            }
            8..10 => scene.queue.lose(),
            _ => {}
        }
        scene.work().await;
        check(&scene, seed);
    }
    scene
}

fn check(scene: &Scene, seed: u64) {
    let now = scene.world.now();
    assert_eq!(scene.fleet.doubled, 0, "seed {seed} at {now}: a run is executed twice at once");
}

/// The trouble is over, nothing new falls due: what there is comes to its end.
async fn recovered(scene: &mut Scene, seed: u64) {
    for worker in &mut scene.fleet.workers {
        worker.frozen = false;
    }
    scene.fleet.misses_every = 0;
    for number in 0..10 {
        let pause = JobChange::Pause { reason: String::new(), by: String::new(), until: None };
        scene.world.change(&format!("job{number}"), pause).await.unwrap();
    }
    // The longest redelivery that a few losses lead to, and time to work the backlog off.
    for _ in 0..6_000 {
        scene.step().await;
        check(scene, seed);
    }
    for number in 0..10 {
        let (name, period) = (format!("job{number}"), 1 + number % 3);
        let runs = scene.world.runs_of(&name).await;
        let expected = expected_instants(Duration::from_secs(period));
        assert_eq!(runs.len(), expected, "seed {seed}: {name} has a run for each instant");
        for run in &runs {
            let may_be_skipped = number % 2 == 1;
            let ended = match run.state {
                RunState::Succeeded | RunState::Failed => run.attempts > 0,
                RunState::Skipped => may_be_skipped && run.attempts == 0,
                _ => false,
            };
            assert!(ended, "seed {seed}: {run:?}");
        }
        assert!(runs.iter().any(|run| run.state == RunState::Succeeded), "seed {seed}: {name} got nowhere");
    }
    // What the schedulers would say of themselves.
    let found = Reconciler::new(Arc::clone(&scene.world.store), Owned::default()).look().await.unwrap();
    assert!(found.expected > 0, "seed {seed}: {found:?}");
    assert_eq!((found.found, found.absent, found.unexpected), (found.expected, 0, 0), "seed {seed}");
}

/// How many instants of a period lie in the trouble.
fn expected_instants(period: Duration) -> usize {
    let from = World::beginning().timestamp_millis();
    let to = from + i64::try_from(TROUBLE * 100).unwrap();
    let period = i64::try_from(period.as_millis()).unwrap();
    usize::try_from(to.div_euclid(period) - from.div_euclid(period)).unwrap()
}
