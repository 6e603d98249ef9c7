//! Updates, pauses and deletes, while runs are planned ahead.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::store::{JobChange, RequestId, StoreError};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::schedule::{ScheduleSpec, When};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::on_both_stores;
use super::world::{World, a_job, every, job_name, new_job, seconds};

on_both_stores!(
    a_hundred_changes_within_the_look_ahead_lose_and_double_no_instant,
    a_change_that_ends_the_old_schedule_answers_the_revision_it_wrote,
    a_change_that_changes_nothing_makes_no_version,
    a_change_on_an_older_revision_is_refused,
    a_request_id_is_answered_as_before_and_never_means_two_things,
    a_paused_job_keeps_its_triggers_and_retries,
    jobs_are_listed_by_name_page_by_page,
);

fn pause() -> JobChange {
    JobChange::Pause { reason: "lunch".to_owned(), by: "cook".to_owned(), until: None }
}

fn update(spec: JobSpec) -> JobChange {
    JobChange::Update { spec: Box::new(spec), back_to: None }
}

/// One of two schedules that share no instant.
fn ticking(odd: bool) -> JobSpec {
    let phase = Duration::from_millis(if odd { 500 } else { 0 });
    let mut spec = every(seconds(1));
    spec.schedule[0].when = When::Every { every: seconds(1), phase };
    spec
}

async fn a_hundred_changes_within_the_look_ahead_lose_and_double_no_instant(world: World) {
    let mut random = StdRng::seed_from_u64(7);
    let (mut odd, mut paused) = (false, false);
    let mut since = world.now();
    let mut expected: Vec<DateTime<Utc>> = Vec::new();
    let due_between = |odd: bool, from: DateTime<Utc>, to: DateTime<Utc>| {
        let first = from.timestamp() - 1;
        let phase = TimeDelta::milliseconds(if odd { 500 } else { 0 });
        (first..=to.timestamp())
            .map(move |second| DateTime::from_timestamp(second, 0).unwrap() + phase)
            .filter(move |at| *at > from && *at <= to)
    };
    world.job("tick", ticking(odd)).await;
    for _ in 0..100 {
        if random.random_bool(0.7) {
            world.plan().await;
        }
        if random.random_bool(0.3) {
            world.admit().await;
        }
        // Now and then exactly onto an instant.
        let step = if random.random_bool(0.2) { 250 } else { random.random_range(0..2_500) };
        world.advance(Duration::from_millis(step));
        if !paused {
            expected.extend(due_between(odd, since, world.now()));
        }
        since = world.now();
        let change = match random.random_range(0..3) {
            0 => {
                odd = !odd;
                update(ticking(odd))
            }
            1 => {
                paused = true;
                pause()
            }
            _ => {
                paused = false;
                JobChange::Resume { catch_up: false }
            }
        };
        world.change("tick", change).await.unwrap();
    }
    let due: Vec<_> = world.runs_of("tick").await.iter().map(|run| run.due_at).collect();
    assert_eq!(due, expected, "nothing is planned ahead after a change, so these are all");
}

async fn a_change_that_ends_the_old_schedule_answers_the_revision_it_wrote(world: World) {
    let at = world.now() + TimeDelta::seconds(1);
    world.job("once", JobSpec { schedule: vec![ScheduleSpec::at(at)], ..a_job() }).await;
    world.advance(seconds(2));
    // The instant is due and not planned: this change plans it under the old version, which ends there.
    let changed = world.change("once", pause()).await.unwrap();
    assert_eq!(world.runs_of("once").await.len(), 1);
    assert_eq!(Some(changed), world.get_job("once").await);
}

async fn a_change_that_changes_nothing_makes_no_version(world: World) {
    world.job("tick", every(seconds(1))).await;
    let before = world.get_job("tick").await.unwrap();
    assert_eq!(world.change("tick", update(every(seconds(1)))).await.unwrap(), before);
    assert_eq!(world.change("tick", JobChange::Resume { catch_up: false }).await.unwrap(), before);
    world.plan().await;
    let runs = world.runs_of("tick").await.len();
    let changed = world.change("tick", update(every(seconds(2)))).await.unwrap();
    assert_eq!((changed.version, changed.revision), (2, 2));
    assert!(runs > 0 && world.runs_of("tick").await.is_empty(), "nothing was due, so nothing is recorded");
    let paused = world.change("tick", pause()).await.unwrap();
    assert_eq!((paused.version, paused.revision, paused.state_reason.as_str()), (2, 3, "lunch"));
    assert_eq!(world.change("tick", pause()).await.unwrap(), paused);
}

async fn a_change_on_an_older_revision_is_refused(world: World) {
    world.job("tick", every(seconds(1))).await;
    let (default, name) = (Namespace::default(), job_name("tick"));
    let at = |revision| world.store.change_job(&default, &name, pause(), Some(revision), None, "me");
    let refused = at(2).await.unwrap_err();
    assert!(matches!(refused, StoreError::StaleRevision { expected: 2, found: 1, .. }), "{refused:?}");
    assert_eq!(at(1).await.unwrap().state, JobState::Paused);
    let missing = world.change("other", pause()).await.unwrap_err();
    assert!(matches!(missing, StoreError::NoSuchJob { .. }), "{missing:?}");
}

async fn a_request_id_is_answered_as_before_and_never_means_two_things(world: World) {
    let (store, default) = (&world.store, Namespace::default());
    let request = |id: &str| Some(RequestId(id.to_owned()));
    let first = store.create_job(new_job("tick", a_job()), request("c")).await.unwrap();
    assert_eq!(store.create_job(new_job("tick", a_job()), request("c")).await.unwrap(), first);
    let again = store.create_job(new_job("tick", a_job()), request("d")).await.unwrap_err();
    assert!(matches!(again, StoreError::JobExists { .. }), "{again:?}");
    // What was refused has not used its id up.
    store.create_job(new_job("tock", a_job()), request("d")).await.unwrap();
    let reused =
        store.change_job(&default, &job_name("tick"), pause(), None, request("c"), "me").await.unwrap_err();
    assert!(matches!(reused, StoreError::RequestReused(_)), "{reused:?}");
    let change = |name, change, id| {
        let (default, name) = (&default, job_name(name));
        async move { store.change_job(default, &name, change, None, request(id), "me").await }
    };
    let paused = change("tick", pause(), "p").await.unwrap();
    assert_eq!(change("tick", pause(), "p").await.unwrap(), paused);
    assert!(matches!(change("tock", pause(), "p").await, Err(StoreError::RequestReused(_))));
    let deleted = change("tick", JobChange::Delete, "x").await.unwrap();
    assert_eq!(change("tick", JobChange::Delete, "x").await.unwrap(), deleted);
    assert!(matches!(change("tick", JobChange::Delete, "y").await, Err(StoreError::NoSuchJob { .. })));
    assert!(matches!(change("never", JobChange::Delete, "x").await, Err(StoreError::NoSuchJob { .. })));
    let elsewhere = Namespace::new("elsewhere").unwrap();
    let mut stray = new_job("tick", a_job());
    stray.namespace = elsewhere.clone();
    let unknown = store.create_job(stray, None).await.unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownNamespace(namespace) if namespace == elsewhere));
}

async fn a_paused_job_keeps_its_triggers_and_retries(world: World) {
    world.job("tick", every(seconds(1))).await;
    let session = world.worker(10).await;
    let retrying = world.running("tick", session).await;
    world.finish(session, &retrying, AttemptOutcome::Failed).await;
    let triggered = world.trigger("tick").await;
    world.plan().await;
    world.change("tick", pause()).await.unwrap();
    world.advance(seconds(5));
    world.plan().await;
    let dispatches = world.admit().await.dispatches;
    let mut runs: Vec<_> = dispatches.iter().map(|dispatch| dispatch.run).collect();
    runs.sort_unstable();
    assert_eq!(runs, [retrying.run, triggered]);
}

async fn jobs_are_listed_by_name_page_by_page(world: World) {
    for name in ["b", "d", "a", "c"] {
        world.job(name, a_job()).await;
    }
    world.change("c", JobChange::Delete).await.unwrap();
    let after = job_name("a");
    let page = world.store.list_jobs(&Namespace::default(), Some(&after), 2).await.unwrap();
    assert_eq!(page.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["b", "d"]);
}
