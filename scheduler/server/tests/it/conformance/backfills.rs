//! G1 for backfills: every instant of the range becomes exactly one run, a thousand at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::store::{
    Backfill, BackfillStore, JobChange, NewBackfill, PostgresStore, RequestId, Run,
};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::backfill::{BackfillState, MOST_LIVE};
use punctual_scheduler_domain::id::{BackfillId, RunId};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use punctual_scheduler_domain::timeouts::Timeouts;
use sqlx::PgPool;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{World, a_job, every, job_name, seconds};

on_both_stores!(
    g1_every_instant_of_a_backfill_becomes_one_run,
    a_backfill_never_has_more_than_a_thousand_runs_live_and_goes_on_as_they_end,
    a_cancelled_backfill_stops_planning_and_cancels_what_has_not_started,
    g6_a_backfill_that_is_done_is_not_cancelled,
    deleting_a_job_cancels_its_backfills,
    the_runs_of_a_backfill_are_of_the_version_it_was_asked_for,
    a_backfills_deadlines_count_from_now_and_not_from_its_instants,
    a_repeated_request_makes_one_backfill,
    backfills_are_planned_in_turn,
);

/// A range of this many minutes that ended long ago.
async fn minutes(world: &World, job: &str, count: i64) -> NewBackfill {
    let job = world.get_job(job).await.unwrap();
    let from = "2031-01-01T00:00:00Z".parse().unwrap();
    NewBackfill {
        id: BackfillId(Uuid::now_v7()),
        job: job.id,
        version: job.version,
        from,
        until: from + TimeDelta::minutes(count),
        overlap: Overlap::Allow,
        instants: u64::try_from(count).unwrap(),
        author: "somebody".to_owned(),
    }
}

async fn backfill(world: &World, job: &str, count: i64) -> BackfillId {
    let new = minutes(world, job, count).await;
    world.store.create_backfill(new, None).await.unwrap().unwrap().id
}

async fn get(world: &World, id: BackfillId) -> Backfill {
    world.store.get_backfill(id).await.unwrap().unwrap()
}

/// Plans until there is nothing more to plan now.
async fn plan(world: &World) -> u32 {
    let mut runs = 0;
    while let Some(planned) = world.store.plan_backfill().await.unwrap() {
        runs += planned.runs;
    }
    runs
}

async fn live(world: &World) -> Vec<Run> {
    world.all_runs().await.into_iter().filter(|run| !run.state.is_final()).collect()
}

async fn cancel_all(world: &World) {
    for run in live(world).await {
        world.store.cancel_run(run.id, "").await.unwrap();
    }
}

async fn g1_every_instant_of_a_backfill_becomes_one_run(world: World) {
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 5).await;
    assert_eq!(get(&world, id).await.state, BackfillState::Planning);
    assert_eq!(plan(&world).await, 5);
    let runs = world.runs_of("tick").await;
    let due: Vec<_> = runs.iter().map(|run| run.due_at).collect();
    let from: DateTime<Utc> = "2031-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(due, (0..5).map(|minute| from + TimeDelta::minutes(minute)).collect::<Vec<_>>());
    for run in &runs {
        assert_eq!((run.origin, run.links.backfill), (RunOrigin::Backfill, Some(id)));
        assert_eq!((run.state, run.run_at), (RunState::Scheduled, world.now()));
    }
    let session = world.worker(10).await;
    let dispatches = world.admit().await.dispatches;
    assert_eq!(dispatches.len(), 5, "side by side, as it was asked for");
    for (nth, dispatch) in dispatches.iter().enumerate() {
        let grant = world.granted(session, dispatch).await;
        let outcome = if nth == 0 { AttemptOutcome::Cancelled } else { AttemptOutcome::Succeeded };
        if nth == 0 {
            world.store.cancel_run(dispatch.run, "").await.unwrap();
        }
        world.finish(session, &grant, outcome).await;
    }
    let done = get(&world, id).await;
    assert_eq!((done.state, done.planned, done.live), (BackfillState::Done, 5, 0));
    let ended: Vec<_> = done.ended.into_iter().collect();
    assert_eq!(ended, [(RunState::Succeeded, 4), (RunState::Cancelled, 1)]);
    assert_eq!(world.run(runs[0].id).await.links.backfill, Some(id), "it is said in the history too");
}

async fn a_backfill_never_has_more_than_a_thousand_runs_live_and_goes_on_as_they_end(world: World) {
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 2_300).await;
    let mut due: BTreeSet<DateTime<Utc>> = BTreeSet::new();
    loop {
        plan(&world).await;
        let live = live(&world).await;
        if live.is_empty() {
            break;
        }
        assert!(live.len() <= MOST_LIVE, "{}", live.len());
        for run in live {
            assert!(due.insert(run.due_at), "{} twice", run.due_at);
            world.store.cancel_run(run.id, "").await.unwrap();
        }
    }
    assert_eq!(due.len(), 2_300);
    let done = get(&world, id).await;
    assert_eq!((done.state, done.planned), (BackfillState::Done, 2_300));
}

async fn a_cancelled_backfill_stops_planning_and_cancels_what_has_not_started(world: World) {
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 1_500).await;
    plan(&world).await;
    let session = world.worker(1).await;
    let dispatch = world.admit().await.dispatches.remove(0);
    let grant = world.granted(session, &dispatch).await;
    let cancelled = world.store.cancel_backfill(id, "wrong week").await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.state_reason.as_str()), (BackfillState::Cancelled, "wrong week"));
    assert_eq!((cancelled.planned, cancelled.live), (1_000, 1), "what runs goes on");
    assert_eq!(plan(&world).await, 0);
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    let after = get(&world, id).await;
    assert_eq!(
        (after.state, after.ended[&RunState::Cancelled], after.live),
        (BackfillState::Cancelled, 999, 0)
    );
    let run = world.all_runs().await.into_iter().find(|run| run.state == RunState::Cancelled).unwrap();
    assert_eq!(run.reason, "wrong week");
    let unknown = world.store.cancel_backfill(BackfillId(Uuid::nil()), "").await.unwrap();
    assert_eq!(unknown, None);
}

async fn g6_a_backfill_that_is_done_is_not_cancelled(world: World) {
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 2).await;
    plan(&world).await;
    cancel_all(&world).await;
    let found = world.store.cancel_backfill(id, "too late").await.unwrap().unwrap();
    assert_eq!((found.state, found.state_reason.as_str()), (BackfillState::Done, ""));
}

async fn deleting_a_job_cancels_its_backfills(world: World) {
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 1_200).await;
    plan(&world).await;
    world.change("tick", JobChange::Delete).await.unwrap();
    let found = get(&world, id).await;
    assert_eq!((found.state, found.state_reason.as_str()), (BackfillState::Cancelled, "job deleted"));
    assert_eq!((found.live, found.ended[&RunState::Cancelled]), (0, 1_000));
    assert_eq!(plan(&world).await, 0);
}

async fn the_runs_of_a_backfill_are_of_the_version_it_was_asked_for(world: World) {
    world.job("tick", every(seconds(60))).await;
    let new = minutes(&world, "tick", 2).await;
    world.store.create_backfill(new.clone(), None).await.unwrap().unwrap();
    let spec = JobSpec { description: "another".to_owned(), ..every(seconds(1)) };
    let update = JobChange::Update { spec: Box::new(spec), back_to: None };
    world.change("tick", update).await.unwrap();
    assert_eq!(plan(&world).await, 2, "the instants are those of the version too");
    assert!(world.runs_of("tick").await.iter().all(|run| run.job_version == 1));
    let outdated = NewBackfill { id: BackfillId(Uuid::now_v7()), ..new };
    assert_eq!(world.store.create_backfill(outdated, None).await.unwrap(), None, "to be counted anew");
}

async fn a_backfills_deadlines_count_from_now_and_not_from_its_instants(world: World) {
    let timeouts = Timeouts { schedule_to_start: Some(seconds(30)), ..Timeouts::default() };
    world.job("tick", JobSpec { timeouts, ..every(seconds(60)) }).await;
    backfill(&world, "tick", 1).await;
    plan(&world).await;
    world.advance(seconds(29));
    assert_eq!(world.reap_runs().await, 0);
    world.advance(seconds(1));
    assert_eq!(world.reap_runs().await, 1);
    assert_eq!(world.runs_of("tick").await[0].state, RunState::Expired);
}

async fn a_repeated_request_makes_one_backfill(world: World) {
    world.job("tick", every(seconds(60))).await;
    let request = || Some(RequestId("again".to_owned()));
    let first =
        world.store.create_backfill(minutes(&world, "tick", 2).await, request()).await.unwrap().unwrap();
    let second =
        world.store.create_backfill(minutes(&world, "tick", 2).await, request()).await.unwrap().unwrap();
    assert_eq!(first, second);
    let selection = punctual_scheduler::store::BackfillSelection {
        namespace: Namespace::default(),
        job: Some(job_name("tick")),
        before: None,
        limit: 10,
    };
    assert_eq!(world.store.list_backfills(&selection).await.unwrap(), [first]);
}

async fn backfills_are_planned_in_turn(world: World) {
    world.job("tick", every(seconds(60))).await;
    let (one, two) = (backfill(&world, "tick", 1_001).await, backfill(&world, "tick", 1_001).await);
    let mut planned = Vec::new();
    while let Some(next) = world.store.plan_backfill().await.unwrap() {
        world.advance(seconds(1));
        planned.push((next.backfill, next.runs));
    }
    assert_eq!(planned, [(one, 1_000), (two, 1_000)]);
}

/// Three schedulers at it at once, one of whose transactions is cut off after the runs were written.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g2_planners_side_by_side_and_one_that_dies_give_each_instant_one_run(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 1_800).await;
    let stores: Vec<_> = (0..3)
        .map(|_| {
            let store = PostgresStore::new(pool.clone());
            store.pin_now(Some(world.now()));
            store
        })
        .collect();
    // What a scheduler has written that was killed before its commit.
    let mut killed = pool.begin().await.unwrap();
    sqlx::query("select from punctual.backfill where id = $1 for no key update")
        .bind(id.0)
        .execute(&mut *killed)
        .await
        .unwrap();
    sqlx::query("insert into punctual.backfill_run (backfill, due_at, run_id) select id, from_at, gen_random_uuid() from punctual.backfill")
        .execute(&mut *killed)
        .await
        .unwrap();
    assert_eq!(stores[0].plan_backfill().await.unwrap(), None, "another scheduler is at it");
    killed.rollback().await.unwrap();

    let mut seen: BTreeSet<DateTime<Utc>> = BTreeSet::new();
    while seen.len() < 1_800 {
        let [one, two, three] = &stores[..] else { unreachable!() };
        let (one, two, three) = tokio::join!(one.plan_backfill(), two.plan_backfill(), three.plan_backfill());
        for planned in [one, two, three] {
            planned.unwrap();
        }
        let live = live(&world).await;
        assert!(live.len() <= MOST_LIVE);
        assert!(!live.is_empty(), "{} of 1,800", seen.len());
        for run in live {
            assert!(seen.insert(run.due_at), "{} twice", run.due_at);
            world.store.cancel_run(run.id, "").await.unwrap();
        }
    }
    assert_eq!(get(&world, id).await.state, BackfillState::Done);
}

/// A run of a job that is triggered is none of the backfill's.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn g1_the_database_refuses_an_instant_of_a_backfill_twice(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    world.job("tick", every(seconds(60))).await;
    let id = backfill(&world, "tick", 1).await;
    plan(&world).await;
    let again = sqlx::query("insert into punctual.backfill_run (backfill, due_at, run_id) select backfill, due_at, $1 from punctual.backfill_run")
        .bind(RunId(Uuid::now_v7()).0)
        .execute(&pool)
        .await
        .unwrap_err();
    let constraint = again.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
    assert_eq!(constraint.as_deref(), Some("backfill_run_key"));
    world.job("manual", a_job()).await;
    assert_eq!(world.run(world.trigger("manual").await).await.links.backfill, None);
    assert_eq!(get(&world, id).await.planned, 1);
}
