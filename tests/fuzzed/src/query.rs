//! The parameters of HTTP requests.

use punctual_queue_wire::http::Query;
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
        }
    }
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
