//! What was done to jobs, and what is on record of them.

use chrono::TimeDelta;
use punctual_scheduler::store::{InstantRun, JobChange, JobRecord, RecordSelection, RecordsOf, StoreError};
use punctual_scheduler_domain::audit::{JobEvent, JobEventKind};
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::run::RunState;
use punctual_scheduler_domain::schedule::ScheduleSpec;

use super::on_both_stores;
use super::world::{World, a_job, every, job_name, seconds};

on_both_stores!(
    each_change_is_recorded_with_who_made_it_and_why,
    a_schedule_that_ends_is_recorded_as_the_schedulers_doing,
    versions_are_told_newest_first_page_by_page,
    a_deleted_jobs_events_and_versions_stay_known_by_its_name,
    a_resume_that_catches_up_and_a_pause_that_is_over_hold_for_what_fell_due_before,
    what_is_on_record_of_a_time_is_found_by_name_and_among_all,
    the_runs_of_an_instant_are_found_live_and_ended,
);

fn update(spec: JobSpec) -> JobChange {
    JobChange::Update { spec: Box::new(spec), back_to: None }
}

async fn events(world: &World, name: &str) -> Vec<JobEvent> {
    let found = world.store.job_events(&Namespace::default(), &job_name(name), None, 100).await.unwrap();
    found.into_iter().map(|found| found.event).collect()
}

async fn change(world: &World, name: &str, change: JobChange, by: &str) {
    world.advance(seconds(1));
    world.store.change_job(&Namespace::default(), &job_name(name), change, None, None, by).await.unwrap();
}

async fn each_change_is_recorded_with_who_made_it_and_why(world: World) {
    world.job("tick", a_job()).await;
    let made = world.now();
    change(&world, "tick", update(every(seconds(60))), "ann").await;
    change(
        &world,
        "tick",
        JobChange::Pause { reason: "disk full".to_owned(), by: String::new(), until: None },
        "bob",
    )
    .await;
    change(&world, "tick", JobChange::Update { spec: Box::new(a_job()), back_to: Some(1) }, "cleo").await;
    change(&world, "tick", JobChange::Resume { catch_up: false }, "dan").await;
    // Neither changes anything.
    change(&world, "tick", JobChange::Resume { catch_up: false }, "eve").await;
    change(&world, "tick", update(a_job()), "eve").await;
    change(&world, "tick", JobChange::Delete, "fay").await;
    let told: Vec<_> = events(&world, "tick")
        .await
        .into_iter()
        .rev()
        .map(|event| {
            let after = (event.at - made).num_seconds();
            (after, event.kind, event.actor, event.version, event.note)
        })
        .collect();
    let expect = [
        (0, JobEventKind::Created, "somebody", 1, ""),
        (1, JobEventKind::Updated, "ann", 2, ""),
        (2, JobEventKind::Paused, "bob", 2, "disk full"),
        (3, JobEventKind::RolledBack, "cleo", 3, "to version 1"),
        (4, JobEventKind::Resumed, "dan", 3, ""),
        (7, JobEventKind::Deleted, "fay", 3, ""),
    ];
    let expect =
        expect.map(|(at, kind, by, version, note)| (at, kind, by.to_owned(), version, note.to_owned()));
    assert_eq!(told, expect);
}

async fn a_schedule_that_ends_is_recorded_as_the_schedulers_doing(world: World) {
    let once = JobSpec { schedule: vec![ScheduleSpec::at(world.now() + TimeDelta::seconds(5))], ..a_job() };
    world.job("once", once.clone()).await;
    world.plan().await;
    let last = events(&world, "once").await.remove(0);
    assert_eq!((last.kind, last.actor.as_str()), (JobEventKind::Exhausted, "scheduler"));
    // One whose schedule has ended when it is made is so at once.
    world.advance(seconds(60));
    world.job("late", once).await;
    let kinds: Vec<_> = events(&world, "late").await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [JobEventKind::Exhausted, JobEventKind::Created]);
}

async fn versions_are_told_newest_first_page_by_page(world: World) {
    world.job("tick", a_job()).await;
    for period in 1..=3 {
        change(&world, "tick", update(every(seconds(period * 60))), "ann").await;
    }
    let (default, name) = (Namespace::default(), job_name("tick"));
    let page = async |before| world.store.job_versions(&default, &name, before, 2).await.unwrap();
    let first = page(None).await;
    let told: Vec<_> = first.iter().map(|version| (version.version, version.author.as_str())).collect();
    assert_eq!(told, [(4, "ann"), (3, "ann")]);
    assert_eq!((&first[0].spec, first[0].created_at), (&every(seconds(180)), world.now()));
    let rest = page(Some(3)).await;
    let told: Vec<_> = rest.iter().map(|version| (version.version, version.author.as_str())).collect();
    assert_eq!(told, [(2, "ann"), (1, "somebody")]);
    assert_eq!(rest[1].spec, a_job());
    assert_eq!(page(Some(1)).await, []);
}

async fn a_deleted_jobs_events_and_versions_stay_known_by_its_name(world: World) {
    let default = Namespace::default();
    let first = world.job("tick", a_job()).await;
    change(&world, "tick", JobChange::Delete, "ann").await;
    let versions = async || world.store.job_versions(&default, &job_name("tick"), None, 10).await.unwrap();
    assert_eq!(versions().await.len(), 1);
    world.advance(seconds(1));
    let second = world.job("tick", every(seconds(60))).await;
    assert_eq!(versions().await[0].spec, every(seconds(60)), "of the one that is there");
    let told = world.store.job_events(&default, &job_name("tick"), None, 10).await.unwrap();
    let jobs: Vec<_> = told.iter().map(|event| (event.job, event.event.kind)).collect();
    use JobEventKind::{Created, Deleted};
    assert_eq!(jobs, [(second, Created), (first, Deleted), (first, Created)]);
    let older = world.store.job_events(&default, &job_name("tick"), Some(told[0].id), 1).await.unwrap();
    assert_eq!(older, told[1..2]);

    let missing = |error: StoreError| assert!(matches!(error, StoreError::NoSuchJob { .. }), "{error:?}");
    missing(world.store.job_versions(&default, &job_name("never"), None, 10).await.unwrap_err());
    missing(world.store.job_events(&default, &job_name("never"), None, 10).await.unwrap_err());
}

async fn a_resume_that_catches_up_and_a_pause_that_is_over_hold_for_what_fell_due_before(world: World) {
    world.job("tick", every(seconds(10))).await;
    let pause = |until| JobChange::Pause { reason: String::new(), by: String::new(), until };
    change(&world, "tick", pause(None), "ann").await;
    let paused_at = world.now();
    world.advance(seconds(50));
    change(&world, "tick", JobChange::Resume { catch_up: true }, "ann").await;
    let until = world.now() + TimeDelta::seconds(30);
    change(&world, "tick", pause(Some(until)), "ann").await;
    world.advance(seconds(40));
    world.plan().await;
    let told: Vec<_> = events(&world, "tick")
        .await
        .into_iter()
        .filter(|event| event.kind == JobEventKind::Resumed)
        .map(|event| (event.actor, event.since))
        .collect();
    let just_after = paused_at + TimeDelta::microseconds(1);
    assert_eq!(told, [("scheduler".to_owned(), Some(until)), ("ann".to_owned(), Some(just_after))]);
}

fn named(name: &str) -> RecordsOf {
    RecordsOf::Name(Namespace::default(), job_name(name))
}

async fn records(world: &World, of: RecordsOf, from: i64, until: i64) -> Vec<JobRecord> {
    let at = |seconds| World::beginning() + TimeDelta::seconds(seconds);
    let selection = RecordSelection { of, from: at(from), until: at(until), limit: 10 };
    world.store.job_records(&selection).await.unwrap()
}

async fn what_is_on_record_of_a_time_is_found_by_name_and_among_all(world: World) {
    let tick = world.job("tick", every(seconds(10))).await;
    let tock = world.job("tock", a_job()).await;
    // Near enough to the first instant that it is planned ahead.
    world.advance(seconds(6));
    world.plan().await;
    // Nobody plans for two hours and a half.
    world.advance(seconds(9_000));
    world.plan().await;
    let of_tick = records(&world, named("tick"), 0, 9_000).await.remove(0);
    let since = |at: chrono::DateTime<chrono::Utc>| (at - World::beginning()).num_milliseconds();
    let ledger: Vec<_> = of_tick.ledger.iter().map(|at| since(*at)).collect();
    assert_eq!(ledger[0], 9_750, "planned ahead at the beginning");
    assert!(ledger[1] > 8_900_000, "the latest missed one is made up for: {ledger:?}");
    let missed = &of_tick.missed[0];
    assert_eq!(since(missed.from), 19_750);
    let counted: u64 = of_tick.missed.iter().map(|missed| missed.count).sum();
    assert_eq!(counted as usize + ledger.len(), 900);
    assert_eq!(of_tick.next_due_at, world.get_job("tick").await.unwrap().next_due_at);
    assert_eq!(of_tick.events.len(), 1);

    let all = records(&world, RecordsOf::AllAfter(None), 0, 9_000).await;
    assert_eq!(all[0], of_tick);
    assert_eq!(all.iter().map(|record| record.id).collect::<Vec<_>>(), [tick, tock]);
    let after = records(&world, RecordsOf::AllAfter(Some(tick)), 0, 9_000).await;
    assert_eq!(after.iter().map(|record| record.id).collect::<Vec<_>>(), [tock]);
    let early = records(&world, named("tick"), 0, 19).await.remove(0);
    assert_eq!((early.ledger.len(), early.missed.len()), (1, 0), "nothing of after the time");
    assert_eq!(records(&world, RecordsOf::AllAfter(None), -9, 0).await, [], "neither was made yet");
    assert_eq!(records(&world, named("never"), 0, 9_000).await, []);
    let versions = world.store.job_specs(&[(tick, 1), (tick, 2)]).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[&(tick, 1)], every(seconds(10)));
}

async fn the_runs_of_an_instant_are_found_live_and_ended(world: World) {
    let tick = world.job("tick", every(seconds(10))).await;
    world.advance(seconds(6));
    world.plan().await;
    let run = world.runs_of("tick").await.remove(0);
    let found = async |at| world.store.runs_of_instant(tick, at).await.unwrap();
    let there = |node: Option<&str>| [InstantRun { run: run.id, node: node.map(str::to_owned) }];
    assert_eq!(found(run.due_at).await, there(None));
    assert_eq!(found(run.due_at + TimeDelta::seconds(1)).await, []);
    world.set_now(run.due_at);
    world.admit().await;
    assert_eq!(found(run.due_at).await, there(Some("one:4150")));
    world.store.cancel_run(run.id, "no need").await.unwrap();
    assert_eq!(world.state(run.id).await, RunState::Cancelled);
    assert_eq!(found(run.due_at).await, there(None));
}
