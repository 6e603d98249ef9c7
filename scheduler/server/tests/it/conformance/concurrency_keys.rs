//! G9 and G12: runs that share a concurrency key share its places.

use punctual_scheduler::store::{NewRun, OneOffRun};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::concurrency::{Concurrency, KeyTemplate};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::job::{JobSpec, Overlap, Task};
use punctual_scheduler_domain::name::Kind;
use punctual_scheduler_domain::run::RunState;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, a_one_off, seconds};

on_both_stores!(
    g9_a_key_is_shared_by_jobs_and_one_off_runs,
    g9_a_key_has_as_many_places_as_its_limit,
    g12_runs_that_share_a_key_of_one_place_start_in_due_order,
    a_place_is_kept_through_retries,
    a_run_that_leaves_the_line_lets_the_next_one_go,
    runs_with_other_keys_are_not_kept_waiting,
    g9_a_killed_run_hands_its_place_on,
);

fn limited(key: &str, limit: u32) -> Option<Concurrency> {
    Some(Concurrency { key: KeyTemplate::new(key).unwrap(), limit })
}

fn of_team(team: &str, limit: u32) -> JobSpec {
    JobSpec {
        labels: [("team".to_owned(), team.to_owned())].into(),
        concurrency: limited("team-{labels.team}", limit),
        ..a_job()
    }
}

async fn one_off(world: &World, key: &str, limit: u32) -> RunId {
    world.advance(seconds(1));
    let task = Task::Handler { kind: Kind::new("work").unwrap(), payload: r#"{"team": "blue"}"#.to_owned() };
    let run = OneOffRun { task, concurrency: limited(key, limit), ..a_one_off(RunId(Uuid::now_v7())) };
    world.create(NewRun::OneOff(Box::new(run))).await
}

async fn waits(world: &World, run: RunId) {
    let run = world.run(run).await;
    assert_eq!((run.state, run.reason.as_str()), (RunState::Blocked, "concurrency_key"));
}

async fn g9_a_key_is_shared_by_jobs_and_one_off_runs(world: World) {
    world.job("blue", of_team("blue", 1)).await;
    let session = world.worker(10).await;
    let first = world.running("blue", session).await;
    assert_eq!(world.run(first.run).await.concurrency_key, "team-blue");
    let second = one_off(&world, "team-{payload.team}", 1).await;
    assert_eq!(world.admit().await.blocked, 1);
    waits(&world, second).await;
    world.finish(session, &first, AttemptOutcome::Succeeded).await;
    assert_eq!(world.admit_one().await.run, second);
    assert_eq!(world.run(first.run).await.concurrency_key, "team-blue", "it is remembered");
}

async fn g9_a_key_has_as_many_places_as_its_limit(world: World) {
    let session = world.worker(10).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(one_off(&world, "k", 3).await);
    }
    let admitted = world.admit().await;
    assert_eq!((admitted.dispatches.len(), admitted.blocked), (3, 2));
    let grant = world.granted(session, &admitted.dispatches[1]).await;
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    assert_eq!(world.admit_one().await.run, runs[3]);
    waits(&world, runs[4]).await;
}

async fn g12_runs_that_share_a_key_of_one_place_start_in_due_order(world: World) {
    let session = world.worker(10).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(one_off(&world, "k", 1).await);
    }
    let first = world.admit_one().await;
    assert_eq!(first.run, runs[0]);
    let mut grant = world.granted(session, &first).await;
    for run in &runs[1..] {
        // One that falls due when the place is given back does not overtake.
        let late = one_off(&world, "k", 1).await;
        world.finish(session, &grant, AttemptOutcome::Succeeded).await;
        let dispatch = world.admit_one().await;
        assert_eq!(dispatch.run, *run);
        waits(&world, late).await;
        grant = world.granted(session, &dispatch).await;
    }
}

async fn a_place_is_kept_through_retries(world: World) {
    let session = world.worker(10).await;
    let first = one_off(&world, "k", 1).await;
    let dispatch = world.admit_one().await;
    let grant = world.granted(session, &dispatch).await;
    let second = one_off(&world, "k", 1).await;
    assert_eq!(world.admit().await.blocked, 1);
    world.finish(session, &grant, AttemptOutcome::Failed).await;
    waits(&world, second).await;
    world.advance(seconds(5));
    assert_eq!(world.admit_one().await.run, first);
    assert_eq!(world.store.unblock(100).await.unwrap().runs, 0);
}

async fn a_run_that_leaves_the_line_lets_the_next_one_go(world: World) {
    let first = one_off(&world, "k", 1).await;
    world.admit_one().await;
    let [second, third] = [one_off(&world, "k", 1).await, one_off(&world, "k", 1).await];
    assert_eq!(world.admit().await.blocked, 2);
    world.store.cancel_run(second, "").await.unwrap();
    waits(&world, third).await;
    world.store.cancel_run(first, "").await.unwrap();
    assert_eq!(world.admit_one().await.run, third);
}

async fn runs_with_other_keys_are_not_kept_waiting(world: World) {
    let missing = one_off(&world, "{payload.nothing}", 1).await;
    let runs = [one_off(&world, "a", 1).await, one_off(&world, "b", 1).await, missing];
    let admitted = world.admit().await.dispatches;
    assert_eq!(admitted.len(), runs.len());
    // What a payload does not carry is the empty text, and so is one key.
    let another = one_off(&world, "{payload.neither}", 1).await;
    assert_eq!(world.admit().await.blocked, 1);
    waits(&world, another).await;
}

async fn g9_a_killed_run_hands_its_place_on(world: World) {
    world.job("now", JobSpec { overlap: Overlap::KillRunning, ..of_team("blue", 1) }).await;
    let session = world.worker(10).await;
    let first = world.running("now", session).await;
    let waiting = one_off(&world, "team-blue", 1).await;
    assert_eq!(world.admit().await.blocked, 1);
    world.advance(seconds(1));
    // Older in line is older in line, whoever gives the place back.
    let second = world.trigger("now").await;
    assert_eq!(world.admit().await.dispatches, []);
    waits(&world, second).await;
    world.store.cancel_run(waiting, "").await.unwrap();
    assert_eq!(world.state(first.run).await, RunState::Running);
    assert_eq!(world.store.unblock(100).await.unwrap().runs, 0);
    world.store.cancel_run(second, "").await.unwrap();
    let third = world.trigger("now").await;
    assert_eq!(world.admit_one().await.run, third);
    assert_eq!(world.state(first.run).await, RunState::Cancelled);
}
