//! Instants become runs, each once.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::store::PlanOutcome;
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::schedule::ScheduleSpec;

use super::on_both_stores;
use super::world::{World, a_job, every, seconds};

on_both_stores!(
    every_instant_becomes_one_run_however_often_it_is_planned,
    instants_missed_for_long_are_counted_and_the_latest_runs,
    a_schedule_that_ends_leaves_the_job_exhausted,
    a_job_without_a_schedule_is_never_planned,
    one_call_plans_no_more_than_a_bound_however_many_jobs_are_due,
);

async fn due_times(world: &World, job: &str) -> Vec<DateTime<Utc>> {
    world.runs_of(job).await.iter().map(|run| run.due_at).collect()
}

async fn every_instant_becomes_one_run_however_often_it_is_planned(world: World) {
    world.job("tick", every(seconds(1))).await;
    for step in 0..40 {
        world.plan().await;
        world.advance(std::time::Duration::from_millis(100 * (step % 12)));
        assert_eq!(world.plan().await.missed, 0);
    }
    let job = world.get_job("tick").await.unwrap();
    let due = due_times(&world, "tick").await;
    assert_eq!(
        due[0],
        "2031-03-03T08:00:01Z".parse::<DateTime<Utc>>().unwrap(),
        "strictly after its creation"
    );
    assert!(due.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(1)), "{due:?}");
    assert_eq!(job.next_due_at, due.last().map(|last| *last + TimeDelta::seconds(1)), "the cursor follows");
    assert!(job.next_due_at > Some(world.now() + TimeDelta::seconds(5)), "half the look-ahead at least");
    assert!(world.runs_of("tick").await.iter().all(|run| {
        (run.state, run.origin, run.run_at) == (RunState::Scheduled, RunOrigin::Schedule, run.due_at)
    }));
}

async fn instants_missed_for_long_are_counted_and_the_latest_runs(world: World) {
    world.job("tick", every(seconds(10))).await;
    // 60 s late is late and still runs; 600 s hold 60 instants, those of the last minute are not missed.
    world.advance(seconds(600));
    let planned = world.plan().await;
    let due = due_times(&world, "tick").await;
    let on_time = due.iter().filter(|due| **due >= world.now() - TimeDelta::seconds(60)).count();
    assert_eq!(due.len(), on_time + 1, "of the missed ones only the latest runs: {due:?}");
    let late = due.iter().filter(|due| **due <= world.now()).count();
    assert_eq!(planned.missed, 60 - u64::try_from(late).unwrap());
    assert!(due.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(10)));
}

async fn a_schedule_that_ends_leaves_the_job_exhausted(world: World) {
    let at = world.now() + TimeDelta::seconds(3);
    world.job("once", JobSpec { schedule: vec![ScheduleSpec::at(at)], ..a_job() }).await;
    assert_eq!(world.get_job("once").await.unwrap().state, JobState::Active);
    world.plan().await;
    let job = world.get_job("once").await.unwrap();
    assert_eq!((job.state, job.revision, job.next_due_at), (JobState::Exhausted, 2, None));
    assert_eq!(due_times(&world, "once").await, [at]);
}

async fn a_job_without_a_schedule_is_never_planned(world: World) {
    world.job("manual", a_job()).await;
    world.advance(seconds(3600));
    assert_eq!(world.plan().await.jobs, 0);
    let job = world.get_job("manual").await.unwrap();
    assert_eq!((job.state, job.next_due_at), (JobState::Active, None));
}

async fn one_call_plans_no_more_than_a_bound_however_many_jobs_are_due(world: World) {
    for number in 0..14 {
        world.job(&format!("tick-{number}"), every(seconds(1))).await;
    }
    // One job gives a call 500 runs at most, which is far enough for now.
    let (mut runs, most) = (0, u32::try_from(PlanOutcome::MOST_RUNS).unwrap());
    loop {
        let planned = world.store.plan_due_jobs(seconds(600), 200).await.unwrap();
        if planned.jobs == 0 {
            break;
        }
        assert!(planned.runs < most + 500, "{planned:?}");
        runs += planned.runs;
    }
    assert_eq!(runs, 14 * 500);
}
