//! Instants that nobody planned in time, under each policy.

use std::time::Duration;

use chrono::TimeDelta;
use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::job::{CatchUp, JobSpec, Misfire};

use super::on_both_stores;
use super::world::{World, every, seconds};

on_both_stores!(
    skip_makes_up_for_nothing,
    all_makes_up_for_the_latest_within_window_and_limit,
    a_job_may_say_how_late_is_missed,
    what_fell_due_in_a_pause_is_not_made_up_for_unless_asked,
    a_long_catch_up_is_planned_call_by_call,
);

fn with(period: Duration, misfire: Misfire, catchup: CatchUp) -> JobSpec {
    JobSpec { misfire, catchup, ..every(period) }
}

/// How long before now each run of the job was due, in seconds, the oldest first.
async fn ages(world: &World, job: &str) -> Vec<i64> {
    let due = world.runs_of(job).await.into_iter().map(|run| (world.now() - run.due_at).num_seconds());
    due.filter(|age| *age >= 0).collect()
}

async fn skip_makes_up_for_nothing(world: World) {
    world.job("tick", with(seconds(60), Misfire::Skip, CatchUp::default())).await;
    world.advance(seconds(1_800));
    let planned = world.plan().await;
    assert_eq!(ages(&world, "tick").await, [0], "it is a quarter of a second past the full minute");
    assert_eq!(planned.missed, 29);
}

async fn all_makes_up_for_the_latest_within_window_and_limit(world: World) {
    let catchup = CatchUp { window: seconds(600), limit: 5, ..CatchUp::default() };
    world.job("tick", with(seconds(60), Misfire::All, catchup)).await;
    world.advance(seconds(1_800));
    let planned = world.plan().await;
    assert_eq!(ages(&world, "tick").await, [300, 240, 180, 120, 60, 0]);
    assert_eq!(planned.missed, 24);
}

async fn a_job_may_say_how_late_is_missed(world: World) {
    let catchup = CatchUp { after: seconds(300), ..CatchUp::default() };
    world.job("tick", with(seconds(60), Misfire::Skip, catchup)).await;
    world.advance(seconds(1_800));
    assert_eq!(world.plan().await.missed, 25);
    assert_eq!(ages(&world, "tick").await, [240, 180, 120, 60, 0]);
}

async fn what_fell_due_in_a_pause_is_not_made_up_for_unless_asked(world: World) {
    for name in ["asked", "not-asked"] {
        world.job(name, with(seconds(60), Misfire::All, CatchUp::default())).await;
        let pause = JobChange::Pause { reason: String::new(), by: "ann".to_owned(), until: None };
        world.change(name, pause).await.unwrap();
    }
    world.advance(seconds(600));
    for (name, catch_up) in [("asked", true), ("not-asked", false)] {
        let resumed = world.change(name, JobChange::Resume { catch_up }).await.unwrap();
        assert_eq!(resumed.pause, None);
    }
    assert_eq!(world.plan().await.missed, 0);
    assert_eq!(ages(&world, "asked").await, [540, 480, 420, 360, 300, 240, 180, 120, 60, 0]);
    assert_eq!(ages(&world, "not-asked").await, [0_i64; 0]);
}

async fn a_long_catch_up_is_planned_call_by_call(world: World) {
    let catchup = CatchUp { window: seconds(7 * 86_400), limit: 1_000, ..CatchUp::default() };
    world.job("tick", with(seconds(1), Misfire::All, catchup)).await;
    // More instants than one call looks at.
    world.advance(seconds(150_000));
    let planned = world.plan().await;
    let due = world.runs_of("tick").await;
    assert!(due.windows(2).all(|pair| pair[1].due_at - pair[0].due_at == TimeDelta::seconds(1)), "no gap");
    let late = due.iter().filter(|run| run.due_at <= world.now()).count();
    assert_eq!(late, 1_000 + 60, "the thousand latest missed ones, and those that are just late");
    assert_eq!(planned.missed, 150_000 - 1_060);
}
