//! Calendars, namespaces, and what else bounds a schedule.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};
use punctual_scheduler::store::{JobChange, StoreError};
use punctual_scheduler_domain::calendar::CalendarSpec;
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use punctual_scheduler_domain::retention::{Retention, RetentionClass};
use punctual_scheduler_domain::schedule::ScheduleSpec;

use super::on_both_stores;
use super::world::{World, a_job, every, new_job, seconds};

on_both_stores!(
    an_excluded_instant_is_counted_and_makes_no_run,
    a_calendar_that_is_named_must_be_there_and_stays,
    a_greatest_number_of_instants_survives_updates,
    jitter_moves_when_a_run_begins_and_never_its_instant,
    a_namespace_goes_when_it_is_empty,
);

fn holidays() -> CalendarName {
    CalendarName::new("holidays").unwrap()
}

fn day(day: &str) -> CalendarSpec {
    CalendarSpec::from_days(BTreeSet::from([day.parse::<NaiveDate>().unwrap()])).unwrap()
}

fn excluding() -> JobSpec {
    let mut spec = every(seconds(5));
    spec.schedule[0].exclude = vec![holidays()];
    spec
}

async fn an_excluded_instant_is_counted_and_makes_no_run(world: World) {
    let default = Namespace::default();
    world.store.put_calendar(&default, &holidays(), &day("2031-03-03")).await.unwrap();
    world.job("tick", excluding()).await;
    let planned = world.plan().await;
    assert_eq!((planned.runs, planned.missed), (0, 2));
    // A change counts from the next plan on.
    world.store.put_calendar(&default, &holidays(), &day("2031-03-04")).await.unwrap();
    world.advance(seconds(10));
    let planned = world.plan().await;
    assert_eq!((planned.runs, planned.missed), (2, 0));
}

async fn a_calendar_that_is_named_must_be_there_and_stays(world: World) {
    let default = Namespace::default();
    let refused = world.store.create_job(new_job("tick", excluding()), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoSuchCalendar { .. }), "{refused:?}");
    world.job("tick", every(seconds(5))).await;
    let update = |spec| JobChange::Update { spec: Box::new(spec), back_to: None };
    let refused = world.change("tick", update(excluding())).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoSuchCalendar { .. }), "{refused:?}");
    assert_eq!(world.get_job("tick").await.unwrap().version, 1);

    world.store.put_calendar(&default, &holidays(), &day("2031-03-03")).await.unwrap();
    world.change("tick", update(excluding())).await.unwrap();
    let listed = world.store.list_calendars(&default, None).await.unwrap();
    assert_eq!(listed.iter().map(|calendar| calendar.name.clone()).collect::<Vec<_>>(), [holidays()]);
    assert_eq!(listed[0].spec, day("2031-03-03"));
    let kept = world.store.delete_calendar(&default, &holidays()).await.unwrap_err();
    assert!(matches!(kept, StoreError::CalendarInUse { .. }), "{kept:?}");
    world.change("tick", JobChange::Delete).await.unwrap();
    assert!(world.store.delete_calendar(&default, &holidays()).await.unwrap());
    assert!(!world.store.delete_calendar(&default, &holidays()).await.unwrap());
}

async fn a_greatest_number_of_instants_survives_updates(world: World) {
    let counted = |description: &str| {
        let mut spec = JobSpec { description: description.to_owned(), ..every(seconds(1)) };
        spec.schedule[0].max_count = Some(15);
        spec
    };
    world.job("tick", counted("")).await;
    for step in 0..4 {
        world.plan().await;
        world.advance(seconds(5));
        let update = JobChange::Update { spec: Box::new(counted(&step.to_string())), back_to: None };
        world.change("tick", update).await.unwrap();
    }
    world.plan().await;
    assert_eq!(world.runs_of("tick").await.len(), 15);
    assert_eq!(world.get_job("tick").await.unwrap().state, JobState::Exhausted);
}

async fn jitter_moves_when_a_run_begins_and_never_its_instant(world: World) {
    let mut moved = 0;
    for job in 0..10 {
        let mut spec = every(seconds(2));
        spec.schedule[0].jitter = seconds(60);
        let name = format!("tick-{job}");
        world.job(&name, spec).await;
        world.plan().await;
        let runs = world.runs_of(&name).await;
        assert!(runs.windows(2).all(|pair| pair[1].due_at - pair[0].due_at == TimeDelta::seconds(2)));
        for run in runs {
            let delay = run.run_at - run.due_at;
            assert!(TimeDelta::zero() <= delay && delay < TimeDelta::seconds(2), "never to the next instant");
            moved += usize::from(delay > TimeDelta::zero());
        }
    }
    assert!(moved > 30, "only {moved} of 50 were moved");
}

async fn a_namespace_goes_when_it_is_empty(world: World) {
    let tenant = Namespace::new("tenant-7").unwrap();
    let retention = Retention { success: Some(RetentionClass::Short), failure: None };
    world.store.create_namespace(&tenant, retention).await.unwrap();
    let twice = world.store.create_namespace(&tenant, Retention::default()).await.unwrap_err();
    assert!(matches!(twice, StoreError::NamespaceExists(_)), "{twice:?}");
    let all = world.store.list_namespaces().await.unwrap();
    let named: Vec<_> = all.iter().map(|record| (record.name.to_string(), record.retention)).collect();
    assert_eq!(named, [("default".to_owned(), Retention::default()), ("tenant-7".to_owned(), retention)]);

    let spec = JobSpec { schedule: vec![ScheduleSpec::every(seconds(60))], ..a_job() };
    let mut job = new_job("tick", spec);
    job.namespace = tenant.clone();
    let name = job.name.clone();
    world.store.create_job(job, None).await.unwrap();
    let refused = world.store.delete_namespace(&tenant).await.unwrap_err();
    assert!(matches!(refused, StoreError::NamespaceNotEmpty { jobs: 1, .. }), "{refused:?}");
    world.store.change_job(&tenant, &name, JobChange::Delete, None, None, "me").await.unwrap();
    world.store.delete_namespace(&tenant).await.unwrap();
    let gone = world.store.list_jobs(&tenant, None, 10).await.unwrap_err();
    assert!(matches!(gone, StoreError::UnknownNamespace(_)), "{gone:?}");
    let again = world.store.delete_namespace(&tenant).await.unwrap_err();
    assert!(matches!(again, StoreError::UnknownNamespace(_)), "{again:?}");
}
