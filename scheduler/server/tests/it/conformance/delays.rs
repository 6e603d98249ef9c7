//! Fixed delays: the end of a run puts the next instant.

use chrono::TimeDelta;
use punctual_scheduler::store::JobChange;
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::job::{JobSpec, JobState, Misfire, Overlap};
use punctual_scheduler_domain::run::RunState;
use punctual_scheduler_domain::schedule::ScheduleSpec;

use super::on_both_stores;
use super::world::{World, a_job, every, seconds};

on_both_stores!(
    the_end_of_a_run_puts_the_next_instant,
    however_late_it_is_planned_it_runs,
    a_run_that_fails_is_followed_too,
    an_update_or_a_pause_does_not_break_the_chain,
    a_delay_with_an_end_is_exhausted_after_it,
    the_ends_of_other_jobs_runs_put_nothing,
);

fn delayed(seconds_: u64) -> JobSpec {
    let schedule = vec![ScheduleSpec::delay(seconds(seconds_))];
    JobSpec { schedule, overlap: Overlap::Skip, misfire: Misfire::Skip, ..a_job() }
}

/// Waits for the next run, runs it for that long, and ends it so.
async fn run_one(world: &World, for_seconds: u64, outcome: AttemptOutcome) {
    let next = world.get_job("pause").await.unwrap().next_due_at;
    world.set_now(next.unwrap_or_default().max(world.now()));
    world.plan().await;
    let session = world.worker(5).await;
    let dispatch = world.admit_one().await;
    let grant = world.granted(session, &dispatch).await;
    world.advance(seconds(for_seconds));
    world.finish(session, &grant, outcome).await;
}

async fn the_end_of_a_run_puts_the_next_instant(world: World) {
    world.job("pause", delayed(30)).await;
    let first = world.get_job("pause").await.unwrap();
    assert_eq!(first.next_due_at, Some(world.now() + TimeDelta::seconds(30)), "counted from its creation");
    for _ in 0..3 {
        run_one(&world, 7, AttemptOutcome::Succeeded).await;
        let ended_at = world.now();
        assert_eq!(world.get_job("pause").await.unwrap().next_due_at, None);
        world.advance(seconds(1));
        world.plan().await;
        let job = world.get_job("pause").await.unwrap();
        assert_eq!((job.state, job.next_due_at), (JobState::Active, Some(ended_at + TimeDelta::seconds(30))));
    }
    assert_eq!(world.runs_of("pause").await.len(), 3, "one at a time");
}

async fn however_late_it_is_planned_it_runs(world: World) {
    world.job("pause", delayed(30)).await;
    world.advance(seconds(86_400));
    let planned = world.plan().await;
    assert_eq!((planned.runs, planned.missed), (1, 0));
}

async fn a_run_that_fails_is_followed_too(world: World) {
    let mut spec = delayed(5);
    spec.retry.max_tries = 1;
    world.job("pause", spec).await;
    run_one(&world, 1, AttemptOutcome::Failed).await;
    let failed = world.runs_of("pause").await;
    assert_eq!(failed[0].state, RunState::Failed);
    world.plan().await;
    assert_eq!(world.runs_of("pause").await.len(), 2, "within the look-ahead");
}

async fn an_update_or_a_pause_does_not_break_the_chain(world: World) {
    world.job("pause", delayed(4)).await;
    world.plan().await;
    assert_eq!(world.runs_of("pause").await.len(), 1, "planned ahead");
    let update = |spec| JobChange::Update { spec: Box::new(spec), back_to: None };
    let updated = world.change("pause", update(delayed(9))).await.unwrap();
    assert_eq!(updated.next_due_at, Some(world.now() + TimeDelta::seconds(9)), "counted anew");
    assert!(world.runs_of("pause").await.is_empty(), "what was planned ahead is unplanned");
    // While a run is under way its end is waited for.
    world.advance(seconds(9));
    world.plan().await;
    let session = world.worker(5).await;
    let dispatch = world.admit_one().await;
    let grant = world.granted(session, &dispatch).await;
    let updated = world.change("pause", update(delayed(4))).await.unwrap();
    assert_eq!((updated.state, updated.next_due_at), (JobState::Active, None));
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    let ended_at = world.now();
    world.plan().await;
    let due: Vec<_> = world.runs_of("pause").await.iter().map(|run| run.due_at).collect();
    assert_eq!(due.last(), Some(&(ended_at + TimeDelta::seconds(4))));
    let pause = JobChange::Pause { reason: String::new(), by: String::new(), until: None };
    world.change("pause", pause).await.unwrap();
    world.advance(seconds(100));
    let resumed = world.change("pause", JobChange::Resume { catch_up: true }).await.unwrap();
    assert_eq!(resumed.next_due_at, Some(world.now() + TimeDelta::seconds(4)));
}

async fn a_delay_with_an_end_is_exhausted_after_it(world: World) {
    let mut spec = delayed(5);
    spec.schedule[0].end = Some(world.now() + TimeDelta::seconds(8));
    world.job("pause", spec).await;
    run_one(&world, 1, AttemptOutcome::Succeeded).await;
    world.plan().await;
    let job = world.get_job("pause").await.unwrap();
    assert_eq!((job.state, job.next_due_at), (JobState::Exhausted, None));
}

async fn the_ends_of_other_jobs_runs_put_nothing(world: World) {
    let session = world.worker(5).await;
    world.job("pause", delayed(500)).await;
    world.job("tick", every(seconds(1))).await;
    let before = world.get_job("pause").await;
    let triggered = world.running("pause", session).await;
    world.finish(session, &triggered, AttemptOutcome::Succeeded).await;
    let other = world.running("tick", session).await;
    world.finish(session, &other, AttemptOutcome::Succeeded).await;
    world.plan().await;
    assert_eq!(world.get_job("pause").await, before, "a trigger's end neither");
}
