//! Triggers beside other calls: deletes of their jobs, and keys that mean something else.

use punctual_scheduler::store::{
    CreatedRun, JobChange, NewRun, OneOffRun, PostgresStore, RequestId, Store, StoreError,
};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::name::{JobName, Namespace};
use sqlx::PgPool;
use uuid::Uuid;

use super::world::{REPLICA, World, a_job, a_one_off, job_name, new_job};
use super::{locks, on_both_stores};

on_both_stores!(
    a_trigger_beside_a_delete_leaves_no_run_of_the_deleted_job,
    a_key_means_one_job_or_none,
    a_key_outlives_its_job_and_goes_on_with_the_next_of_that_name,
);

fn trigger(job: &str, request: Option<&str>) -> NewRun {
    NewRun::Trigger {
        id: RunId(Uuid::now_v7()),
        namespace: Namespace::default(),
        job: job_name(job),
        payload: None,
        options: Default::default(),
        request: request.map(|request| RequestId(request.to_owned())),
    }
}

fn one_off(request: &str) -> NewRun {
    let id = RunId(Uuid::now_v7());
    NewRun::OneOff(Box::new(OneOffRun { request: Some(RequestId(request.to_owned())), ..a_one_off(id) }))
}

async fn create(world: &World, run: NewRun) -> Result<CreatedRun, StoreError> {
    world.store.create_runs(REPLICA, vec![run]).await.unwrap().remove(0)
}

async fn a_trigger_beside_a_delete_leaves_no_run_of_the_deleted_job(world: World) {
    let mut made = 0;
    for round in 0..20 {
        let name = format!("job-{round}");
        world.job(&name, a_job()).await;
        let key = format!("key-{round}");
        let (one, other, deleted) = tokio::join!(
            create(&world, trigger(&name, None)),
            create(&world, trigger(&name, Some(&key))),
            world.change(&name, JobChange::Delete),
        );
        deleted.unwrap();
        for answer in [one, other] {
            match answer {
                Ok(run) => {
                    made += 1;
                    let run = world.run(run.id).await;
                    assert!(run.state.is_final(), "{run:?} is of a deleted job");
                }
                Err(StoreError::NoSuchJob { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(world.all_runs().await.len() == made, "what was refused has made no run");
}

#[track_caller]
fn assert_taken(answer: Result<CreatedRun, StoreError>, by: &CreatedRun, of: Option<JobName>) {
    let Err(StoreError::RequestOfAnotherRun { request, run, job }) = answer else { panic!("{answer:?}") };
    assert_eq!((request.as_str(), run, job), ("k", by.id, of));
}

async fn a_key_means_one_job_or_none(world: World) {
    world.job("one", a_job()).await;
    world.job("other", a_job()).await;
    let first = create(&world, trigger("one", Some("k"))).await.unwrap();
    let again = create(&world, trigger("one", Some("k"))).await.unwrap();
    assert!(again.created_at.is_none() && again.id == first.id);
    assert_taken(create(&world, trigger("other", Some("k"))).await, &first, Some(job_name("one")));
    assert_taken(create(&world, one_off("k")).await, &first, Some(job_name("one")));
    assert_eq!(world.all_runs().await.len(), 1);

    let alone = create(&world, one_off("l")).await.unwrap();
    let taken = create(&world, trigger("one", Some("l"))).await.unwrap_err();
    assert_eq!(taken.to_string(), format!("request id \"l\" made run {} of no job", alone.id));
    // In one batch, the first of them has it.
    let batch = vec![one_off("m"), trigger("one", Some("m"))];
    let answers = world.store.create_runs(REPLICA, batch).await.unwrap();
    assert!(matches!(answers[..], [Ok(_), Err(StoreError::RequestOfAnotherRun { .. })]), "{answers:?}");
}

async fn a_key_outlives_its_job_and_goes_on_with_the_next_of_that_name(world: World) {
    world.job("work", a_job()).await;
    let first = create(&world, trigger("work", Some("k"))).await.unwrap();
    world.change("work", JobChange::Delete).await.unwrap();
    world.job("work", a_job()).await;
    let again = create(&world, trigger("work", Some("k"))).await.unwrap();
    assert!(
        again.created_at.is_none() && again.id == first.id,
        "the caller asked for the same and has got it"
    );
}

/// A delete that has not committed yet when the trigger looks its job up.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_trigger_waits_for_a_delete_under_way_and_finds_no_job(pool: PgPool) {
    let store = PostgresStore::new(pool.clone());
    let job = store.create_job(new_job("work", a_job()), None).await.unwrap();
    for request in [None, Some("k")] {
        sqlx::query("update punctual.job set state = 'active'").execute(&pool).await.unwrap();
        let mut delete = pool.begin().await.unwrap();
        sqlx::query("select from punctual.job where id = $1 for update")
            .bind(job.0)
            .execute(&mut *delete)
            .await
            .unwrap();
        let deleting = async {
            // The trigger found its job and waits for the row.
            locks::awaited(&pool).await;
            sqlx::query("update punctual.job set state = 'deleted'").execute(&mut *delete).await.unwrap();
            delete.commit().await.unwrap();
        };
        let triggering = store.create_runs(REPLICA, vec![trigger("work", request)]);
        let both = async { tokio::join!(triggering, deleting).0 };
        let answers = tokio::time::timeout(std::time::Duration::from_secs(30), both).await.unwrap().unwrap();
        assert!(matches!(answers[..], [Err(StoreError::NoSuchJob { .. })]), "{answers:?}");
        for table in ["run_live", "run_request"] {
            let rows: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from punctual.{table}")))
                    .fetch_one(&pool)
                    .await
                    .unwrap();
            assert_eq!(rows, 0, "in {table}");
        }
    }
}
