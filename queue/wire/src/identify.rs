//! IDENTIFY: what a client tells of itself and asks for, and what the node grants.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ProtocolError;

mod request;

pub use request::IdentifyRequest;
pub(crate) use request::set;

/// The version reported to clients; nsqadmin and old clients gate features on it.
pub const NSQ_VERSION: &str = "1.3.0";

/// What a node grants at most, and what a client gets that asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifyLimits {
    /// Heartbeat interval of a client that names none.
    pub heartbeat_interval: Duration,
    /// The longest heartbeat interval; the shortest is one second.
    pub max_heartbeat_interval: Duration,
    /// Output buffer of a client that names none, in bytes.
    pub output_buffer_bytes: u32,
    /// The largest output buffer; the smallest has 64 bytes.
    pub max_output_buffer_bytes: u32,
    /// How long messages may wait in the output buffer when the client does not say.
    pub output_buffer_timeout: Duration,
    /// The shortest such wait.
    pub min_output_buffer_timeout: Duration,
    /// The longest such wait.
    pub max_output_buffer_timeout: Duration,
    /// How long a message may be in flight when the client does not say.
    pub message_timeout: Duration,
    /// The longest such time; the shortest is one second.
    pub max_message_timeout: Duration,
    /// The highest level of deflate.
    pub max_deflate_level: u8,
}

impl Default for IdentifyLimits {
    /// nsqd's defaults.
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(30),
            max_heartbeat_interval: Duration::from_secs(60),
            output_buffer_bytes: 16 * 1024,
            max_output_buffer_bytes: 64 * 1024,
            output_buffer_timeout: Duration::from_millis(250),
            min_output_buffer_timeout: Duration::from_millis(25),
            max_output_buffer_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(60),
            max_message_timeout: Duration::from_secs(15 * 60),
            max_deflate_level: 6,
        }
    }
}

/// The settings in force on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// `None`: no heartbeats and no read deadline.
    pub heartbeat_interval: Option<Duration>,
    /// Bytes of messages held back at most.
    pub output_buffer_bytes: u32,
    /// How long messages may be held back; zero means no timer.
    pub output_buffer_timeout: Duration,
    /// Percentage of messages the client wants; 0 means all of them.
    pub sample_rate: u8,
    /// How long a message may be in flight.
    pub message_timeout: Duration,
}

impl ConnectionSettings {
    /// What a connection has before IDENTIFY.
    pub fn defaults(limits: &IdentifyLimits) -> Self {
        Self {
            heartbeat_interval: Some(limits.heartbeat_interval),
            output_buffer_bytes: limits.output_buffer_bytes,
            output_buffer_timeout: limits.output_buffer_timeout,
            sample_rate: 0,
            message_timeout: limits.message_timeout,
        }
    }

    /// Applies what a client asks for; what it does not mention stays.
    ///
    /// # Errors
    /// The first value out of range, in the order NSQ checks them.
    pub fn apply(&mut self, request: &IdentifyRequest, limits: &IdentifyLimits) -> Result<(), ProtocolError> {
        match request.heartbeat_interval_ms {
            0 => {}
            -1 => self.heartbeat_interval = None,
            asked => {
                let range = (Duration::from_secs(1), limits.max_heartbeat_interval);
                self.heartbeat_interval = Some(millis_within("heartbeat interval", asked, range)?);
            }
        }
        match request.output_buffer_timeout_ms {
            0 => {}
            -1 => self.output_buffer_timeout = Duration::ZERO,
            asked => {
                let range = (limits.min_output_buffer_timeout, limits.max_output_buffer_timeout);
                self.output_buffer_timeout = millis_within("output buffer timeout", asked, range)?;
            }
        }
        match request.output_buffer_bytes {
            0 => {}
            -1 => {
                self.output_buffer_bytes = 1;
                self.output_buffer_timeout = Duration::ZERO;
            }
            asked => {
                self.output_buffer_bytes = u32::try_from(asked)
                    .ok()
                    .filter(|bytes| (64..=limits.max_output_buffer_bytes).contains(bytes))
                    .ok_or(invalid("output buffer size", asked))?;
            }
        }
        self.sample_rate = u8::try_from(request.sample_rate)
            .ok()
            .filter(|rate| *rate <= 99)
            .ok_or(invalid("sample rate", request.sample_rate))?;
        if request.message_timeout_ms != 0 {
            let range = (Duration::from_secs(1), limits.max_message_timeout);
            self.message_timeout = millis_within("msg timeout", request.message_timeout_ms, range)?;
        }
        Ok(())
    }
}

fn millis_within(
    what: &'static str,
    asked: i64,
    (min, max): (Duration, Duration),
) -> Result<Duration, ProtocolError> {
    u64::try_from(asked)
        .ok()
        .map(Duration::from_millis)
        .filter(|duration| (min..=max).contains(duration))
        .ok_or(invalid(what, asked))
}

fn invalid(what: &'static str, value: i64) -> ProtocolError {
    ProtocolError::BadIdentifyValue { what, value }
}

/// The answer to an IDENTIFY with `feature_negotiation`. Its keys keep this order on the wire.
///
/// Reading one, a missing key takes nsqd's default; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdentifyAnswer {
    /// The highest count RDY may set.
    pub max_rdy_count: u32,
    /// The version of NSQ the node speaks for.
    pub version: String,
    /// The longest time a message may be in flight.
    pub max_msg_timeout: u64,
    /// How long a message of this connection may be in flight.
    pub msg_timeout: u64,
    /// TLS is started now.
    pub tls_v1: bool,
    /// Deflate is started now.
    pub deflate: bool,
    /// At this level.
    pub deflate_level: u8,
    /// The node's highest level.
    pub max_deflate_level: u8,
    /// Snappy is started now.
    pub snappy: bool,
    /// Percentage of messages sent; 0 means all.
    pub sample_rate: u8,
    /// AUTH is needed before anything else.
    pub auth_required: bool,
    /// Bytes of messages held back at most.
    pub output_buffer_size: u32,
    /// How long messages may be held back; 0 means no timer.
    pub output_buffer_timeout: u64,
    /// Where the node stands.
    pub topology_region: String,
    /// Where in the region.
    pub topology_zone: String,
    /// Extension: which data directory answers, for clients that asked for it with `"node_id": true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
}

impl Default for IdentifyAnswer {
    /// What nsqd answers to a client that asks for nothing.
    fn default() -> Self {
        let limits = IdentifyLimits::default();
        Self::granting(&ConnectionSettings::defaults(&limits), &limits)
    }
}

impl IdentifyAnswer {
    /// The answer for these settings, with nothing started and everything else as nsqd has it by default.
    pub fn granting(settings: &ConnectionSettings, limits: &IdentifyLimits) -> Self {
        Self {
            max_rdy_count: 2_500,
            version: NSQ_VERSION.to_owned(),
            max_msg_timeout: millis(limits.max_message_timeout),
            msg_timeout: millis(settings.message_timeout),
            tls_v1: false,
            deflate: false,
            deflate_level: limits.max_deflate_level.min(6),
            max_deflate_level: limits.max_deflate_level,
            snappy: false,
            sample_rate: settings.sample_rate,
            auth_required: false,
            output_buffer_size: settings.output_buffer_bytes,
            output_buffer_timeout: millis(settings.output_buffer_timeout),
            topology_region: String::new(),
            topology_zone: String::new(),
            node_id: None,
        }
    }

    /// The answer as it goes into a response frame.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, booleans and strings always have a JSON form")
    }

    /// Reads a node's answer; `None` when it is plain `OK` or anything else but a JSON object.
    pub fn from_json(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
