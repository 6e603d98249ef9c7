//! The body of IDENTIFY.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::error::ProtocolError;

/// What a client tells of itself and asks for. Zero, empty or false stand for "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IdentifyRequest {
    /// A name for statistics.
    pub client_id: String,
    /// The client's host, for statistics.
    pub hostname: String,
    /// The client's software, for statistics.
    pub user_agent: String,
    /// Asks for a JSON answer; without it nothing optional is started.
    pub feature_negotiation: bool,
    /// Milliseconds; −1 turns heartbeats off.
    #[serde(rename = "heartbeat_interval", skip_serializing_if = "is_zero")]
    pub heartbeat_interval_ms: i64,
    /// −1 turns buffering off.
    #[serde(rename = "output_buffer_size", skip_serializing_if = "is_zero")]
    pub output_buffer_bytes: i64,
    /// Milliseconds; −1 turns the timer off.
    #[serde(rename = "output_buffer_timeout", skip_serializing_if = "is_zero")]
    pub output_buffer_timeout_ms: i64,
    /// Percentage of messages wanted, 1 to 99.
    #[serde(skip_serializing_if = "is_zero")]
    pub sample_rate: i64,
    /// Milliseconds a message may be in flight.
    #[serde(rename = "msg_timeout", skip_serializing_if = "is_zero")]
    pub message_timeout_ms: i64,
    /// Asks for TLS.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_v1: bool,
    /// Asks for snappy.
    #[serde(skip_serializing_if = "is_false")]
    pub snappy: bool,
    /// Asks for deflate.
    #[serde(skip_serializing_if = "is_false")]
    pub deflate: bool,
    /// At this level.
    #[serde(skip_serializing_if = "is_zero")]
    pub deflate_level: i64,
    /// Where the client stands.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    /// Where in the region.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
    /// Extension: asks for the node's id in the answer. Other servers ignore it.
    #[serde(skip_serializing_if = "is_false")]
    pub node_id: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl IdentifyRequest {
    /// Reads the body of IDENTIFY. Field names are matched without regard to case, `null` counts as absent, unknown
    /// fields are ignored, and the last of a repeated field wins: the habits of Go's decoder, which clients rely on.
    ///
    /// # Errors
    /// Not a JSON object, or a field of another type.
    pub fn from_json(body: &[u8]) -> Result<Self, ProtocolError> {
        serde_json::from_slice::<Option<Self>>(body)
            .map(Option::unwrap_or_default)
            .map_err(|_| ProtocolError::BadIdentifyJson)
    }

    /// The body of IDENTIFY.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, booleans and strings always have a JSON form")
    }
}

impl<'de> Deserialize<'de> for IdentifyRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = IdentifyRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IdentifyRequest, A::Error> {
        let mut request = IdentifyRequest::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.to_ascii_lowercase().as_str() {
                "client_id" => set(&mut request.client_id, &mut map)?,
                "hostname" => set(&mut request.hostname, &mut map)?,
                "user_agent" => set(&mut request.user_agent, &mut map)?,
                "feature_negotiation" => set(&mut request.feature_negotiation, &mut map)?,
                "heartbeat_interval" => set(&mut request.heartbeat_interval_ms, &mut map)?,
                "output_buffer_size" => set(&mut request.output_buffer_bytes, &mut map)?,
                "output_buffer_timeout" => set(&mut request.output_buffer_timeout_ms, &mut map)?,
                "sample_rate" => set(&mut request.sample_rate, &mut map)?,
                "msg_timeout" => set(&mut request.message_timeout_ms, &mut map)?,
                "tls_v1" => set(&mut request.tls_v1, &mut map)?,
                "snappy" => set(&mut request.snappy, &mut map)?,
                "deflate" => set(&mut request.deflate, &mut map)?,
                "deflate_level" => set(&mut request.deflate_level, &mut map)?,
                "topology_region" => set(&mut request.topology_region, &mut map)?,
                "topology_zone" => set(&mut request.topology_zone, &mut map)?,
                "node_id" => set(&mut request.node_id, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(request)
    }
}

/// Sets a field unless its value is `null`.
pub(crate) fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut T,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<T>>()? {
        *field = value;
    }
    Ok(())
}
