//! Who is at the two ends of a registration connection.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::RegistrationError;
use crate::{discovery::Producer, identify::set};

/// What a node tells a lookup of itself: where clients reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
    /// Reads the body of a node's IDENTIFY, with the habits of Go's decoder: field names are matched without regard to
    /// case, `null` counts as absent, unknown fields are ignored, and the last of a repeated field wins.
    ///
    /// # Errors
    /// Not the right JSON, or the broadcast address, a port or the version is missing.
    pub fn from_json(body: &[u8]) -> Result<Self, RegistrationError> {
        let peer: Option<Self> = serde_json::from_slice(body).map_err(|_| RegistrationError::BadJson)?;
        let peer = peer.unwrap_or_default();
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

impl<'de> Deserialize<'de> for PeerInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PeerVisitor)
    }
}

struct PeerVisitor;

impl<'de> Visitor<'de> for PeerVisitor {
    type Value = PeerInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PeerInfo, A::Error> {
        let mut peer = PeerInfo::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.to_ascii_lowercase().as_str() {
                "broadcast_address" => set(&mut peer.broadcast_address, &mut map)?,
                "hostname" => set(&mut peer.hostname, &mut map)?,
                "http_port" => set(&mut peer.http_port, &mut map)?,
                "tcp_port" => set(&mut peer.tcp_port, &mut map)?,
                "version" => set(&mut peer.version, &mut map)?,
                "topology_zone" => set(&mut peer.topology_zone, &mut map)?,
                "topology_region" => set(&mut peer.topology_region, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(peer)
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
