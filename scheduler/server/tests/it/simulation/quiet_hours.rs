//! Nobody works for ten minutes; then a fleet comes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::run::RunState;

use super::scene::{STEP, Scene};
use crate::conformance::world::{every, seconds};

const JOBS: usize = 200;
const QUIET: u64 = 600;

/// So many runs are queued with no worker.
const WINDOW: u32 = 100;

#[tokio::test]
async fn ten_minutes_without_a_worker_cause_no_storm_and_then_every_run_runs_once() {
    let mut scene = Scene::new().await;
    let names: Vec<_> = (0..JOBS).map(|number| format!("job{number}")).collect();
    for name in &names {
        scene.world.job(name, every(seconds(1))).await;
    }
    let steps = |seconds: u64| seconds * 1000 / u64::try_from(STEP.as_millis()).unwrap();
    for _ in 0..steps(QUIET) {
        scene.step().await;
        let queued = scene.queued().await;
        assert!(queued <= WINDOW, "{queued} runs are queued");
    }
    // 30 s, 60 s, 120 s and 240 s after each other: five doorbells for each of the first hundred runs.
    let doorbells = scene.doorbells;
    assert!(doorbells <= 5 * WINDOW as usize, "{doorbells} doorbells were sent to nobody");
    assert!(doorbells >= WINDOW as usize, "nothing would wake an autoscaler");

    for _ in 0..20 {
        scene.fleet.join(&scene.world, 50, TimeDelta::seconds(1)).await;
    }
    for name in &names {
        let pause = JobChange::Pause { reason: String::new(), by: String::new(), until: None };
        scene.world.change(name, pause).await.unwrap();
    }
    let mut waited = 0;
    while !scene.is_idle().await {
        scene.step().await;
        waited += 1;
        assert!(scene.queued().await <= 2_000, "the window is twice the places");
        assert!(waited < steps(300), "120,000 runs at a thousand a second take about two minutes");
    }
    for _ in 0..steps(2) {
        scene.step().await;
    }

    let runs = scene.world.all_runs().await;
    let mut due: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for run in &runs {
        assert!(due.entry(&run.job).or_default().insert(run.due_at), "an instant twice: {run:?}");
        assert_eq!((run.state, run.attempts), (RunState::Succeeded, 1), "{run:?}");
    }
    let instants = usize::try_from(QUIET).unwrap();
    assert!(due.len() == JOBS && due.values().all(|due| due.len() == instants), "an instant is missing");
    let runs = runs.len();
    assert_eq!((scene.fleet.stored, scene.fleet.doubled), (runs, 0));
    let sent = scene.doorbells - doorbells;
    assert!(sent <= runs, "with a fleet there, each run needs one doorbell at most: {sent} for {runs}");
    assert_eq!(scene.queue.depth(), 0);
}
