use std::time::Duration;

use super::*;
use crate::job::{CatchUp, Misfire, Overlap};
use crate::name::{Kind, TaskQueue};
use crate::retention::Retention;
use crate::retry::RetryPolicy;
use crate::schedule::ScheduleSpec;
use crate::timeouts::Timeouts;

fn a_job() -> JobSpec {
    JobSpec {
        schedule: vec![ScheduleSpec::cron("0 9 * * MON-FRI", "Europe/Berlin")],
        task: Task::Exec(ExecTask {
            argv: vec!["/bin/date".to_owned()],
            env: BTreeMap::new(),
            working_dir: String::new(),
        }),
        task_queue: TaskQueue::default(),
        labels: BTreeMap::new(),
        overlap: Overlap::default(),
        max_running: 1,
        concurrency: None,
        priority: Default::default(),
        misfire: Misfire::default(),
        catchup: CatchUp::default(),
        retry: RetryPolicy::default(),
        timeouts: Timeouts::default(),
        retention: Retention::default(),
        description: String::new(),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut JobSpec), fields: &[&str]) {
    let mut job = a_job();
    change(&mut job);
    let errors = job.validate().err().unwrap_or_default();
    assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), fields, "{errors:?}");
}

fn exec(job: &mut JobSpec) -> &mut ExecTask {
    match &mut job.task {
        Task::Exec(exec) => exec,
        Task::Handler { .. } => panic!("a_job has a program"),
    }
}

fn handler(kind: &str, payload: &str) -> Task {
    Task::Handler { kind: Kind::new(kind).unwrap(), payload: payload.to_owned() }
}

#[test]
fn a_sound_job_has_no_errors() {
    check(|_| {}, &[]);
    check(|job| job.schedule.clear(), &[]);
    check(|job| job.task = handler("mail.send", ""), &[]);
    check(|job| job.task = handler("mail.send", r#"{"to": ["a"]}"#), &[]);
}

#[test]
fn limits_of_concurrency_are_at_least_one_and_sane() {
    use crate::concurrency::{Concurrency, KeyTemplate};
    let limited = |limit| Some(Concurrency { key: KeyTemplate::new("all").unwrap(), limit });
    for (number, fits) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
        check(|job| job.max_running = number, if fits { &[] } else { &["max_running"] });
        check(|job| job.concurrency = limited(number), if fits { &[] } else { &["concurrency.limit"] });
    }
}

#[test]
fn a_definition_of_an_earlier_release_has_one_run_at_a_time_and_no_key() {
    let mut kept = serde_json::to_value(a_job()).unwrap();
    for newer in ["max_running", "concurrency", "priority"] {
        kept.as_object_mut().unwrap().remove(newer).expect("it is kept");
    }
    assert_eq!(serde_json::from_value::<JobSpec>(kept).unwrap(), a_job());
}

#[test]
fn a_fixed_delay_stands_alone_and_catching_up_has_bounds() {
    let delay = ScheduleSpec::delay(Duration::from_secs(300));
    check(|job| job.schedule = vec![delay.clone()], &[]);
    check(|job| job.schedule.push(delay.clone()), &["schedule[1].delay"]);
    check(|job| job.catchup.limit = 0, &["catchup_limit"]);
}

#[test]
fn every_schedule_is_compiled_and_the_error_names_its_field() {
    check(|job| job.schedule.push(ScheduleSpec::cron("61 * * * *", "")), &["schedule[1].cron"]);
    check(|job| job.schedule[0].zone = "Europe/Berlyn".to_owned(), &["schedule[0].zone"]);
    check(|job| job.schedule = vec![ScheduleSpec::every(Duration::ZERO)], &["schedule[0].every"]);
    check(|job| job.schedule = vec![ScheduleSpec::every(Duration::from_secs(1)); 101], &["schedule"]);
}

#[test]
fn a_payload_is_json_of_at_most_a_mebibyte() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    check(|job| job.task = handler("k", &text(MAX_PAYLOAD_BYTES)), &[]);
    check(|job| job.task = handler("k", &text(MAX_PAYLOAD_BYTES + 1)), &["payload"]);
    for broken in ["{", "{} {}", "nul", "{a: 1}"] {
        check(|job| job.task = handler("k", broken), &["payload"]);
    }
    check(|job| job.task = handler("exec", "{}"), &["kind"]);
}

#[test]
fn a_program_is_named_and_nothing_has_a_nul() {
    check(|job| exec(job).argv.clear(), &["exec.argv"]);
    check(|job| exec(job).argv[0].clear(), &["exec.argv"]);
    check(|job| exec(job).argv.push("a\0b".to_owned()), &["exec.argv[1]"]);
    check(|job| exec(job).working_dir.push('\0'), &["exec.working_dir"]);
    for name in ["", "A=B", "A\0"] {
        check(|job| drop(exec(job).env.insert(name.to_owned(), String::new())), &["exec.env"]);
    }
    check(|job| drop(exec(job).env.insert("A".to_owned(), "\0".to_owned())), &["exec.env.A"]);
    check(|job| exec(job).argv.push("x".repeat(MAX_PAYLOAD_BYTES)), &["exec"]);
}

#[test]
fn labels_and_description_have_bounds() {
    let label = |job: &mut JobSpec, key: &str, value: &str| {
        job.labels.insert(key.to_owned(), value.to_owned());
    };
    check(|job| label(job, &"k".repeat(63), &"ä".repeat(256)), &[]);
    check(|job| label(job, &"k".repeat(64), ""), &["labels"]);
    check(|job| label(job, "", ""), &["labels"]);
    check(|job| label(job, "team", &"v".repeat(257)), &["labels.team"]);
    check(|job| (0..64).for_each(|n| label(job, &n.to_string(), "")), &[]);
    check(|job| (0..65).for_each(|n| label(job, &n.to_string(), "")), &["labels"]);
    check(|job| job.description = "ä".repeat(1_000), &[]);
    check(|job| job.description = "ä".repeat(1_001), &["description"]);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_paths() {
    let mistakes = |job: &mut JobSpec| {
        job.schedule[0] = ScheduleSpec::cron("0 25 * * *", "");
        exec(job).argv.clear();
        job.retry.max_tries = 0;
        job.timeouts.start_to_close = Duration::ZERO;
    };
    check(mistakes, &["schedule[0].cron", "exec.argv", "retry.max_tries", "timeouts.start_to_close"]);
}

#[test]
fn a_job_is_kept_as_json_and_comes_back_the_same() {
    let mut job = a_job();
    job.schedule.push(ScheduleSpec::every(Duration::from_millis(1_500)));
    job.schedule.push(ScheduleSpec::at("2026-12-01T09:00:00Z".parse().unwrap()));
    job.retry.non_retryable.push("bad_input".to_owned());
    let json = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<JobSpec>(&json).unwrap(), job);
}
