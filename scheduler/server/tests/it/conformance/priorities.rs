//! Within a task queue, what has the higher priority goes first.

use punctual_scheduler::store::{NewRun, OneOffRun, TriggerOptions};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::priority::Priority;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, a_one_off, seconds};

on_both_stores!(
    the_window_goes_to_the_higher_priority_then_to_the_earlier_due,
    a_long_backlog_of_higher_priority_leaves_nothing_to_a_lower_one,
    a_trigger_may_have_another_priority_than_its_job,
);

fn priority(number: u32) -> Priority {
    Priority::new(number).unwrap()
}

async fn one_off(world: &World, number: u32) -> RunId {
    let run = OneOffRun { priority: priority(number), ..a_one_off(RunId(Uuid::now_v7())) };
    world.create(NewRun::OneOff(Box::new(run))).await
}

async fn the_window_goes_to_the_higher_priority_then_to_the_earlier_due(world: World) {
    let mut runs = Vec::new();
    for number in [0, 5, 9] {
        let mut of_number = Vec::new();
        for _ in 0..60 {
            world.advance(seconds(1));
            of_number.push(one_off(&world, number).await);
        }
        runs.push(of_number);
    }
    let mut admitted: Vec<_> = world.admit().await.dispatches.iter().map(|dispatch| dispatch.run).collect();
    admitted.sort_unstable();
    let mut expected = [&runs[1][..40], &runs[2][..]].concat();
    expected.sort_unstable();
    assert_eq!(admitted, expected);
}

async fn a_long_backlog_of_higher_priority_leaves_nothing_to_a_lower_one(world: World) {
    world.worker(1_000).await;
    for number in [4, 6] {
        for _ in 0..400 {
            one_off(&world, number).await;
        }
    }
    // Each lane's share of one call is 250 runs.
    let first = world.admit().await;
    assert_eq!((first.dispatches.len(), first.more), (250, true));
    for dispatch in first.dispatches {
        assert_eq!(world.run(dispatch.run).await.priority, priority(6));
    }
    let second = world.admit().await.dispatches;
    assert_eq!(second.len(), 400, "150 of priority 6 are left, and 250 of the others are looked at");
}

async fn a_trigger_may_have_another_priority_than_its_job(world: World) {
    world.job("low", JobSpec { priority: priority(1), ..a_job() }).await;
    let low = world.trigger("low").await;
    let options = TriggerOptions { priority: Some(priority(8)), ..TriggerOptions::default() };
    let high = world.trigger_with("low", options).await;
    assert_eq!(world.run(low).await.priority, priority(1));
    assert_eq!(world.run(high).await.priority, priority(8));
    assert_eq!(world.admit().await.dispatches.len(), 2);
}
