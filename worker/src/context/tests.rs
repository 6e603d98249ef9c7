use serde::Deserialize;

use super::*;

fn context(payload: &str) -> Context {
    let attempt = v1::Granted {
        run_id: "r1".into(),
        attempt: 2,
        kind: "resize".into(),
        payload: payload.into(),
        due_at: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 5_000_000 }),
        ..Default::default()
    };
    Context::new(attempt, Instant::now(), Duration::from_secs(60))
}

#[derive(Debug, PartialEq, Deserialize)]
struct Resize {
    width: u32,
}

#[test]
fn a_payload_becomes_a_value_and_a_missing_one_is_null() {
    assert_eq!(context(r#"{"width": 7}"#).payload::<Resize>().unwrap(), Resize { width: 7 });
    assert_eq!(context("").payload::<Option<Resize>>().unwrap(), None);
}

#[test]
fn a_payload_of_another_shape_is_an_error_that_no_retry_can_mend() {
    let error = context(r#"{"width": "wide"}"#).payload::<Resize>().unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().starts_with("the payload is not what resize takes: "), "{error}");
}

#[track_caller]
fn check_progress(fraction: f64, expect: f64) {
    let context = context("");
    context.progress(fraction, "half\0way");
    assert_eq!(context.reported_progress().fraction, Some(expect), "{fraction}");
    assert_eq!(context.reported_progress().note, "half\u{fffd}way");
}

#[test]
fn progress_stays_between_nothing_and_all() {
    check_progress(0.5, 0.5);
    check_progress(-1.0, 0.0);
    check_progress(40.0, 1.0);
    check_progress(f64::NAN, 0.0);
}

#[test]
fn a_long_note_is_cut_between_characters() {
    let context = context("");
    context.progress(0.1, "ä".repeat(600));
    assert_eq!(context.reported_progress().note, "ä".repeat(500));
}

#[test]
fn the_due_time_keeps_its_fraction_and_debug_hides_the_payload() {
    let context = context(r#"{"password": "hunter2"}"#);
    assert_eq!(context.due_at().timestamp_subsec_millis(), 5);
    assert!(!format!("{context:?}").contains("hunter2"));
}
