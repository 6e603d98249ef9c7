//! What cannot be used is refused with the field and the reason, and nothing else is disturbed.

use punctual_proto::v1;
use sqlx::PgPool;
use tonic::Code;

use crate::front::{Front, a_job, create, cron, get, refused, wrong_fields};

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn each_wrong_field_of_a_job_is_named_with_what_is_wrong(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let zoned = |zone: &str| v1::Schedule { zone: zone.to_owned(), ..cron("@daily") };
    let cases = [
        (
            v1::Job { schedule: vec![cron("0 9 * * MOM")], ..a_job("tick") },
            "job.schedule[0].cron",
            "at character 9",
        ),
        (
            v1::Job { schedule: vec![cron("0 0 9 * * *")], ..a_job("tick") },
            "job.schedule[0].cron",
            "six fields",
        ),
        (
            v1::Job { schedule: vec![zoned("Europe/Belin")], ..a_job("tick") },
            "job.schedule[0].zone",
            "Europe/Berlin",
        ),
        (a_job("daily/report"), "job.name", "'/' at character 6"),
        (
            v1::Job { payload: "x".repeat((1 << 20) + 1), ..a_job("tick") },
            "job.payload",
            "the most is 1048576",
        ),
        (v1::Job { payload: "{".to_owned(), ..a_job("tick") }, "job.payload", "not JSON"),
        (
            v1::Job { task: Some(v1::job::Task::Kind("exec".to_owned())), ..a_job("tick") },
            "job.kind",
            "runner's own",
        ),
    ];
    for (job, field, message) in cases {
        let found = wrong_fields(jobs.create_job(create(job)).await);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, field);
        assert!(found[0].1.contains(message), "{field}: {}", found[0].1);
    }
    assert_eq!(jobs.list_jobs(v1::ListJobsRequest::default()).await.unwrap().into_inner().jobs, []);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn what_does_not_exist_is_not_found_and_what_is_no_id_is_invalid(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut runs) = (front.jobs(), front.runs());
    let not_found = |reason: &str| (Code::NotFound, reason.to_owned());
    assert_eq!(refused(jobs.get_job(get("nothing")).await), not_found("JOB_NOT_FOUND"));
    let trigger = v1::TriggerJobRequest { name: "nothing".to_owned(), ..Default::default() };
    assert_eq!(refused(jobs.trigger_job(trigger).await), not_found("JOB_NOT_FOUND"));
    let pause = v1::PauseJobRequest { name: "nothing".to_owned(), ..Default::default() };
    assert_eq!(refused(jobs.pause_job(pause).await), not_found("JOB_NOT_FOUND"));
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057".to_owned();
    let get_run = |id: &str| v1::GetRunRequest { id: id.to_owned() };
    assert_eq!(refused(runs.get_run(get_run(&unknown)).await), not_found("RUN_NOT_FOUND"));
    let cancel = v1::CancelRunRequest { id: unknown.clone(), reason: String::new() };
    assert_eq!(refused(runs.cancel_run(cancel).await), not_found("RUN_NOT_FOUND"));
    let watch = v1::WatchRunsRequest { id: unknown, ..Default::default() };
    let answer = runs.watch_runs(watch).await.map(|_| tonic::Response::new(()));
    assert_eq!(refused(answer), not_found("RUN_NOT_FOUND"));
    assert_eq!(wrong_fields(runs.get_run(get_run("17")).await)[0].0, "id");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn page_tokens_and_sizes_that_were_not_given_out_are_invalid(pool: PgPool) {
    let front = Front::start(&pool).await;
    let token = v1::ListJobsRequest { page_token: "made up".to_owned(), ..Default::default() };
    assert_eq!(wrong_fields(front.jobs().list_jobs(token).await)[0].0, "page_token");
    let token = v1::ListRunsRequest { page_token: "1~tick".to_owned(), ..Default::default() };
    assert_eq!(wrong_fields(front.runs().list_runs(token).await)[0].0, "page_token");
    let size = v1::ListJobsRequest { page_size: 1_001, ..Default::default() };
    assert_eq!(wrong_fields(front.jobs().list_jobs(size).await)[0].0, "page_size");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn text_that_postgres_cannot_keep_is_refused_before_it_gets_there(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let nul = || "a\0b".to_owned();
    let job = v1::Job { description: nul(), ..a_job("tick") };
    assert_eq!(wrong_fields(jobs.create_job(create(job)).await)[0].0, "job.description");
    let request = v1::CreateJobRequest { job: Some(a_job("tick")), request_id: nul() };
    assert_eq!(wrong_fields(jobs.create_job(request).await)[0].0, "request_id");
    let pause = v1::PauseJobRequest { name: "tick".to_owned(), reason: nul(), ..Default::default() };
    assert_eq!(wrong_fields(jobs.pause_job(pause).await)[0].0, "reason");
    // Escaped, it is JSON like any other, and kept as it came.
    let job = v1::Job { payload: r#""a\u0000b""#.to_owned(), ..a_job("tick") };
    assert_eq!(jobs.create_job(create(job)).await.unwrap().into_inner().payload, r#""a\u0000b""#);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_message_over_four_mebibytes_is_refused_and_the_connection_goes_on(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let job = v1::Job { payload: "x".repeat(5 << 20), ..a_job("tick") };
    let status = jobs.create_job(create(job)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    jobs.create_job(create(a_job("tick"))).await.unwrap();
}
