//! Overlap policies, concurrency keys, priorities and pauses of task queues, from outside.

use punctual_proto::v1::{self, Overlap};
use sqlx::PgPool;
use tonic::Code;

use crate::front::{Front, PATIENCE, a_job, create, get, refused, wrong_fields};

fn limited(key: &str, limit: u32) -> Option<v1::Concurrency> {
    Some(v1::Concurrency { key: key.to_owned(), limit })
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_job_keeps_its_policies_and_has_defaults_for_the_rest(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    for overlap in [
        Overlap::Allow,
        Overlap::Skip,
        Overlap::QueueOne,
        Overlap::QueueAll,
        Overlap::CancelRunning,
        Overlap::KillRunning,
    ] {
        let job = v1::Job {
            overlap: overlap.into(),
            max_running: 3,
            priority: Some(0),
            concurrency: limited("customer-{payload.customer}", 7),
            ..a_job(&format!("{overlap:?}"))
        };
        let created = jobs.create_job(create(job.clone())).await.unwrap().into_inner();
        assert_eq!(created.overlap(), overlap);
        assert_eq!((created.max_running, created.priority), (3, Some(0)));
        assert_eq!(created.concurrency, job.concurrency);
        assert_eq!(jobs.get_job(get(&created.name)).await.unwrap().into_inner(), created);
    }
    let plain = jobs.create_job(create(a_job("plain"))).await.unwrap().into_inner();
    assert_eq!((plain.max_running, plain.priority, plain.concurrency), (1, Some(5), None));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_cannot_be_used_is_refused_with_its_field(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    let cases = [
        (v1::Job { overlap: 77, ..a_job("x") }, "job.overlap", "77"),
        (v1::Job { max_running: 1_001, ..a_job("x") }, "job.max_running", "expected 1 to 1000"),
        (v1::Job { priority: Some(10), ..a_job("x") }, "job.priority", "expected 0 to 9"),
        (v1::Job { concurrency: limited("k", 1_001), ..a_job("x") }, "job.concurrency.limit", "1 to 1000"),
        (
            v1::Job { concurrency: limited("c-{payload.a", 1), ..a_job("x") },
            "job.concurrency.key",
            "the `{` at character 3",
        ),
        (v1::Job { concurrency: limited("", 1), ..a_job("x") }, "job.concurrency.key", "is empty"),
    ];
    for (job, field, message) in cases {
        let found = wrong_fields(jobs.create_job(create(job)).await);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, field);
        assert!(found[0].1.contains(message), "{field}: {}", found[0].1);
    }
    let run = v1::CreateRunRequest {
        task: Some(v1::create_run_request::Task::Kind("work".to_owned())),
        priority: Some(10),
        concurrency: limited("{labels}", 1),
        ..Default::default()
    };
    let found = wrong_fields(runs.create_run(run).await);
    assert_eq!(
        found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
        ["priority", "concurrency.key"]
    );
    jobs.create_job(create(a_job("x"))).await.unwrap();
    let trigger =
        v1::TriggerJobRequest { name: "x".to_owned(), overlap: 9, priority: Some(99), ..Default::default() };
    let found = wrong_fields(jobs.trigger_job(trigger).await);
    assert_eq!(found.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["overlap", "priority"]);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_run_shows_its_priority_and_its_key(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    let request = v1::CreateRunRequest {
        task: Some(v1::create_run_request::Task::Kind("work".to_owned())),
        payload: r#"{"customer": "c7"}"#.to_owned(),
        priority: Some(9),
        concurrency: limited("customer-{payload.customer}", 2),
        ..Default::default()
    };
    let created = runs.create_run(request).await.unwrap().into_inner();
    assert_eq!((created.priority, created.concurrency_key.as_str()), (9, "customer-c7"));
    let found = runs.get_run(v1::GetRunRequest { id: created.id }).await.unwrap().into_inner();
    assert_eq!((found.priority, found.concurrency_key.as_str()), (9, "customer-c7"));
    let job = v1::Job { priority: Some(2), concurrency: limited("all", 1), ..a_job("low") };
    jobs.create_job(create(job)).await.unwrap();
    let trigger = v1::TriggerJobRequest { name: "low".to_owned(), priority: Some(8), ..Default::default() };
    let id = jobs.trigger_job(trigger).await.unwrap().into_inner().run_id;
    let run = runs.get_run(v1::GetRunRequest { id }).await.unwrap().into_inner();
    assert_eq!((run.priority, run.concurrency_key.as_str()), (8, "all"));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_task_queue_is_paused_listed_and_resumed(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut queues = front.task_queues();
    let pause = v1::PauseTaskQueueRequest {
        name: "mail".to_owned(),
        reason: "full".to_owned(),
        ..Default::default()
    };
    let paused = queues.pause_task_queue(pause).await.unwrap().into_inner();
    assert_eq!((paused.name.as_str(), paused.pause_reason.as_str()), ("mail", "full"));
    assert!(paused.paused_at.is_some());
    let list = || v1::ListTaskQueuesRequest::default();
    assert_eq!(queues.list_task_queues(list()).await.unwrap().into_inner().task_queues, [paused]);
    let resume = v1::ResumeTaskQueueRequest { name: "mail".to_owned(), ..Default::default() };
    let resumed = queues.resume_task_queue(resume).await.unwrap().into_inner();
    assert_eq!((resumed.paused_at, resumed.pause_reason.as_str()), (None, ""));

    let bad = v1::PauseTaskQueueRequest { name: "Mail!".to_owned(), ..Default::default() };
    assert_eq!(wrong_fields(queues.pause_task_queue(bad).await)[0].0, "name");
    let nul = v1::PauseTaskQueueRequest { reason: "a\0".to_owned(), ..Default::default() };
    assert_eq!(wrong_fields(queues.pause_task_queue(nul).await)[0].0, "reason");
    let nowhere = || "nowhere".to_owned();
    let not_found = (Code::NotFound, "NAMESPACE_NOT_FOUND".to_owned());
    let pause = v1::PauseTaskQueueRequest { namespace: nowhere(), ..Default::default() };
    assert_eq!(refused(queues.pause_task_queue(pause).await), not_found);
    let resume = v1::ResumeTaskQueueRequest { namespace: nowhere(), ..Default::default() };
    assert_eq!(refused(queues.resume_task_queue(resume).await), not_found);
    let list = v1::ListTaskQueuesRequest { namespace: nowhere() };
    assert_eq!(refused(queues.list_task_queues(list).await), not_found);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_blocked_run_says_what_it_waits_for_in_the_api_and_in_sql(pool: PgPool) {
    let front = Front::start(&pool).await;
    front.jobs().create_job(create(a_job("x"))).await.unwrap();
    let trigger = v1::TriggerJobRequest { name: "x".to_owned(), ..Default::default() };
    let id = front.jobs().trigger_job(trigger).await.unwrap().into_inner().run_id;
    // There is no node to admit anything to.
    let block = "update punctual.run_live set state = 'blocked', block_reason = 'overlap'";
    // In one transaction: once others see it, the sweep lets it go.
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(sqlx::query(block).execute(&mut *tx).await.unwrap().rows_affected(), 1);
    let shown = "select job, reason, state from punctual.blocked join punctual.upcoming using (run_id, job)";
    let shown: (String, String, String) = sqlx::query_as(shown).fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(shown, ("x".to_owned(), "overlap".to_owned(), "blocked".to_owned()));
    // The sweep finds that nothing stands in its way.
    let scheduled = async {
        loop {
            let request = v1::GetRunRequest { id: id.clone() };
            let run = front.runs().get_run(request).await.unwrap().into_inner();
            match run.state() {
                v1::RunState::Blocked => assert_eq!(run.reason, "overlap"),
                v1::RunState::Scheduled => return run.reason,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, scheduled).await.expect("the sweep comes"), "");
}
