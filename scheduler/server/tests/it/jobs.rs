//! `JobService`.

use futures::future::join_all;
use punctual_proto::v1::apply_job_response::Outcome;
use punctual_proto::v1::{self, JobState};
use sqlx::PgPool;
use tonic::Code;

use crate::front::{Front, a_job, create, cron, get, hourly, refused, update};

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_job_is_created_changed_paused_resumed_and_deleted(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let created = jobs.create_job(create(hourly("tick"))).await.unwrap().into_inner();
    assert_eq!((created.version, created.state()), (1, JobState::Active));
    assert!(created.next_due_at.is_some());
    assert_eq!(jobs.get_job(get("tick")).await.unwrap().into_inner(), created);

    let changed = v1::Job { description: "changed".to_owned(), ..created.clone() };
    let changed = jobs.update_job(update(changed)).await.unwrap().into_inner();
    assert_eq!((changed.version, changed.description.as_str()), (2, "changed"));
    assert_ne!(changed.etag, created.etag);

    let pause =
        v1::PauseJobRequest { name: "tick".to_owned(), reason: "holidays".to_owned(), ..Default::default() };
    let paused = jobs.pause_job(pause).await.unwrap().into_inner();
    assert_eq!((paused.state(), paused.state_reason.as_str()), (JobState::Paused, "holidays"));
    assert_eq!(paused.next_due_at, None);
    let resume = v1::ResumeJobRequest { name: "tick".to_owned(), ..Default::default() };
    let resumed = jobs.resume_job(resume).await.unwrap().into_inner();
    assert_eq!((resumed.state(), resumed.state_reason.as_str()), (JobState::Active, ""));
    assert!(resumed.next_due_at.is_some());

    let delete = v1::DeleteJobRequest { name: "tick".to_owned(), ..Default::default() };
    jobs.delete_job(delete.clone()).await.unwrap();
    assert_eq!(refused(jobs.get_job(get("tick")).await), (Code::NotFound, "JOB_NOT_FOUND".to_owned()));
    assert_eq!(refused(jobs.delete_job(delete).await), (Code::NotFound, "JOB_NOT_FOUND".to_owned()));
    let again = jobs.create_job(create(hourly("tick"))).await.unwrap().into_inner();
    assert_eq!(again.version, 1, "the name is free again");
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_name_is_taken_once_per_namespace(pool: PgPool) {
    sqlx::query("insert into punctual.namespace (name) values ('other')").execute(&pool).await.unwrap();
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    jobs.create_job(create(a_job("tick"))).await.unwrap();
    assert_eq!(
        refused(jobs.create_job(create(a_job("tick"))).await),
        (Code::AlreadyExists, "JOB_EXISTS".to_owned())
    );
    let elsewhere = v1::Job { namespace: "other".to_owned(), ..a_job("tick") };
    assert_eq!(jobs.create_job(create(elsewhere)).await.unwrap().into_inner().namespace, "other");
    let nowhere = v1::Job { namespace: "nowhere".to_owned(), ..a_job("tick") };
    assert_eq!(
        refused(jobs.create_job(create(nowhere)).await),
        (Code::NotFound, "NAMESPACE_NOT_FOUND".to_owned())
    );
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_update_with_an_old_etag_changes_nothing(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let first = jobs.create_job(create(a_job("tick"))).await.unwrap().into_inner();
    let mine = v1::Job { description: "mine".to_owned(), ..first.clone() };
    let theirs = v1::Job { description: "theirs".to_owned(), ..first.clone() };
    let theirs = jobs.update_job(update(theirs)).await.unwrap().into_inner();
    let answer = jobs.update_job(update(mine.clone())).await;
    assert!(answer.as_ref().unwrap_err().message().contains(&theirs.etag), "{answer:?}");
    assert_eq!(refused(answer), (Code::Aborted, "STALE_ETAG".to_owned()));
    let delete = v1::DeleteJobRequest { name: "tick".to_owned(), etag: first.etag, ..Default::default() };
    assert_eq!(refused(jobs.delete_job(delete).await), (Code::Aborted, "STALE_ETAG".to_owned()));
    assert_eq!(jobs.get_job(get("tick")).await.unwrap().into_inner(), theirs);
    let without = v1::Job { etag: String::new(), ..mine };
    assert_eq!(jobs.update_job(update(without)).await.unwrap().into_inner().description, "mine");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_apply_creates_then_changes_and_leaves_alone_what_is_the_same(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let mut apply = async |job: v1::Job| {
        let request = v1::ApplyJobRequest { job: Some(job), request_id: String::new() };
        let answer = jobs.apply_job(request).await.unwrap().into_inner();
        (answer.outcome(), answer.job.unwrap())
    };
    let (outcome, created) = apply(hourly("tick")).await;
    assert_eq!((outcome, created.version), (Outcome::Created, 1));
    let (outcome, same) = apply(hourly("tick")).await;
    assert_eq!((outcome, &same), (Outcome::Unchanged, &created));
    let (outcome, same) = apply(created.clone()).await;
    assert_eq!((outcome, &same), (Outcome::Unchanged, &created), "with every default filled in");
    let (outcome, changed) = apply(v1::Job { schedule: vec![cron("5 * * * *")], ..hourly("tick") }).await;
    assert_eq!((outcome, changed.version), (Outcome::Updated, 2));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn applies_at_the_same_time_all_succeed_and_create_once(pool: PgPool) {
    let front = Front::start(&pool).await;
    let applies = (0..8).map(|number| {
        let mut jobs = front.jobs();
        let job = v1::Job { description: format!("variant {}", number % 2), ..a_job("tick") };
        async move {
            let request = v1::ApplyJobRequest { job: Some(job), request_id: String::new() };
            jobs.apply_job(request).await.unwrap().into_inner()
        }
    });
    let outcomes: Vec<_> = join_all(applies).await.iter().map(v1::ApplyJobResponse::outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Created).count(), 1, "{outcomes:?}");
    let versions: i32 =
        sqlx::query_scalar("select version from punctual.job").fetch_one(&pool).await.unwrap();
    let changes = outcomes.iter().filter(|outcome| **outcome == Outcome::Updated).count();
    assert_eq!(versions as usize, 1 + changes, "{outcomes:?}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_repeated_request_gets_the_first_answer_and_changes_nothing(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    let request = v1::CreateJobRequest { job: Some(a_job("tick")), request_id: "first".to_owned() };
    let created = jobs.create_job(request.clone()).await.unwrap().into_inner();
    assert_eq!(jobs.create_job(request).await.unwrap().into_inner(), created);

    let pause = v1::PauseJobRequest {
        name: "tick".to_owned(),
        request_id: "second".to_owned(),
        ..Default::default()
    };
    let paused = jobs.pause_job(pause.clone()).await.unwrap().into_inner();
    assert_eq!(jobs.pause_job(pause).await.unwrap().into_inner().etag, paused.etag);

    let resume = v1::ResumeJobRequest {
        name: "tick".to_owned(),
        request_id: "second".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        refused(jobs.resume_job(resume).await),
        (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned())
    );

    let trigger = v1::TriggerJobRequest {
        name: "tick".to_owned(),
        request_id: "third".to_owned(),
        ..Default::default()
    };
    let run = jobs.trigger_job(trigger.clone()).await.unwrap().into_inner();
    assert_eq!(jobs.trigger_job(trigger).await.unwrap().into_inner(), run);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_listing_goes_page_by_page_in_the_order_of_names(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    for number in (0..7).rev() {
        jobs.create_job(create(a_job(&format!("job-{number}")))).await.unwrap();
    }
    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListJobsRequest { page_size: 3, page_token, ..Default::default() };
        let page = jobs.list_jobs(request).await.unwrap().into_inner();
        pages.push(page.jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [vec!["job-0", "job-1", "job-2"], vec!["job-3", "job-4", "job-5"], vec!["job-6"]]);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_large_listing_stays_within_what_clients_take(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    for number in 0..6 {
        let payload = format!("\"{}\"", "x".repeat(1_000_000));
        jobs.create_job(create(v1::Job { payload, ..a_job(&format!("job-{number}")) })).await.unwrap();
    }
    let first = jobs.list_jobs(v1::ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(first.jobs.len(), 3);
    let request = v1::ListJobsRequest { page_token: first.next_page_token, ..Default::default() };
    let second = jobs.list_jobs(request).await.unwrap().into_inner();
    assert_eq!((second.jobs.len(), second.next_page_token.as_str()), (3, ""));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_preview_shows_what_clock_changes_do_and_saves_nothing(pool: PgPool) {
    let front = Front::start(&pool).await;
    let from = prost_types::Timestamp { seconds: 1_772_841_600, nanos: 0 }; // 2026-03-07T00:00:00Z
    let request = v1::PreviewScheduleRequest {
        schedule: vec![v1::Schedule { zone: "America/New_York".to_owned(), ..cron("30 2 * * *") }],
        from: Some(from),
        count: 3,
        ..Default::default()
    };
    let preview = front.jobs().preview_schedule(request).await.unwrap().into_inner().occurrences;
    let local: Vec<_> = preview.iter().map(|occurrence| occurrence.local.as_str()).collect();
    assert_eq!(
        local,
        ["2026-03-07T02:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]
    );
    assert!(preview[0].note.is_empty() && preview[1].note.contains("02:30"), "{preview:?}");
    let jobs: i64 = sqlx::query_scalar("select count(*) from punctual.job").fetch_one(&pool).await.unwrap();
    assert_eq!(jobs, 0);
}
