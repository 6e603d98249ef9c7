//! How far planning and workers are behind.

use std::time::Duration;

use punctual_scheduler::store::{NewRun, OneOffRun};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::name::{TaskQueue, TaskQueuePath};
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, a_one_off, a_task, every, seconds};

on_both_stores!(
    what_is_due_or_queued_counts_as_waiting_and_what_runs_does_not,
    the_schedule_lags_by_the_oldest_instant_that_is_not_planned,
);

async fn waiting(world: &World, task_queue: &TaskQueue) -> Option<u64> {
    let path = TaskQueuePath { namespace: Default::default(), task_queue: task_queue.clone() };
    world.store.backlog().await.unwrap().waiting.get(&path).copied()
}

async fn what_is_due_or_queued_counts_as_waiting_and_what_runs_does_not(world: World) {
    let (queue, other) = (TaskQueue::default(), TaskQueue::new("other").unwrap());
    assert_eq!(waiting(&world, &queue).await, None, "a task queue that never had a run");
    world.job("work", a_job()).await;
    assert_eq!(waiting(&world, &queue).await, Some(0));
    let session = world.worker(1).await;
    let running = world.running("work", session).await;
    assert_eq!(waiting(&world, &queue).await, Some(0));
    world.trigger("work").await;
    world.admit_one().await;
    world.trigger("work").await;
    // Of another kind, in the same task queue; and one that is due later.
    let one_off = || a_one_off(RunId(Uuid::now_v7()));
    world.create(NewRun::OneOff(Box::new(OneOffRun { task: a_task("play"), ..one_off() }))).await;
    let later = Some(world.now() + Duration::from_secs(5));
    world.create(NewRun::OneOff(Box::new(OneOffRun { run_at: later, ..one_off() }))).await;
    let elsewhere = OneOffRun { task_queue: other.clone(), ..one_off() };
    world.create(NewRun::OneOff(Box::new(elsewhere))).await;
    assert_eq!((waiting(&world, &queue).await, waiting(&world, &other).await), (Some(3), Some(1)));
    world.finish(session, &running, AttemptOutcome::Failed).await;
    assert_eq!(waiting(&world, &queue).await, Some(3), "a retry waits for its back-off");
    world.advance(seconds(5));
    assert_eq!(waiting(&world, &queue).await, Some(5), "and then for a worker, like what is due now");
}

async fn the_schedule_lags_by_the_oldest_instant_that_is_not_planned(world: World) {
    let lag = async || world.store.backlog().await.unwrap().schedule_lag;
    assert_eq!(lag().await, Duration::ZERO, "nothing is to be planned");
    world.job("minutely", every(seconds(60))).await;
    world.job("tick", every(seconds(1))).await;
    assert_eq!(lag().await, Duration::ZERO, "nothing is due yet");
    world.advance(seconds(10));
    // The beginning lies a quarter of a second past a whole one, so the first tick was 750 ms later.
    assert_eq!(lag().await, Duration::from_millis(9_250));
    world.plan().await;
    assert_eq!(lag().await, Duration::ZERO);
}
