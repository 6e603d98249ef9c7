//! Who is at the two ends of a registration connection.

use serde::{Deserialize, Serialize};

use super::RegistrationError;
use crate::discovery::Producer;

/// What a node tells a lookup of itself: where clients reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerInfo {
    /// The host clients should dial.
    pub broadcast_address: String,
    /// The node's host name.
    pub hostname: String,
    /// The port for HTTP.
    pub http_port: u16,
    /// The port for NSQ's protocol.
    pub tcp_port: u16,
    /// The node's version.
    pub version: String,
    /// Where the node stands.
    pub topology_zone: String,
    /// Where in the world the zone is.
    pub topology_region: String,
}

impl PeerInfo {
    /// Reads the body of a node's IDENTIFY.
    ///
    /// # Errors
    /// Not the right JSON, or the broadcast address, a port or the version is missing.
    pub fn from_json(body: &[u8]) -> Result<Self, RegistrationError> {
        let peer: Self = serde_json::from_slice(body).map_err(|_| RegistrationError::BadJson)?;
        let complete = !peer.broadcast_address.is_empty()
            && !peer.version.is_empty()
            && peer.http_port != 0
            && peer.tcp_port != 0;
        if complete { Ok(peer) } else { Err(RegistrationError::MissingFields) }
    }

    /// The body of a node's IDENTIFY.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and strings always have a JSON form")
    }

    /// The node as clients see it.
    pub fn producer(&self, remote_address: String) -> Producer {
        let Self {
            broadcast_address,
            hostname,
            http_port,
            tcp_port,
            version,
            topology_zone,
            topology_region,
        } = self.clone();
        Producer {
            remote_address,
            hostname,
            broadcast_address,
            tcp_port,
            http_port,
            version,
            topology_zone,
            topology_region,
        }
    }
}

/// What a lookup answers to a node's IDENTIFY: where its own HTTP interface is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookupIdentity {
    /// The host nodes should ask over HTTP.
    pub broadcast_address: String,
    /// The lookup's host name.
    pub hostname: String,
    /// The port for HTTP.
    pub http_port: u16,
    /// The port nodes register at.
    pub tcp_port: u16,
    /// The lookup's version.
    pub version: String,
}

impl LookupIdentity {
    /// The answer's data.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and strings always have a JSON form")
    }

    /// Reads a lookup's answer; `None` when it is an error or anything else but JSON.
    pub fn from_json(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }
}
