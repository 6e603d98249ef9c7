//! The parameters of HTTP requests.

use std::time::Duration;

use punctual_queue_wire::http::{HttpError, MpubForm, Query};
use punctual_queue_wire::name::{ChannelName, TopicName};

use crate::meter::within;

/// # Panics
/// When a parameter is not what was read once it is escaped again, a name is not what names are, or it takes more
/// memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let memory = 4 * 1024 + 64 * data.len();
    match within(memory, || Query::parse(text)) {
        Err(error) => assert_eq!(error.status, 400),
        Ok(query) => {
            for name in ["topic", "channel", "defer", ""] {
                if let Some(value) = query.get(name) {
                    check(name, value);
                }
            }
            within(memory, || check_parameters(&query));
        }
    }
}

/// What is taken is within its limits, and what is not is the client's error.
fn check_parameters(query: &Query) {
    let longest = Duration::from_secs(3600);
    let is_refusal = |error: HttpError| assert_eq!(error.status, 400);
    query.defer(longest).map_or_else(is_refusal, |delay| assert!(delay <= longest));
    query.number("count", 10, 1..=100, "INVALID").map_or_else(is_refusal, |count| {
        assert!((1..=100).contains(&count));
    });
    query.for_ms().map_or_else(is_refusal, |time| assert_ne!(time, Some(0)));
    query.duration("back", "MISSING", "INVALID").map_or_else(is_refusal, |_| ());
    assert!(
        query.mpub_form() != MpubForm::Lines || matches!(query.get("binary"), None | Some("0" | "false"))
    );
}

fn check(name: &str, value: &str) {
    let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let again = Query::parse(&format!("{name}={escaped}"));
    assert_eq!(again.ok().as_ref().and_then(|query| query.get(name)), Some(value));
    if let Ok(topic) = TopicName::from_bytes(value.as_bytes()) {
        assert_eq!(topic.as_str(), value);
        assert!((1..=64).contains(&value.len()));
        assert!(ChannelName::from_bytes(value.as_bytes()).is_ok());
    }
}
