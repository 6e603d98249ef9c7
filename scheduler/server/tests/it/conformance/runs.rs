//! Creating runs by hand, and reading them.

use punctual_scheduler::store::{NewRun, OneOffRun, RequestId, RunFilter, RunSelection, StoreError};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::run::{RunOrigin, RunState};
use uuid::Uuid;

use super::on_both_stores;
use super::world::{REPLICA, World, a_job, a_one_off, job_name, seconds};

on_both_stores!(
    an_idempotency_key_makes_one_run_for_as_long_as_it_is_known,
    a_trigger_takes_its_own_payload_or_the_jobs,
    each_run_of_a_batch_is_answered_by_itself,
    runs_are_listed_newest_first_page_by_page,
    a_watcher_sees_what_lives_and_what_ended_since,
    a_namespace_that_nobody_made_is_not_an_empty_one,
);

fn one_off(request: &str) -> NewRun {
    let id = RunId(Uuid::now_v7());
    NewRun::OneOff(Box::new(OneOffRun { request: Some(RequestId(request.to_owned())), ..a_one_off(id) }))
}

fn trigger(job: &str, payload: Option<&str>) -> NewRun {
    NewRun::Trigger {
        id: RunId(Uuid::now_v7()),
        namespace: Namespace::default(),
        job: job_name(job),
        payload: payload.map(ToOwned::to_owned),
        options: Default::default(),
        request: None,
    }
}

async fn an_idempotency_key_makes_one_run_for_as_long_as_it_is_known(world: World) {
    let answers =
        world.store.create_runs(REPLICA, vec![one_off("k"), one_off("k"), one_off("l")]).await.unwrap();
    let created: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(created.iter().map(|run| run.created_at.is_none()).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(created[0].id, created[1].id);
    let session = world.worker(2).await;
    let dispatches = world.admit().await.dispatches;
    assert_eq!(dispatches.len(), 2);
    let grant = world.granted(session, &dispatches[0]).await;
    world.finish(session, &grant, AttemptOutcome::Succeeded).await;
    let again = world.store.create_runs(REPLICA, vec![one_off("k")]).await.unwrap().remove(0).unwrap();
    assert!(
        again.created_at.is_none() && again.id == created[0].id && again.dispatch.is_none(),
        "final or not"
    );
}

async fn a_trigger_takes_its_own_payload_or_the_jobs(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(2).await;
    for (payload, expected) in [(None, "{}"), (Some("[1]"), "[1]")] {
        let run = world.create(trigger("work", payload)).await;
        let dispatch = world.admit_one().await;
        let grant = world.granted(session, &dispatch).await;
        assert_eq!((grant.run, grant.payload.as_str()), (run, expected));
        let run = world.run(run).await;
        assert_eq!((run.origin, run.job.as_str(), run.job_version), (RunOrigin::Trigger, "work", 1));
    }
}

async fn each_run_of_a_batch_is_answered_by_itself(world: World) {
    world.job("work", a_job()).await;
    let mut stray = a_one_off(RunId(Uuid::now_v7()));
    stray.namespace = Namespace::new("elsewhere").unwrap();
    let batch =
        vec![trigger("none", None), trigger("work", None), NewRun::OneOff(Box::new(stray)), one_off("k")];
    let answers = world.store.create_runs(REPLICA, batch).await.unwrap();
    let told: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(_) => "created",
            Err(StoreError::NoSuchJob { .. }) => "no such job",
            Err(StoreError::UnknownNamespace(_)) => "unknown namespace",
            Err(other) => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["no such job", "created", "unknown namespace", "created"]);
    assert_eq!(world.admit().await.dispatches.len(), 2);
}

fn selection(job: Option<&str>, states: &[RunState], before: Option<RunId>, limit: u32) -> RunSelection {
    let filter = RunFilter { namespace: Namespace::default(), job: job.map(job_name), run: None };
    RunSelection { filter, states: states.to_vec(), before, limit }
}

async fn runs_are_listed_newest_first_page_by_page(world: World) {
    world.job("work", a_job()).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(world.trigger("work").await);
        world.create(one_off(&runs.len().to_string())).await;
    }
    runs.reverse();
    world.store.cancel_run(runs[1], "").await.unwrap();
    let list = async |selection: RunSelection| -> Vec<RunId> {
        world.store.list_runs(&selection).await.unwrap().iter().map(|run| run.id).collect()
    };
    assert_eq!(list(selection(Some("work"), &[], None, 2)).await, runs[..2]);
    assert_eq!(list(selection(Some("work"), &[], Some(runs[1]), 10)).await, runs[2..]);
    assert_eq!(list(selection(Some("work"), &[RunState::Cancelled], None, 10)).await, runs[1..2]);
    assert_eq!(list(selection(Some("work"), &[RunState::Scheduled], None, 1)).await, runs[..1]);
    assert_eq!(list(selection(None, &[], None, 100)).await.len(), 10);
    assert!(list(selection(Some("other"), &[], None, 10)).await.is_empty());
}

async fn a_watcher_sees_what_lives_and_what_ended_since(world: World) {
    world.job("work", a_job()).await;
    let (first, second) = (world.trigger("work").await, world.trigger("work").await);
    world.store.cancel_run(first, "").await.unwrap();
    world.advance(seconds(10));
    let all = RunFilter { namespace: Namespace::default(), job: None, run: None };
    let seen = world.store.changed_runs(&all, None).await.unwrap();
    assert_eq!(
        seen.runs.iter().map(|run| run.id).collect::<Vec<_>>(),
        [second],
        "what ended before is not news"
    );
    world.store.cancel_run(second, "").await.unwrap();
    let next = world.store.changed_runs(&all, Some(seen.next_since)).await.unwrap();
    let next: Vec<_> = next.runs.iter().map(|run| (run.id, run.state)).collect();
    assert_eq!(next, [(second, RunState::Cancelled)]);
    // Who watches one run sees its end, however long ago.
    let one = RunFilter { run: Some(first), ..all };
    let seen = world.store.changed_runs(&one, None).await.unwrap().runs;
    assert_eq!(seen.iter().map(|run| run.state).collect::<Vec<_>>(), [RunState::Cancelled]);
}

async fn a_namespace_that_nobody_made_is_not_an_empty_one(world: World) {
    let (here, elsewhere) = (Namespace::default(), Namespace::new("elsewhere").unwrap());
    assert!(world.store.list_jobs(&here, None, 10).await.unwrap().is_empty());
    assert!(world.store.list_runs(&selection(None, &[], None, 10)).await.unwrap().is_empty());
    let jobs = world.store.list_jobs(&elsewhere, None, 10).await.unwrap_err();
    let filter = RunFilter { namespace: elsewhere.clone(), job: None, run: None };
    let watched = world.store.changed_runs(&filter, None).await.unwrap_err();
    let runs = RunSelection { filter, ..selection(None, &[], None, 10) };
    let runs = world.store.list_runs(&runs).await.unwrap_err();
    for refused in [jobs, runs, watched] {
        assert!(
            matches!(&refused, StoreError::UnknownNamespace(namespace) if *namespace == elsewhere),
            "{refused:?}"
        );
    }
}
