//! Saying when, through the front door: dialects, recurrences, calendars, pauses, namespaces.

use punctual_proto::v1::{self, JobState};
use sqlx::PgPool;
use tonic::Code;

use crate::front::{Front, a_job, create, cron, get, hourly, refused, wrong_fields};

fn timestamp(text: &str) -> Option<prost_types::Timestamp> {
    let instant: chrono::DateTime<chrono::Utc> = text.parse().unwrap();
    Some(prost_types::Timestamp { seconds: instant.timestamp(), nanos: 0 })
}

/// Local times and notes of the first instants.
async fn preview(front: &Front, schedule: v1::Schedule, from: &str, count: u32) -> Vec<String> {
    let request = v1::PreviewScheduleRequest {
        schedule: vec![schedule],
        from: timestamp(from),
        count,
        ..Default::default()
    };
    let answer = front.jobs().preview_schedule(request).await.unwrap().into_inner();
    let line = |occurrence: &v1::preview_schedule_response::Occurrence| {
        format!("{} {}", occurrence.local, occurrence.note).trim_end().to_owned()
    };
    answer.occurrences.iter().map(line).collect()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn every_kind_of_schedule_is_previewed_with_its_notes(pool: PgPool) {
    let front = Front::start(&pool).await;
    let quartz = v1::Schedule { dialect: v1::Dialect::Quartz.into(), ..cron("0 30 2 ? * *") };
    let new_york = v1::Schedule { zone: "America/New_York".to_owned(), ..quartz };
    assert_eq!(
        preview(&front, new_york, "2026-03-07T12:00:00Z", 2).await,
        [
            "2026-03-08T03:00:00-04:00 2026-03-08 02:30 does not exist in America/New_York: runs 03:00",
            "2026-03-09T02:30:00-04:00",
        ]
    );
    let seconds =
        v1::Schedule { dialect: v1::Dialect::SecondsFirst.into(), max_count: 3, ..cron("*/20 * * * * *") };
    assert_eq!(
        preview(&front, seconds, "2026-01-01T00:00:00Z", 10).await,
        ["2026-01-01T00:00:20+00:00", "2026-01-01T00:00:40+00:00", "2026-01-01T00:01:00+00:00"]
    );
    let rule = "DTSTART:20260105T013000 RRULE:FREQ=WEEKLY;BYDAY=SU".to_owned();
    let sundays = v1::Schedule {
        when: Some(v1::schedule::When::Rrule(rule)),
        zone: "America/New_York".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        preview(&front, sundays, "2026-10-30T00:00:00Z", 2).await,
        [
            "2026-11-01T01:30:00-04:00 2026-11-01 01:30 happens twice in America/New_York: runs on the first pass",
            "2026-11-08T01:30:00-05:00",
        ]
    );
    let delay = prost_types::Duration { seconds: 300, nanos: 0 };
    let delayed = v1::Schedule { when: Some(v1::schedule::When::Delay(delay)), ..Default::default() };
    assert_eq!(
        preview(&front, delayed, "2026-01-01T00:00:00Z", 10).await,
        ["2026-01-01T00:05:00+00:00 the next follows 300s after the end of its run"]
    );
    let six = v1::PreviewScheduleRequest { schedule: vec![cron("0 0 9 * * *")], ..Default::default() };
    let wrong = wrong_fields(front.jobs().preview_schedule(six).await);
    assert_eq!(wrong[0].0, "schedule[0].cron");
    assert!(wrong[0].1.contains("`dialect: seconds_first` or `dialect: year_last`"), "{wrong:?}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_calendar_is_imported_named_previewed_and_kept_while_it_is_needed(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut calendars, mut jobs) = (front.calendars(), front.jobs());
    let excluding = v1::Schedule {
        zone: "Europe/Berlin".to_owned(),
        exclude: vec!["holidays".to_owned()],
        ..cron("0 9 * * *")
    };
    let job = v1::Job { schedule: vec![excluding.clone()], ..a_job("tick") };
    let not_found = (Code::NotFound, "CALENDAR_NOT_FOUND".to_owned());
    assert_eq!(refused(jobs.create_job(create(job.clone())).await), not_found);

    let ical = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:New Year\nDTSTART;VALUE=DATE:20260101\n\
                RRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR\n";
    let name = "holidays".to_owned();
    let put = v1::PutCalendarRequest { name: name.clone(), ical: ical.to_owned(), ..Default::default() };
    let calendar = calendars.put_calendar(put).await.unwrap().into_inner();
    assert_eq!((calendar.days.len(), calendar.events.len()), (0, 1));
    let key = v1::GetCalendarRequest { name: name.clone(), ..Default::default() };
    assert_eq!(calendars.get_calendar(key).await.unwrap().into_inner(), calendar);
    assert_eq!(
        preview(&front, excluding, "2026-12-31T12:00:00Z", 2).await,
        ["2027-01-01T09:00:00+01:00 does not run: excluded by holidays", "2027-01-02T09:00:00+01:00"]
    );
    jobs.create_job(create(job)).await.unwrap();
    let delete = v1::DeleteCalendarRequest { name: name.clone(), ..Default::default() };
    let in_use = (Code::FailedPrecondition, "CALENDAR_IN_USE".to_owned());
    assert_eq!(refused(calendars.delete_calendar(delete.clone()).await), in_use);
    let gone = v1::DeleteJobRequest { name: "tick".to_owned(), ..Default::default() };
    jobs.delete_job(gone).await.unwrap();
    calendars.delete_calendar(delete.clone()).await.unwrap();
    assert_eq!(refused(calendars.delete_calendar(delete).await), not_found);

    let broken = v1::PutCalendarRequest { name: name.clone(), ical: "x".to_owned(), ..Default::default() };
    assert_eq!(wrong_fields(calendars.put_calendar(broken).await)[0].0, "ical");
    let days = vec!["2026-12-24".to_owned(), "yesterday".to_owned()];
    let broken = v1::PutCalendarRequest { name, days, ..Default::default() };
    assert_eq!(wrong_fields(calendars.put_calendar(broken).await)[0].0, "days[1]");
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_pause_says_by_whom_why_and_until_when(pool: PgPool) {
    let front = Front::start(&pool).await;
    let mut jobs = front.jobs();
    jobs.create_job(create(hourly("tick"))).await.unwrap();
    let pause = v1::PauseJobRequest {
        name: "tick".to_owned(),
        reason: "holidays".to_owned(),
        by: "ann".to_owned(),
        until: timestamp("2100-01-01T00:00:00Z"),
        ..Default::default()
    };
    let paused = jobs.pause_job(pause.clone()).await.unwrap().into_inner();
    assert_eq!((paused.state(), paused.state_reason.as_str()), (JobState::Paused, "holidays"));
    assert_eq!((paused.paused_by.as_str(), paused.paused_until), ("ann", pause.until));
    assert!(paused.paused_at.is_some());
    assert_eq!(jobs.get_job(get("tick")).await.unwrap().into_inner(), paused);
    let past = v1::PauseJobRequest { until: timestamp("2001-01-01T00:00:00Z"), ..pause };
    let wrong = wrong_fields(jobs.pause_job(past).await);
    assert_eq!(wrong[0].0, "until");
    assert!(wrong[0].1.contains("is past"), "{wrong:?}");
    let resume = v1::ResumeJobRequest { name: "tick".to_owned(), catch_up: true, ..Default::default() };
    let resumed = jobs.resume_job(resume).await.unwrap().into_inner();
    assert_eq!((resumed.state(), resumed.paused_by.as_str()), (JobState::Active, ""));
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_namespace_is_made_listed_and_deleted_when_it_is_empty(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (mut namespaces, mut jobs) = (front.namespaces(), front.jobs());
    let retention = v1::Retention { success: v1::RetentionClass::Short.into(), failure: 0 };
    let tenant = v1::Namespace { name: "tenant-7".to_owned(), retention: Some(retention), created_at: None };
    let make = v1::CreateNamespaceRequest { namespace: Some(tenant) };
    let made = namespaces.create_namespace(make.clone()).await.unwrap().into_inner();
    assert_eq!((made.name.as_str(), made.retention), ("tenant-7", Some(retention)));
    let exists = (Code::AlreadyExists, "NAMESPACE_EXISTS".to_owned());
    assert_eq!(refused(namespaces.create_namespace(make).await), exists);
    let listed = namespaces.list_namespaces(v1::ListNamespacesRequest {}).await.unwrap().into_inner();
    assert_eq!(
        listed.namespaces.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        ["default", "tenant-7"]
    );

    let job = v1::Job { namespace: "tenant-7".to_owned(), ..hourly("tick") };
    jobs.create_job(create(job.clone())).await.unwrap();
    let delete = v1::DeleteNamespaceRequest { name: "tenant-7".to_owned() };
    let not_empty = (Code::FailedPrecondition, "NAMESPACE_NOT_EMPTY".to_owned());
    assert_eq!(refused(namespaces.delete_namespace(delete.clone()).await), not_empty);
    let gone = v1::DeleteJobRequest {
        namespace: "tenant-7".to_owned(),
        name: "tick".to_owned(),
        ..Default::default()
    };
    jobs.delete_job(gone).await.unwrap();
    namespaces.delete_namespace(delete).await.unwrap();
    let unknown = (Code::NotFound, "NAMESPACE_NOT_FOUND".to_owned());
    assert_eq!(refused(jobs.create_job(create(job)).await), unknown);
    let default = v1::DeleteNamespaceRequest { name: "default".to_owned() };
    assert_eq!(wrong_fields(namespaces.delete_namespace(default).await)[0].0, "name");
    front.stop().await;
}
