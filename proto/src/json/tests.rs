use proptest::prelude::*;
use serde_json::{Value, json};

use super::{POOL, from_value, prefix, to_value};
use crate::v1;

#[track_caller]
fn reads_as(job: Value, expect: Value) {
    let job: v1::Job = from_value(job).unwrap();
    assert_eq!(to_value(&job), expect);
}

#[track_caller]
fn refused(job: Value, expect: &str) {
    assert_eq!(from_value::<v1::Job>(job).unwrap_err().to_string(), expect);
}

#[test]
fn the_friendly_form_of_a_job_is_read() {
    reads_as(
        json!({
            "name": "tick",
            "schedule": { "every": "1h 30m", "dst_gap": "skip" },
            "exec": { "argv": ["/bin/date", "+%s"], "env": { "B": "2", "A": "1" } },
            "overlap": "ALLOW",
            "retry": { "max_tries": 5, "exponential": { "initial": "500ms", "factor": 2, "cap": "5m" } },
        }),
        json!({
            "name": "tick",
            "schedule": [{ "every": "5400s", "dst_gap": "skip" }],
            "exec": { "argv": ["/bin/date", "+%s"], "env": { "A": "1", "B": "2" } },
            "overlap": "allow",
            "retry": { "max_tries": 5, "exponential": { "initial": "0.500s", "factor": 2, "cap": "300s" } },
        }),
    );
}

#[test]
fn canonical_proto3_json_is_read() {
    reads_as(
        json!({
            "name": "n", "taskQueue": "q", "overlap": "OVERLAP_ALLOW", "misfire": 1, "labels": null,
            "schedule": [{ "cron": "0 9 * * *", "dstFold": "DST_FOLD_BOTH", "start": "2026-03-01T09:00:00+01:00" }],
            "timeouts": { "startToClose": "1.500s" }, "retry": { "maxTries": "7", "jitter": false },
        }),
        json!({
            "name": "n",
            "schedule": [{ "cron": "0 9 * * *", "start": "2026-03-01T08:00:00Z", "dst_fold": "both" }],
            "task_queue": "q", "overlap": "allow", "misfire": "latest",
            "retry": { "max_tries": 7, "jitter": false }, "timeouts": { "start_to_close": "1.500s" },
        }),
    );
}

#[test]
fn a_payload_is_any_value_and_stays_it() {
    for payload in [json!({"z": 1, "a": [true, null]}), json!("text"), json!(5), json!(null), json!([])] {
        let job: v1::Job = from_value(json!({ "kind": "k", "payload": payload })).unwrap();
        assert_eq!(job.payload, payload.to_string());
        assert_eq!(to_value(&job), json!({ "name": "", "kind": "k", "payload": payload }));
    }
}

#[test]
fn a_run_always_shows_what_people_look_for() {
    let mut run = v1::Run { id: "r".into(), ..v1::Run::default() };
    run.set_state(v1::RunState::Queued);
    assert_eq!(to_value(&run).to_string(), r#"{"id":"r","job":"","state":"queued","attempts":0}"#);
}

#[test]
fn an_enum_value_of_a_newer_server_is_shown_by_number_and_read_back() {
    let run = v1::Run { state: 99, ..v1::Run::default() };
    let value = to_value(&run);
    assert_eq!(value["state"], 99);
    assert_eq!(from_value::<v1::Run>(value).unwrap(), run);
}

#[test]
fn errors_name_the_path_and_what_would_fit() {
    refused(json!([]), "expected an object, found a list");
    refused(
        json!({ "schedule": { "crom": "* * * * *" } }),
        "schedule.crom: unknown field; did you mean `cron`?",
    );
    refused(
        json!({ "schedule": [{ "cron": "@daily" }, { "zone": 5 }] }),
        "schedule[1].zone: expected a text, found the number 5; write it in quotes",
    );
    refused(json!({ "xyzzy": 1 }), "xyzzy: unknown field");
    refused(
        json!({ "overlap": "alow" }),
        "overlap: `alow` is none of allow, skip, queue_one, queue_all, cancel_running, kill_running; did you mean `allow`?",
    );
    refused(json!({ "overlap": true }), "overlap: expected a text, found true");
    refused(
        json!({ "schedule": { "every": "5" } }),
        "schedule.every: `5` is not a duration; write one with its unit, such as 90s, 5m or 1h 30m",
    );
    refused(
        json!({ "schedule": { "every": 5 } }),
        "schedule.every: expected a duration such as 90s, found the number 5",
    );
    for time in ["2026-12-01", "2026-12-01T09:00:00", "tomorrow", "2026-13-01T09:00:00Z"] {
        refused(
            json!({ "schedule": { "start": time } }),
            &format!(
                "schedule.start: `{time}` is not an instant; write one as 2026-12-01T09:00:00Z, \
                 or with an offset instead of Z"
            ),
        );
    }
    refused(json!({ "exec": {}, "kind": "k" }), "`exec` and `kind` exclude each other");
    refused(
        json!({ "task_queue": "a", "taskQueue": "b" }),
        "given twice, as `task_queue` and as `taskQueue`",
    );
    refused(json!({ "retry": { "max_tries": -1 } }), "retry.max_tries: -1 is out of range");
    refused(
        json!({ "retry": { "max_tries": 1.5 } }),
        "retry.max_tries: expected a whole number, found the number 1.5",
    );
    refused(json!({ "exec": { "argv": "date" } }), "exec.argv: expected a list, found the text `date`");
    refused(
        json!({ "exec": { "argv": ["sleep", 5] } }),
        "exec.argv[1]: expected a text, found the number 5; write it in quotes",
    );
    refused(
        json!({ "labels": { "a": 1 } }),
        "labels.a: expected a text, found the number 1; write it in quotes",
    );
}

#[test]
fn an_error_can_be_seen_from_further_out() {
    let error = from_value::<v1::Job>(json!({ "nam": "" })).unwrap_err();
    assert_eq!(error.within("jobs[2]").path, "jobs[2].nam");
    let error = from_value::<v1::Job>(json!(1)).unwrap_err();
    assert_eq!(error.within("jobs[2]").within("a").path, "a.jobs[2]");
}

/// What `scalar` and `prefix` rest on.
#[test]
fn the_contract_has_no_bytes_and_every_enum_starts_unspecified() {
    for kind in POOL.all_enums().filter(|kind| kind.package_name() == "punctual.v1") {
        assert!(!prefix(&kind).is_empty(), "{}", kind.full_name());
    }
    for kind in POOL.all_messages().filter(|kind| kind.package_name() == "punctual.v1") {
        for field in kind.fields() {
            assert!(!matches!(field.kind(), prost_reflect::Kind::Bytes), "{}", field.full_name());
        }
    }
}

fn a_duration() -> impl Strategy<Value = Option<prost_types::Duration>> {
    prop::option::of((0..10_000_000_i64, 0..1_000_000_000_i32))
        .prop_map(|some| some.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }))
}

fn an_instant() -> impl Strategy<Value = Option<prost_types::Timestamp>> {
    prop::option::of((0..4_000_000_000_i64, 0..1_000_000_000_i32))
        .prop_map(|some| some.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }))
}

prop_compose! {
    fn a_schedule()(
        when in prop_oneof![
            ".*".prop_map(v1::schedule::When::Cron),
            ".*".prop_map(v1::schedule::When::At),
            a_duration().prop_map(|every| v1::schedule::When::Every(every.unwrap_or_default())),
        ],
        zone in ".*", start in an_instant(), end in an_instant(), phase in a_duration(),
        dst_gap in 0..4_i32, dst_fold in 0..5_i32, dialect in 0..6_i32, dom_dow in 0..4_i32,
        exclude in prop::collection::vec(".*", 0..3), jitter in a_duration(), max_count: u32,
    ) -> v1::Schedule {
        let when = Some(when);
        v1::Schedule {
            when, zone, start, end, phase, dst_gap, dst_fold, dialect, dom_dow, exclude, jitter, max_count,
        }
    }
}

prop_compose! {
    fn a_job()(
        name in ".*", labels in prop::collection::btree_map(".*", ".*", 0..4), overlap in 0..4_i32,
        schedule in prop::collection::vec(a_schedule(), 0..3), version: u32, factor in 1.0..10.0_f64,
        cap in a_duration(), jitter: Option<bool>, argv in prop::option::of(prop::collection::vec(".*", 0..3)),
        payload in prop_oneof![Just(String::new()), Just("null".to_owned()), ".*".prop_map(|text| json!([text]).to_string())],
        created_at in an_instant(),
    ) -> v1::Job {
        let backoff = v1::ExponentialBackoff { initial: None, factor, cap };
        v1::Job {
            name, labels, overlap, schedule, version, payload, created_at,
            retry: Some(v1::Retry {
                jitter, backoff: Some(v1::retry::Backoff::Exponential(backoff)), ..v1::Retry::default()
            }),
            task: argv.map(|argv| v1::job::Task::Exec(v1::ExecTask { argv, ..v1::ExecTask::default() })),
            ..v1::Job::default()
        }
    }
}

proptest! {
    #[test]
    fn every_job_survives(job in a_job()) {
        let text = to_value(&job).to_string();
        prop_assert_eq!(from_value::<v1::Job>(serde_json::from_str(&text).unwrap()).unwrap(), job);
    }
}
