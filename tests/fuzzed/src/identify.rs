//! The JSON of IDENTIFY, and of its answer.

use punctual_queue_wire::identify::{ConnectionSettings, IdentifyAnswer, IdentifyLimits, IdentifyRequest};

use crate::meter::within;

/// # Panics
/// When what is granted is out of the limits, what was read is not the same once it is written again, or it takes more
/// memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let memory = 16 * 1024 + 16 * data.len();
    let read = within(memory, || IdentifyRequest::from_json(data));
    let _any_will_do = within(memory, || IdentifyAnswer::from_json(data));
    let Ok(request) = read else { return };
    assert_eq!(IdentifyRequest::from_json(&request.to_json()).as_ref(), Ok(&request));
    let limits = IdentifyLimits::default();
    let mut settings = ConnectionSettings::defaults(&limits);
    if settings.apply(&request, &limits).is_err() {
        return;
    }
    assert!(settings.heartbeat_interval.is_none_or(|interval| interval <= limits.max_heartbeat_interval));
    assert!(settings.output_buffer_bytes <= limits.max_output_buffer_bytes);
    assert!(settings.output_buffer_timeout <= limits.max_output_buffer_timeout);
    assert!(settings.message_timeout <= limits.max_message_timeout);
    assert!(settings.sample_rate < 100);
    let granted = IdentifyAnswer::granting(&settings, &limits);
    assert_eq!(IdentifyAnswer::from_json(&granted.to_json()), Some(granted));
}
