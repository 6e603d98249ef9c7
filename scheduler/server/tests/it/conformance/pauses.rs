//! Pauses: by whom, why, until when.

use chrono::TimeDelta;
use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::job::{JobState, Misfire, Pause};

use super::on_both_stores;
use super::world::{World, every, seconds};

on_both_stores!(
    a_pause_ends_by_itself_and_nothing_after_its_end_is_lost,
    a_paused_job_may_be_paused_for_longer,
    a_pause_that_was_ended_by_hand_is_not_ended_again,
    an_update_does_not_end_a_pause,
);

fn pause(world: &World, reason: &str, for_seconds: i64) -> JobChange {
    let until = Some(world.now() + TimeDelta::seconds(for_seconds));
    JobChange::Pause { reason: reason.to_owned(), by: "ann".to_owned(), until }
}

async fn a_pause_ends_by_itself_and_nothing_after_its_end_is_lost(world: World) {
    world.job("tick", every(seconds(5))).await;
    let paused = world.change("tick", pause(&world, "lunch", 20)).await.unwrap();
    let expected =
        Pause { at: world.now(), by: "ann".to_owned(), until: Some(world.now() + TimeDelta::seconds(20)) };
    assert_eq!((paused.state, paused.state_reason.as_str()), (JobState::Paused, "lunch"));
    assert_eq!(paused.pause, Some(expected));
    assert_eq!(world.get_job("tick").await.unwrap(), paused);
    world.advance(seconds(19));
    world.plan().await;
    assert!(world.runs_of("tick").await.is_empty());
    // The planner comes late.
    world.advance(seconds(31));
    world.plan().await;
    let job = world.get_job("tick").await.unwrap();
    assert_eq!((job.state, job.pause, job.state_reason.as_str()), (JobState::Active, None, ""));
    let due: Vec<_> = world.runs_of("tick").await.iter().map(|run| run.due_at).collect();
    let first = World::beginning() + TimeDelta::milliseconds(24_750);
    assert_eq!(due[0], first, "the first instant from the end of the pause on");
    assert!(due.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(5)), "{due:?}");
    assert!(due.len() >= 6);
}

async fn a_paused_job_may_be_paused_for_longer(world: World) {
    world.job("tick", every(seconds(5))).await;
    let first = world.change("tick", pause(&world, "lunch", 20)).await.unwrap();
    world.advance(seconds(1));
    let second = world.change("tick", pause(&world, "siesta", 200)).await.unwrap();
    assert_eq!(second.revision, first.revision + 1);
    let (first, second) = (first.pause.unwrap(), second.pause.unwrap());
    assert_eq!(second.at, first.at, "it is one pause");
    world.advance(seconds(60));
    world.plan().await;
    assert_eq!(world.get_job("tick").await.unwrap().state, JobState::Paused);
}

async fn a_pause_that_was_ended_by_hand_is_not_ended_again(world: World) {
    world.job("tick", every(seconds(5))).await;
    world.change("tick", pause(&world, "lunch", 20)).await.unwrap();
    world.change("tick", JobChange::Resume { catch_up: false }).await.unwrap();
    world.plan().await;
    let before = world.get_job("tick").await.unwrap();
    world.advance(seconds(25));
    world.plan().await;
    assert_eq!(world.get_job("tick").await.unwrap().revision, before.revision);
}

async fn an_update_does_not_end_a_pause(world: World) {
    world.job("tick", every(seconds(5))).await;
    let paused = world.change("tick", pause(&world, "lunch", 20)).await.unwrap();
    let mut spec = every(seconds(7));
    spec.misfire = Misfire::All;
    let update = JobChange::Update { spec: Box::new(spec), back_to: None };
    let updated = world.change("tick", update).await.unwrap();
    assert_eq!((updated.state, updated.pause), (JobState::Paused, paused.pause));
    world.advance(seconds(21));
    world.plan().await;
    assert_eq!(world.get_job("tick").await.unwrap().state, JobState::Active);
}
