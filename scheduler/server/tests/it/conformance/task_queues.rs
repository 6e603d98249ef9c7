//! G9: a paused task queue admits nothing, and what fell due in it goes on when it does.

use punctual_scheduler::store::{NewRun, OneOffRun, StoreError, TaskQueueChange};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::name::{Namespace, TaskQueue, TaskQueuePath};
use punctual_scheduler_domain::run::RunState;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, a_one_off, seconds};

on_both_stores!(
    g9_what_falls_due_in_a_paused_task_queue_waits_until_it_goes_on,
    g9_a_pause_stops_nothing_that_is_queued_or_running,
    g9_what_waited_through_a_pause_is_judged_when_it_goes_on,
    a_task_queue_shows_what_it_is,
    a_task_queue_of_an_unknown_namespace_is_refused,
);

fn default_queue() -> TaskQueuePath {
    TaskQueuePath { namespace: Namespace::default(), task_queue: TaskQueue::default() }
}

async fn pause(world: &World) {
    let change = TaskQueueChange::Pause { reason: "the disk is full".to_owned() };
    world.store.change_task_queue(&default_queue(), &change).await.unwrap();
}

async fn resume(world: &World) {
    world.store.change_task_queue(&default_queue(), &TaskQueueChange::Resume).await.unwrap();
}

async fn g9_what_falls_due_in_a_paused_task_queue_waits_until_it_goes_on(world: World) {
    world.job("work", a_job()).await;
    pause(&world).await;
    let node = world.node("one:4150", "a").await;
    let at_once = OneOffRun { node: Some(node), ..a_one_off(RunId(Uuid::now_v7())) };
    let runs = [world.trigger("work").await, world.create(NewRun::OneOff(Box::new(at_once))).await];
    assert_eq!(world.state(runs[1]).await, RunState::Scheduled, "it is not queued at once");
    let elsewhere =
        OneOffRun { task_queue: TaskQueue::new("other").unwrap(), ..a_one_off(RunId(Uuid::now_v7())) };
    let elsewhere = world.create(NewRun::OneOff(Box::new(elsewhere))).await;
    let admitted = world.admit().await;
    assert_eq!((admitted.blocked, admitted.dispatches[0].run), (2, elsewhere));
    for run in runs {
        let run = world.run(run).await;
        assert_eq!((run.state, run.reason.as_str()), (RunState::Blocked, "task_queue_paused"));
    }
    assert_eq!(world.store.unblock(100).await.unwrap().runs, 0);
    resume(&world).await;
    assert_eq!(world.admit().await.dispatches.len(), 2);
}

async fn g9_a_pause_stops_nothing_that_is_queued_or_running(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(10).await;
    let running = world.running("work", session).await;
    world.trigger("work").await;
    let queued = world.admit_one().await;
    pause(&world).await;
    let second = world.granted(session, &queued).await;
    world.finish(session, &second, AttemptOutcome::Succeeded).await;
    world.finish(session, &running, AttemptOutcome::Failed).await;
    // Its retry falls due, and waits like any other.
    world.advance(seconds(5));
    assert_eq!(world.admit().await.blocked, 1);
    resume(&world).await;
    assert_eq!(world.admit_one().await.run, running.run);
}

async fn g9_what_waited_through_a_pause_is_judged_when_it_goes_on(world: World) {
    world.job("alone", JobSpec { overlap: Overlap::Skip, ..a_job() }).await;
    pause(&world).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        world.advance(seconds(1));
        runs.push(world.trigger("alone").await);
        assert_eq!(world.admit().await.blocked, 1);
    }
    resume(&world).await;
    assert_eq!(world.admit_one().await.run, runs[0]);
    assert_eq!(world.state(runs[1]).await, RunState::Skipped);
    assert_eq!(world.state(runs[2]).await, RunState::Skipped);
}

async fn a_task_queue_shows_what_it_is(world: World) {
    world.worker(7).await;
    world.job("work", a_job()).await;
    world.trigger("work").await;
    world.admit_one().await;
    pause(&world).await;
    let since = world.now();
    world.advance(seconds(9));
    pause(&world).await;
    let spare = TaskQueuePath { task_queue: TaskQueue::new("spare").unwrap(), ..default_queue() };
    world.store.change_task_queue(&spare, &TaskQueueChange::Resume).await.unwrap();
    let all = world.store.list_task_queues(&Namespace::default()).await.unwrap();
    let [queue] = &all[..] else { panic!("{all:?}") };
    assert_eq!(queue.path, default_queue());
    assert_eq!((queue.paused_at, queue.pause_reason.as_str()), (Some(since), "the disk is full"));
    assert_eq!((queue.queued, queue.places), (1, 7));
}

async fn a_task_queue_of_an_unknown_namespace_is_refused(world: World) {
    let path = TaskQueuePath { namespace: Namespace::new("nowhere").unwrap(), ..default_queue() };
    for change in [TaskQueueChange::Pause { reason: String::new() }, TaskQueueChange::Resume] {
        let refused = world.store.change_task_queue(&path, &change).await;
        assert!(matches!(refused, Err(StoreError::UnknownNamespace(_))), "{refused:?}");
    }
    let refused = world.store.list_task_queues(&path.namespace).await;
    assert!(matches!(refused, Err(StoreError::UnknownNamespace(_))), "{refused:?}");
}
