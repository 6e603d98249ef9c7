//! IDENTIFY: who the client is, what it asks for, and what it gets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use punctual_queue_wire::compress::Compression;
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::frame;
use punctual_queue_wire::identify::{IdentifyAnswer, IdentifyRequest};
use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, End};
use crate::tls::TlsFacts;

/// How long a TLS handshake may take, and the client to receive what each layer begins with.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The level of deflate for who asks for none.
const DEFAULT_DEFLATE_LEVEL: u8 = 6;

/// What the connection changes into once the answer to IDENTIFY is sent.
#[derive(Debug)]
pub(super) struct Upgrade {
    tls: Option<Arc<ServerConfig>>,
    compression: Option<Compression>,
}

impl Connection {
    pub(super) fn identify(&mut self, body: &[u8]) {
        if let Err(error) = self.try_identify(body) {
            self.error(&error);
        }
    }

    fn try_identify(&mut self, body: &[u8]) -> Result<(), ProtocolError> {
        let context = Arc::clone(&self.shared.context);
        let limits = &context.identify_limits;
        let request = IdentifyRequest::from_json(body)?;
        self.settings.apply(&request, limits)?;
        let upgrade = self.upgrade_for(&request)?;
        let topology = &context.options.topology;
        self.nearness = topology.nearness(&request.topology_region, &request.topology_zone);
        self.note_client(&request);
        self.restart_timers();
        if !request.feature_negotiation {
            self.answers.response(frame::OK, &mut self.output);
            return Ok(());
        }
        let answer = IdentifyAnswer {
            max_rdy_count: context.options.max_rdy_count,
            tls_v1: upgrade.tls.is_some(),
            deflate: matches!(upgrade.compression, Some(Compression::Deflate { .. })),
            deflate_level: deflate_level(request.deflate_level, limits.max_deflate_level),
            snappy: matches!(upgrade.compression, Some(Compression::Snappy)),
            auth_required: context.auth.is_some(),
            topology_region: topology.topology_region.clone(),
            topology_zone: topology.topology_zone.clone(),
            node_id: request.node_id.then(|| context.node_id.to_string()),
            ..IdentifyAnswer::granting(&self.settings, limits)
        };
        self.answers.response(&answer.to_json(), &mut self.output);
        if upgrade.tls.is_some() || upgrade.compression.is_some() {
            self.upgrade = Some(upgrade);
        }
        Ok(())
    }

    /// What of it the node has, and is not on already.
    fn upgrade_for(&self, request: &IdentifyRequest) -> Result<Upgrade, ProtocolError> {
        let context = &self.shared.context;
        let offered = &context.options.compression;
        let negotiates = request.feature_negotiation;
        let may_pack = negotiates && !self.transport.is_packed();
        let snappy = may_pack && request.snappy && offered.snappy;
        let deflate = may_pack && request.deflate && offered.deflate;
        let compression = match (snappy, deflate) {
            (true, true) => return Err(ProtocolError::BothCompressions),
            (true, false) => Some(Compression::Snappy),
            (false, true) => {
                let level = deflate_level(request.deflate_level, offered.max_deflate_level);
                Some(Compression::Deflate { level })
            }
            (false, false) => None,
        };
        let tls = context.tls.as_ref().filter(|_| {
            negotiates && request.tls_v1 && self.transport.tls().is_none() && !self.transport.is_packed()
        });
        Ok(Upgrade { tls: tls.map(|tls| Arc::clone(&tls.tcp)), compression })
    }

    fn note_client(&self, request: &IdentifyRequest) {
        let sample_rate = self.settings.sample_rate;
        self.shared.clients.update(self.id, |stats| {
            stats.client_id.clone_from(&request.client_id);
            stats.hostname.clone_from(&request.hostname);
            stats.user_agent.clone_from(&request.user_agent);
            stats.topology_region.clone_from(&request.topology_region);
            stats.topology_zone.clone_from(&request.topology_zone);
            stats.sample_rate = sample_rate;
        });
    }

    /// Changes the connection as was answered; each layer begins with an `OK` of its own.
    pub(super) async fn start(&mut self, upgrade: Upgrade) -> Result<(), End> {
        if let Some(config) = upgrade.tls {
            // What came in the clear must not count as said under TLS.
            if !self.input.is_empty() {
                let early = "bytes were sent before TLS was agreed on".to_owned();
                self.error(&ProtocolError::UpgradeFailed(early));
                return Ok(());
            }
            let handshake = self.transport.start_tls(TlsAcceptor::from(config));
            let facts = TlsFacts::of(timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(io::Error::from)??);
            self.shared.clients.update(self.id, |stats| {
                stats.tls = true;
                stats.tls_version = facts.version;
                stats.tls_cipher_suite.clone_from(&facts.cipher_suite);
            });
            self.common_name = facts.common_name;
            self.send_ok().await?;
        }
        if let Some(compression) = upgrade.compression {
            let received = std::mem::take(&mut self.input);
            self.transport.start_packing(compression, received);
            self.shared.clients.update(self.id, |stats| {
                stats.snappy = compression == Compression::Snappy;
                stats.deflate = compression != Compression::Snappy;
            });
            self.send_ok().await?;
        }
        self.restart_timers();
        Ok(())
    }

    async fn send_ok(&mut self) -> Result<(), End> {
        frame::encode_response(frame::OK, &mut self.output);
        let sent = self.transport.send_all(&mut self.output);
        Ok(timeout(HANDSHAKE_TIMEOUT, sent).await.map_err(io::Error::from)??)
    }
}

/// As NSQ has it: any number is taken, and brought into the range.
fn deflate_level(asked: i64, max: u8) -> u8 {
    let asked = if asked <= 0 { DEFAULT_DEFLATE_LEVEL } else { u8::try_from(asked).unwrap_or(max) };
    asked.min(max)
}
