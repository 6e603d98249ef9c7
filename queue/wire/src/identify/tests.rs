use super::*;

#[track_caller]
fn granted(json: &str) -> ConnectionSettings {
    let limits = IdentifyLimits::default();
    let mut settings = ConnectionSettings::defaults(&limits);
    let request = IdentifyRequest::from_json(json.as_bytes()).expect("the JSON is right");
    settings.apply(&request, &limits).expect("the values are in range");
    settings
}

#[track_caller]
fn refused(json: &str, expect: &str) {
    let limits = IdentifyLimits::default();
    let error = IdentifyRequest::from_json(json.as_bytes())
        .and_then(|request| ConnectionSettings::defaults(&limits).apply(&request, &limits))
        .expect_err("something is wrong");
    assert_eq!(error.answer().as_deref(), Some(expect));
}

#[test]
fn what_a_client_does_not_mention_stays_as_it_is() {
    let defaults = ConnectionSettings::defaults(&IdentifyLimits::default());
    assert_eq!(granted("{}"), defaults);
    assert_eq!(granted("null"), defaults);
    assert_eq!(granted(r#"{"heartbeat_interval":null,"msg_timeout":0,"short_id":"x"}"#), defaults);
}

#[test]
fn values_in_range_are_granted() {
    let settings = granted(
        r#"{"Heartbeat_Interval":1000,"output_buffer_size":64,"output_buffer_timeout":25,
            "sample_rate":99,"MSG_TIMEOUT":900000}"#,
    );
    assert_eq!(
        settings,
        ConnectionSettings {
            heartbeat_interval: Some(Duration::from_secs(1)),
            output_buffer_bytes: 64,
            output_buffer_timeout: Duration::from_millis(25),
            sample_rate: 99,
            message_timeout: Duration::from_secs(900),
        }
    );
}

#[test]
fn minus_one_turns_things_off() {
    let settings =
        granted(r#"{"heartbeat_interval":-1,"output_buffer_size":-1,"output_buffer_timeout":500}"#);
    assert_eq!(settings.heartbeat_interval, None);
    assert_eq!((settings.output_buffer_bytes, settings.output_buffer_timeout), (1, Duration::ZERO));
    assert_eq!(granted(r#"{"output_buffer_timeout":-1}"#).output_buffer_timeout, Duration::ZERO);
}

#[test]
fn values_out_of_range_are_named_in_nsqs_order() {
    refused(r#"{"heartbeat_interval":100}"#, "E_BAD_BODY IDENTIFY heartbeat interval (100) is invalid");
    refused(r#"{"heartbeat_interval":60001}"#, "E_BAD_BODY IDENTIFY heartbeat interval (60001) is invalid");
    refused(r#"{"output_buffer_timeout":24}"#, "E_BAD_BODY IDENTIFY output buffer timeout (24) is invalid");
    refused(r#"{"output_buffer_size":63}"#, "E_BAD_BODY IDENTIFY output buffer size (63) is invalid");
    refused(r#"{"sample_rate":100}"#, "E_BAD_BODY IDENTIFY sample rate (100) is invalid");
    refused(r#"{"sample_rate":-1}"#, "E_BAD_BODY IDENTIFY sample rate (-1) is invalid");
    refused(r#"{"msg_timeout":-1}"#, "E_BAD_BODY IDENTIFY msg timeout (-1) is invalid");
    refused(
        r#"{"msg_timeout":1,"sample_rate":100,"output_buffer_size":1,"output_buffer_timeout":1,"heartbeat_interval":1}"#,
        "E_BAD_BODY IDENTIFY heartbeat interval (1) is invalid",
    );
}

#[test]
fn what_is_not_the_right_json_is_refused() {
    const BAD_JSON: &str = "E_BAD_BODY IDENTIFY failed to decode JSON body";
    for json in
        ["", "[]", "{", "{} x", r#"{"msg_timeout":"1"}"#, r#"{"msg_timeout":1.5}"#, r#"{"client_id":1}"#]
    {
        refused(json, BAD_JSON);
    }
}

#[test]
fn the_last_of_a_repeated_field_wins() {
    let request = IdentifyRequest::from_json(br#"{"client_id":"a","CLIENT_ID":"b","client_id":null}"#);
    assert_eq!(request.map(|request| request.client_id).as_deref(), Ok("b"));
}

#[test]
fn the_answer_has_nsqs_keys_in_nsqs_order() {
    let answer = concat!(
        r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"#,
        r#""tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"#,
        r#""sample_rate":0,"auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"#,
        r#""topology_region":"","topology_zone":""}"#,
    );
    assert_eq!(String::from_utf8(IdentifyAnswer::default().to_json()).unwrap(), answer);
    assert_eq!(IdentifyAnswer::from_json(answer.as_bytes()), Some(IdentifyAnswer::default()));
    assert_eq!(IdentifyAnswer::from_json(b"OK"), None);
}

#[test]
fn a_request_survives_the_wire() {
    let request = IdentifyRequest {
        client_id: "c".to_owned(),
        feature_negotiation: true,
        heartbeat_interval_ms: 5_000,
        output_buffer_bytes: -1,
        node_id: true,
        ..IdentifyRequest::default()
    };
    assert_eq!(IdentifyRequest::from_json(&request.to_json()), Ok(request));
}
