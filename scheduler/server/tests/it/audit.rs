//! `AuditService`.

use punctual_proto::v1::{self, InstantVerdict, JobEventKind, JobState};
use sqlx::PgPool;
use tonic::{Code, Request};

use crate::front::{Front, a_job, create, cron, hourly, refused, update, wrong_fields};

fn versions(name: &str) -> v1::ListJobVersionsRequest {
    v1::ListJobVersionsRequest { name: name.to_owned(), ..Default::default() }
}

fn events(name: &str) -> v1::ListJobEventsRequest {
    v1::ListJobEventsRequest { name: name.to_owned(), ..Default::default() }
}

fn rollback(name: &str, version: u32) -> v1::RollbackJobRequest {
    v1::RollbackJobRequest { name: name.to_owned(), version, ..Default::default() }
}

fn explain(name: &str, seconds: i64) -> v1::ExplainInstantRequest {
    let at = Some(prost_types::Timestamp { seconds, nanos: 0 });
    v1::ExplainInstantRequest { name: name.to_owned(), at, ..Default::default() }
}

fn named<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("punctual-actor", actor.parse().unwrap());
    request
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_job_is_rolled_back_and_its_versions_and_events_tell_how_it_came_there(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut audit) = (front.jobs(), front.audit());
    jobs.create_job(named("ann", create(hourly("tick")))).await.unwrap();
    let half_hourly =
        v1::Job { schedule: vec![cron("30 * * * *")], task_queue: "slow".to_owned(), ..hourly("tick") };
    jobs.update_job(named("bob", update(half_hourly))).await.unwrap();
    let rolled_back = audit.rollback_job(named("cleo", rollback("tick", 1))).await.unwrap().into_inner();
    assert_eq!((rolled_back.version, rolled_back.task_queue.as_str()), (3, "default"));
    let again = audit.rollback_job(rollback("tick", 1)).await.unwrap().into_inner();
    assert_eq!(again, rolled_back, "it is in force already");

    let found = audit.list_job_versions(versions("tick")).await.unwrap().into_inner().versions;
    let told: Vec<_> = found.iter().map(|found| (found.version, found.author.as_str())).collect();
    assert_eq!(told, [(3, "cleo"), (2, "bob"), (1, "ann")]);
    let changes = |version: &v1::JobVersion| -> Vec<(String, String, String)> {
        let each = version.changes.iter().cloned();
        each.map(|change| (change.field, change.from, change.to)).collect()
    };
    let there = |field: &str, from: &str, to: &str| (field.to_owned(), from.to_owned(), to.to_owned());
    assert_eq!(
        changes(&found[1]),
        [
            there("schedule[0].cron", r#""0 * * * *""#, r#""30 * * * *""#),
            there("task_queue", r#""default""#, r#""slow""#),
        ]
    );
    assert_eq!(changes(&found[0]).len(), 2);
    assert_eq!(changes(&found[2]), []);
    let asked = v1::GetJobVersionRequest { name: "tick".to_owned(), version: 2, ..Default::default() };
    assert_eq!(audit.get_job_version(asked).await.unwrap().into_inner(), found[1]);

    let told = audit.list_job_events(events("tick")).await.unwrap().into_inner().events;
    let told: Vec<_> =
        told.iter().map(|event| (event.kind(), event.actor.as_str(), event.note.as_str())).collect();
    assert_eq!(
        told,
        [
            (JobEventKind::RolledBack, "cleo", "to version 1"),
            (JobEventKind::Updated, "bob", ""),
            (JobEventKind::Created, "ann", ""),
        ]
    );
    assert_eq!(
        refused(audit.rollback_job(rollback("tick", 9)).await),
        (Code::NotFound, "VERSION_NOT_FOUND".to_owned())
    );
    assert_eq!(
        refused(audit.rollback_job(rollback("tock", 1)).await),
        (Code::NotFound, "JOB_NOT_FOUND".to_owned())
    );
    let stale = v1::RollbackJobRequest { etag: "1".to_owned(), ..rollback("tick", 2) };
    assert!(audit.rollback_job(stale).await.is_err());
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn versions_and_events_come_a_page_at_a_time(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut audit) = (front.jobs(), front.audit());
    jobs.create_job(create(a_job("tick"))).await.unwrap();
    for number in 2..=5 {
        let job = v1::Job { description: format!("number {number}"), ..a_job("tick") };
        jobs.update_job(update(job)).await.unwrap();
    }
    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListJobVersionsRequest { page_size: 2, page_token, ..versions("tick") };
        let page = audit.list_job_versions(request).await.unwrap().into_inner();
        let of_page = page.versions.iter().map(|version| (version.version, version.changes.len()));
        pages.push(of_page.collect::<Vec<_>>());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [vec![(5, 1), (4, 1)], vec![(3, 1), (2, 1)], vec![(1, 0)]]);

    let request = v1::ListJobEventsRequest { page_size: 3, ..events("tick") };
    let first = audit.list_job_events(request.clone()).await.unwrap().into_inner();
    let request = v1::ListJobEventsRequest { page_token: first.next_page_token, ..request };
    let second = audit.list_job_events(request).await.unwrap().into_inner();
    let of = |events: &[v1::JobEvent]| events.iter().map(|event| event.version).collect::<Vec<_>>();
    assert_eq!((of(&first.events), of(&second.events)), (vec![5, 4, 3], vec![2, 1]));
    assert_eq!(second.next_page_token, "");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_instant_is_explained_by_the_jobs_life_its_rules_or_its_run(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut audit) = (front.jobs(), front.audit());
    jobs.create_job(create(hourly("tick"))).await.unwrap();
    let now: i64 =
        sqlx::query_scalar("select extract(epoch from now())::bigint").fetch_one(&pool).await.unwrap();
    let hour = |hours: i64| (now / 3600 + hours) * 3600;
    let verdict = async |seconds: i64| {
        let explained = front.audit().explain_instant(explain("tick", seconds)).await.unwrap().into_inner();
        (explained.verdict(), explained)
    };

    let (found, explained) = verdict(hour(0) - 3600).await;
    assert_eq!(found, InstantVerdict::BeforeCreation, "{explained:?}");
    assert_eq!(explained.version, None);
    let (found, explained) = verdict(hour(2) + 60).await;
    assert_eq!(found, InstantVerdict::NoRule, "{explained:?}");
    assert_eq!(explained.because, "no rule of version 1 gives this instant");
    let near = |at: &Option<prost_types::Timestamp>| at.as_ref().map(|at| at.seconds);
    assert_eq!((near(&explained.before), near(&explained.after)), (Some(hour(2)), Some(hour(3))));
    let (found, explained) = verdict(hour(30)).await;
    assert_eq!(found, InstantVerdict::NotYetPlanned, "{explained:?}");
    assert_eq!((&explained.rules[..], explained.state()), (&[0][..], JobState::Active));

    // As if the job had been there for hours and nobody had planned it.
    let aged = "update punctual.job_event set at = at - interval '5 hours'";
    sqlx::query(aged).execute(&pool).await.unwrap();
    let (found, explained) = verdict(hour(-1)).await;
    assert_eq!(found, InstantVerdict::Absent, "{explained:?}");
    let range = "insert into punctual.missed_range (job_id, from_at, to_at, instants, reason, recorded_at)
        select id, to_timestamp($1), to_timestamp($1), 1, 'misfire', now() from punctual.job";
    sqlx::query(range).bind(hour(-1) as f64).execute(&pool).await.unwrap();
    let (found, explained) = verdict(hour(-1)).await;
    assert_eq!((found, explained.missed.map(|missed| missed.instants)), (InstantVerdict::Missed, Some(1)));

    let pause =
        v1::PauseJobRequest { name: "tick".to_owned(), reason: "holidays".to_owned(), ..Default::default() };
    jobs.pause_job(named("ann", pause)).await.unwrap();
    let (found, explained) = verdict(hour(2)).await;
    assert_eq!(found, InstantVerdict::Paused, "{explained:?}");
    assert!(explained.because.ends_with("by ann: holidays"), "{}", explained.because);
    let delete = v1::DeleteJobRequest { name: "tick".to_owned(), ..Default::default() };
    jobs.delete_job(delete).await.unwrap();
    assert_eq!(verdict(hour(2)).await.0, InstantVerdict::Deleted);

    let asked = v1::ExplainInstantRequest { at: None, ..explain("tick", 0) };
    assert_eq!(wrong_fields(audit.explain_instant(asked).await)[0].0, "at");
    let missing = audit.explain_instant(explain("never", 0)).await;
    assert_eq!(refused(missing), (Code::NotFound, "JOB_NOT_FOUND".to_owned()));
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_run_is_the_explanation_of_its_instant_and_a_lost_one_is_found_absent(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut jobs, mut audit) = (front.jobs(), front.audit());
    let every = v1::schedule::When::Every(prost_types::Duration { seconds: 1, nanos: 0 });
    let schedule = vec![v1::Schedule { when: Some(every), ..Default::default() }];
    let overlap = v1::Overlap::Allow.into();
    jobs.create_job(create(v1::Job { schedule, overlap, ..a_job("tick") })).await.unwrap();
    // The planner has written the next instants down, and the first of them is past.
    let due: i64 = loop {
        let due =
            "select extract(epoch from min(due_at))::bigint from punctual.run_ledger where due_at < now()";
        match sqlx::query_scalar(due).fetch_one(&pool).await.unwrap() {
            Some(due) => break due,
            None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    let explained = audit.explain_instant(explain("tick", due)).await.unwrap().into_inner();
    assert_eq!(explained.verdict(), InstantVerdict::Run, "{explained:?}");
    assert_eq!((explained.runs.len(), &explained.rules[..]), (1, &[0][..]));
    assert!(explained.because.starts_with(&format!("its run {}", explained.runs[0].id)), "{explained:?}");

    let lost = "delete from punctual.run_ledger where due_at = to_timestamp($1)";
    sqlx::query(lost).bind(due as f64).execute(&pool).await.unwrap();
    let asked = v1::ReconcileJobRequest { name: "tick".to_owned(), ..Default::default() };
    let found = audit.reconcile_job(asked.clone()).await.unwrap().into_inner();
    assert_eq!(found.found, found.expected - 1, "{found:?}");
    assert_eq!(found.absent.iter().map(|at| at.seconds).collect::<Vec<_>>(), [due]);
    assert_eq!(found.unexpected, []);

    let long_ago = Some(prost_types::Timestamp { seconds: due - 9 * 86_400, nanos: 0 });
    let asked = v1::ReconcileJobRequest { from: long_ago, ..asked };
    assert_eq!(wrong_fields(audit.reconcile_job(asked).await)[0].0, "from");
    front.stop().await;
}
