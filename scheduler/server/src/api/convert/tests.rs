//! Whole messages, there and back; what is wrong with them, by path.

use std::collections::BTreeMap;

use punctual_proto::v1;
use punctual_scheduler_domain::id::{JobId, RunId, SessionId};
use punctual_scheduler_domain::job::{Job, JobState};
use uuid::Uuid;

use super::*;
use crate::api::error::ApiError;

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn cron(expression: &str) -> v1::Schedule {
    v1::Schedule { when: Some(v1::schedule::When::Cron(expression.to_owned())), ..Default::default() }
}

fn handler(kind: &str) -> Option<v1::job::Task> {
    Some(v1::job::Task::Kind(kind.to_owned()))
}

/// The least that is a job.
fn a_job() -> v1::Job {
    v1::Job { name: "tick".to_owned(), task: handler("mail.send"), ..Default::default() }
}

/// What a server would answer after saving it.
fn saved(definition: JobDefinition) -> v1::Job {
    let at = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    job_to_proto(&Job {
        id: JobId(Uuid::nil()),
        namespace: definition.key.namespace,
        name: definition.key.name,
        version: 1,
        revision: 17,
        spec: definition.spec,
        state: JobState::Active,
        state_reason: String::new(),
        pause: None,
        created_at: at,
        updated_at: at,
        next_due_at: Some(at),
    })
}

#[test]
fn a_job_that_says_little_gets_every_default() {
    let job = saved(read_job(Some(a_job())).unwrap());
    assert_eq!(job.namespace, "default");
    assert_eq!(job.task_queue, "default");
    assert_eq!(job.overlap(), v1::Overlap::Skip);
    assert_eq!(job.misfire(), v1::Misfire::Latest);
    assert_eq!(job.etag, "r17");
    let retry = job.retry.unwrap();
    assert_eq!((retry.max_tries, retry.jitter), (3, Some(true)));
    let Some(v1::retry::Backoff::Exponential(backoff)) = retry.backoff else { panic!("no backoff") };
    assert_eq!((backoff.initial, backoff.factor, backoff.cap), (seconds(1), 2.0, seconds(300)));
    let timeouts = job.timeouts.unwrap();
    assert_eq!((timeouts.schedule_to_start, timeouts.schedule_to_close), (None, None));
    assert_eq!((timeouts.start_to_close, timeouts.cancel_grace), (seconds(3600), seconds(10)));
}

#[test]
fn a_job_that_says_everything_comes_back_as_it_was_given() {
    let instant = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let given = v1::Job {
        name: "Report.v2_final-1".to_owned(),
        namespace: "tenant-7".to_owned(),
        schedule: vec![
            v1::Schedule {
                zone: "Europe/Berlin".to_owned(),
                start: instant(1_800_000_000),
                end: instant(1_900_000_000),
                dst_gap: v1::DstGap::Skip.into(),
                dst_fold: v1::DstFold::Both.into(),
                dialect: v1::Dialect::SecondsFirst.into(),
                dom_dow: v1::DomDow::And.into(),
                jitter: seconds(30),
                max_count: 12,
                exclude: vec!["holidays".to_owned()],
                ..cron("0 0 9 * * MON-FRI")
            },
            v1::Schedule {
                when: Some(v1::schedule::When::Every(prost_types::Duration {
                    seconds: 90,
                    nanos: 500_000_000,
                })),
                phase: seconds(5),
                dst_gap: v1::DstGap::Shift.into(),
                dst_fold: v1::DstFold::First.into(),
                ..Default::default()
            },
            v1::Schedule {
                when: Some(v1::schedule::When::At("2026-12-01T09:00:00".to_owned())),
                zone: "America/New_York".to_owned(),
                dst_gap: v1::DstGap::Shift.into(),
                dst_fold: v1::DstFold::Last.into(),
                ..Default::default()
            },
            v1::Schedule {
                when: Some(v1::schedule::When::Rrule("DTSTART:20260105T090000 RRULE:FREQ=WEEKLY".to_owned())),
                dst_gap: v1::DstGap::Shift.into(),
                dst_fold: v1::DstFold::First.into(),
                ..Default::default()
            },
        ],
        task: Some(v1::job::Task::Exec(v1::ExecTask {
            argv: vec!["/bin/date".to_owned(), "+%s".to_owned()],
            env: BTreeMap::from([("LANG".to_owned(), "C".to_owned())]),
            working_dir: "/tmp".to_owned(),
        })),
        task_queue: "gpu_1".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), "ops".to_owned())]),
        overlap: v1::Overlap::Allow.into(),
        misfire: v1::Misfire::All.into(),
        misfire_after: seconds(30),
        catchup_window: seconds(86_400),
        catchup_limit: 7,
        retention: Some(v1::Retention {
            success: v1::RetentionClass::Short.into(),
            failure: v1::RetentionClass::Long.into(),
        }),
        retry: Some(v1::Retry {
            max_tries: 7,
            backoff: Some(v1::retry::Backoff::Exponential(v1::ExponentialBackoff {
                initial: seconds(2),
                factor: 1.5,
                cap: seconds(60),
            })),
            jitter: Some(false),
            non_retryable: vec!["bad_input".to_owned()],
        }),
        timeouts: Some(v1::Timeouts {
            schedule_to_start: seconds(30),
            schedule_to_close: seconds(600),
            start_to_close: seconds(120),
            cancel_grace: seconds(5),
        }),
        description: "Zahlen für heute".to_owned(),
        priority: Some(0),
        max_running: 3,
        concurrency: Some(v1::Concurrency { key: "{labels.team}".to_owned(), limit: 2 }),
        ..Default::default()
    };
    let back = saved(read_job(Some(given.clone())).unwrap());
    let set_by_server = v1::Job {
        version: back.version,
        etag: back.etag.clone(),
        state: back.state,
        created_at: back.created_at,
        updated_at: back.updated_at,
        next_due_at: back.next_due_at,
        ..given
    };
    assert_eq!(back, set_by_server);
    assert_eq!(saved(read_job(Some(back.clone())).unwrap()), back, "what was read can be applied");
}

/// The fields that are wrong, each with what is said about it.
#[track_caller]
fn wrong<T: std::fmt::Debug>(read: Result<T, ApiError>) -> Vec<(String, String)> {
    match read {
        Err(ApiError::Invalid(fields)) => {
            fields.into_iter().map(|field| (field.field, field.message)).collect()
        }
        other => panic!("expected wrong fields, got {other:?}"),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::Job), expect: &[(&str, &str)]) {
    let mut job = a_job();
    change(&mut job);
    let found = wrong(read_job(Some(job)));
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for ((field, message), (expect_field, expect_message)) in found.iter().zip(expect) {
        assert_eq!(field, expect_field);
        assert!(message.contains(expect_message), "{field}: {message}");
    }
}

#[test]
fn what_is_wrong_with_a_job_is_named_by_its_path() {
    check(|job| job.name.clear(), &[("job.name", "empty")]);
    check(|job| job.name = "daily/report".to_owned(), &[("job.name", "'/' at character 6")]);
    check(|job| job.namespace = "Ä".to_owned(), &[("job.namespace", "a-z 0-9 -")]);
    check(|job| job.task_queue = "a.b".to_owned(), &[("job.task_queue", "a-z 0-9 _ -")]);
    check(|job| job.etag = "17".to_owned(), &[("job.etag", "not an etag")]);
    check(|job| job.task = None, &[("job.kind", "nothing to run")]);
    check(|job| job.task = handler("exec"), &[("job.kind", "runner's own")]);
    check(|job| job.task = handler("a b"), &[("job.kind", "' ' at character 2")]);
    check(|job| job.payload = "{".to_owned(), &[("job.payload", "not JSON")]);
    check(|job| job.payload = format!("\"{}\"", "x".repeat(1 << 20)), &[("job.payload", "1048576")]);
    check(|job| job.overlap = 77, &[("job.overlap", "77")]);
    check(|job| job.misfire = -1, &[("job.misfire", "-1")]);
    check(|job| job.description = "x".repeat(1_001), &[("job.description", "1001")]);
    check(|job| job.description = "a\0b".to_owned(), &[("job.description", "NUL")]);
    check(|job| drop(job.labels.insert("a".to_owned(), "\0".to_owned())), &[("job.labels.a", "NUL")]);
    check(
        |job| job.retry = Some(v1::Retry { max_tries: 1_001, ..Default::default() }),
        &[("job.retry.max_tries", "1001")],
    );
    check(
        |job| job.timeouts = Some(v1::Timeouts { start_to_close: seconds(-1), ..Default::default() }),
        &[("job.timeouts.start_to_close", "negative")],
    );
}

#[test]
fn every_kind_of_back_off_comes_back_as_it_was_given() {
    use v1::retry::Backoff;
    let linear = v1::LinearBackoff { initial: seconds(1), increment: seconds(2), cap: seconds(9) };
    let delays = vec![seconds(1).unwrap(), seconds(5).unwrap()];
    for backoff in [
        Backoff::Fixed(seconds(7).unwrap()),
        Backoff::Linear(linear),
        Backoff::List(v1::ListBackoff { delays }),
    ] {
        let retry = Some(v1::Retry { backoff: Some(backoff.clone()), ..Default::default() });
        let back = saved(read_job(Some(v1::Job { retry, ..a_job() })).unwrap());
        assert_eq!(back.retry.unwrap().backoff, Some(backoff));
    }
    let retry = |backoff| Some(v1::Retry { backoff: Some(backoff), ..Default::default() });
    check(|job| job.retry = retry(Backoff::Fixed(seconds(-1).unwrap())), &[("job.retry.fixed", "negative")]);
    check(
        |job| job.retry = retry(Backoff::List(v1::ListBackoff::default())),
        &[("job.retry.list.delays", "expected 1 to 100")],
    );
}

#[test]
fn what_is_wrong_with_catching_up_is_named() {
    check(|job| job.misfire_after = seconds(3_601), &[("job.misfire_after", "1h")]);
    check(|job| job.catchup_window = seconds(8 * 86_400), &[("job.catchup_window", "7 days")]);
    check(|job| job.catchup_window = seconds(5), &[("job.catchup_window", "misfire: skip")]);
    check(|job| job.catchup_limit = 1_001, &[("job.catchup_limit", "1000")]);
    check(
        |job| job.retention = Some(v1::Retention { success: 9, failure: 0 }),
        &[("job.retention.success", "9")],
    );
}

#[test]
fn a_fixed_delay_is_a_schedule_of_its_own() {
    let delay = v1::Schedule { when: seconds(300).map(v1::schedule::When::Delay), ..Default::default() };
    let back = saved(read_job(Some(v1::Job { schedule: vec![delay.clone()], ..a_job() })).unwrap());
    assert_eq!(back.schedule[0].when, delay.when);
    check(
        |job| job.schedule = vec![delay.clone(), cron("@daily")],
        &[("job.schedule[0].delay", "stands alone")],
    );
    check(
        |job| job.schedule = vec![v1::Schedule { max_count: 3, ..delay.clone() }],
        &[("job.schedule[0].max_count", "does not go with `delay`")],
    );
}

#[test]
fn what_is_wrong_with_a_schedule_is_named_by_its_place_in_the_list() {
    let zone = |zone: &str| v1::Schedule { zone: zone.to_owned(), ..cron("@daily") };
    let every = |seconds_| v1::Schedule {
        when: seconds(seconds_).map(v1::schedule::When::Every),
        ..Default::default()
    };
    check(
        |job| job.schedule = vec![cron("0 9 * * *"), cron("0 25 * * *")],
        &[("job.schedule[1].cron", "at character 3")],
    );
    check(|job| job.schedule = vec![cron("0 0 9 * * *")], &[("job.schedule[0].cron", "six fields")]);
    check(|job| job.schedule = vec![zone("Europe/Berlim")], &[("job.schedule[0].zone", "Europe/Berlin")]);
    check(|job| job.schedule = vec![every(0)], &[("job.schedule[0].every", "1s")]);
    check(|job| job.schedule = vec![every(-1)], &[("job.schedule[0].every", "negative")]);
    check(|job| job.schedule = vec![v1::Schedule::default()], &[("job.schedule[0]", "needs one of")]);
    check(
        |job| job.schedule = vec![v1::Schedule { phase: seconds(1), ..cron("@daily") }],
        &[("job.schedule[0].phase", "only goes with `every`")],
    );
    check(
        |job| job.schedule = vec![v1::Schedule { dst_gap: 9, ..cron("@daily") }],
        &[("job.schedule[0].dst_gap", "9")],
    );
    check(
        |job| {
            job.schedule = vec![v1::Schedule { exclude: vec!["bank holidays".to_owned()], ..cron("@daily") }]
        },
        &[("job.schedule[0].exclude[0]", "' ' at character 5")],
    );
    check(
        |job| job.schedule = vec![v1::Schedule { jitter: seconds(90_000), ..cron("@daily") }],
        &[("job.schedule[0].jitter", "up to")],
    );
    check(
        |job| job.schedule = vec![v1::Schedule { max_count: 10_001, ..cron("@daily") }],
        &[("job.schedule[0].max_count", "10000")],
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    check(
        |job| {
            job.name.clear();
            job.task_queue = "Q".to_owned();
            job.overlap = 9;
        },
        &[("job.name", ""), ("job.task_queue", ""), ("job.overlap", "")],
    );
    assert_eq!(wrong(read_job(None)), [("job".to_owned(), "is missing".to_owned())]);
}

#[test]
fn a_program_takes_no_payload_and_needs_a_name() {
    let exec = |argv: &[&str]| {
        let argv = argv.iter().map(ToString::to_string).collect();
        Some(v1::job::Task::Exec(v1::ExecTask { argv, ..Default::default() }))
    };
    check(
        |job| (job.task, job.payload) = (exec(&["true"]), "{}".to_owned()),
        &[("job.payload", "no payload")],
    );
    check(|job| job.task = exec(&[]), &[("job.exec.argv", "no program")]);
    check(|job| job.task = exec(&["a\0b"]), &[("job.exec.argv[0]", "NUL")]);
}

#[test]
fn a_one_off_run_has_the_bounds_of_a_job_and_paths_without_one() {
    let id = RunId(Uuid::nil());
    let fine = v1::CreateRunRequest {
        task: Some(v1::create_run_request::Task::Kind("mail.send".to_owned())),
        ..Default::default()
    };
    assert!(read_new_run(id, &fine, None).is_ok());
    let request = v1::CreateRunRequest { payload: "nope".to_owned(), ..fine.clone() };
    assert_eq!(wrong(read_new_run(id, &request, None))[0].0, "payload");
    let request = v1::CreateRunRequest { task: None, ..fine.clone() };
    assert_eq!(wrong(read_new_run(id, &request, None))[0].0, "kind");
    let request =
        v1::CreateRunRequest { run_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..fine };
    assert_eq!(wrong(read_new_run(id, &request, None))[0].0, "run_at");
}

#[test]
fn a_request_id_has_128_characters_at_most() {
    assert_eq!(read_request_id(String::new()).unwrap(), None);
    assert!(read_request_id("ä".repeat(128)).unwrap().is_some());
    assert_eq!(wrong(read_request_id("x".repeat(129)))[0].0, "request_id");
}

#[test]
fn a_report_is_cut_to_what_is_kept_but_its_result_never_is() {
    let session = SessionId(Uuid::nil());
    let finish = |outcome| v1::FinishAttemptRequest {
        run_id: Uuid::nil().to_string(),
        attempt: 1,
        outcome: Some(outcome),
        output_tail: format!("{}end", "é".repeat(4_000)),
        ..Default::default()
    };
    let failed = v1::finish_attempt_request::Failed {
        error: format!("nul \0 {}", "ö".repeat(20_000)),
        retry_after: seconds(1 << 40),
        ..Default::default()
    };
    let report = read_report(session, finish(v1::finish_attempt_request::Outcome::Failed(failed))).unwrap();
    assert!(report.report.output_tail.len() <= 4_096 && report.report.output_tail.ends_with("éend"));
    assert!(report.report.error.len() <= 16 << 10 && report.report.error.starts_with("nul \u{fffd} ö"));
    assert!(report.report.retry_after.unwrap().as_secs() < 1 << 40);

    for (result, message) in
        [(format!("\"{}\"", "x".repeat(1 << 20)), "reference"), ("{".to_owned(), "not JSON")]
    {
        let succeeded = v1::finish_attempt_request::Succeeded { result };
        let found =
            wrong(read_report(session, finish(v1::finish_attempt_request::Outcome::Succeeded(succeeded))));
        assert_eq!(found[0].0, "succeeded.result");
        assert!(found[0].1.contains(message), "{}", found[0].1);
    }
    let nothing = v1::FinishAttemptRequest { run_id: "x".to_owned(), ..Default::default() };
    let fields: Vec<_> = wrong(read_report(session, nothing)).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["run_id", "attempt", "outcome"]);
}

#[test]
fn a_heartbeat_survives_what_cannot_exist() {
    let held = |run_id: &str, progress| v1::HeldAttempt {
        run_id: run_id.to_owned(),
        attempt: 1,
        progress: Some(progress),
        progress_note: "half\0way".to_owned(),
    };
    let run = Uuid::from_u128(7).to_string();
    let request = v1::HeartbeatRequest {
        session: Uuid::nil().to_string(),
        attempts: vec![held(&run, 7.0), held("nonsense", 0.5), held(&run, f64::NAN)],
        draining: true,
    };
    let (beat, unknown) = read_beat(request).unwrap();
    assert!(beat.draining);
    assert_eq!(beat.held.iter().map(|held| held.progress).collect::<Vec<_>>(), [Some(1.0), None]);
    assert_eq!(beat.held[0].progress_note, "half\u{fffd}way");
    assert_eq!(unknown, [v1::heartbeat_response::AttemptRef { run_id: "nonsense".to_owned(), attempt: 1 }]);
}

#[test]
fn a_registration_is_bounded() {
    let fine = v1::RegisterWorkerRequest {
        session: Uuid::nil().to_string(),
        kinds: vec!["b".to_owned(), "exec".to_owned(), "b".to_owned()],
        places: 10,
        ..Default::default()
    };
    let kinds = read_registration(fine.clone()).unwrap().kinds;
    assert_eq!(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(), ["b", "exec"]);
    let worse = v1::RegisterWorkerRequest {
        session: "me".to_owned(),
        namespace: "No".to_owned(),
        kinds: vec!["a b".to_owned()],
        places: 10_001,
        ..fine
    };
    let fields: Vec<_> = wrong(read_registration(worse)).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["session", "namespace", "kinds[0]", "places"]);
}

#[test]
fn a_preview_says_which_schedule_is_wrong() {
    let request = v1::PreviewScheduleRequest {
        schedule: vec![cron("@daily"), cron("61 * * * *")],
        ..Default::default()
    };
    assert_eq!(wrong(read_preview(&request))[0].0, "schedule[1].cron");
    let request =
        v1::PreviewScheduleRequest { schedule: vec![cron("@daily")], count: 10_001, ..Default::default() };
    assert_eq!(wrong(read_preview(&request))[0].0, "count");
    assert_eq!(wrong(read_preview(&v1::PreviewScheduleRequest::default()))[0].0, "schedule");
}

#[test]
fn a_listing_by_state_names_states() {
    let request = |states: &[i32]| v1::ListRunsRequest { states: states.to_vec(), ..Default::default() };
    let (selection, size) = read_selection(&request(&[v1::RunState::Queued.into()])).unwrap();
    assert_eq!((selection.states.len(), selection.limit, size), (1, 101, 100));
    assert_eq!(wrong(read_selection(&request(&[0])))[0].0, "states[0]");
    assert_eq!(wrong(read_selection(&request(&[3, 99])))[0].0, "states[1]");
}
