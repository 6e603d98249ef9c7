//! AUTH, and what a connection may do by it.

use std::time::Instant;

use punctual_queue_wire::command::CommandName;
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::name::{ChannelName, TopicName};
use serde_json::json;

use super::connection::Connection;
use crate::auth::{Applicant, Authorizations, Permission};

/// What a connection was granted, and by what right it asks again.
#[derive(Debug)]
pub(super) struct Grant {
    applicant: Applicant,
    authorizations: Authorizations,
    granted_at: Instant,
}

impl Connection {
    pub(super) async fn authenticate(&mut self, secret: &[u8]) {
        match self.try_authenticate(secret).await {
            Ok(answer) => self.answers.response(&answer, &mut self.output),
            Err(error) => self.error(&error),
        }
    }

    async fn try_authenticate(&mut self, secret: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        if self.grant.is_some() {
            return Err(ProtocolError::AuthRepeated);
        }
        let Some(servers) = &self.shared.context.auth else { return Err(ProtocolError::AuthDisabled) };
        let applicant = Applicant {
            secret: String::from_utf8_lossy(secret).into_owned(),
            remote_ip: self.remote_ip.clone(),
            tls: self.transport.tls().is_some(),
            common_name: self.common_name.clone(),
        };
        let authorizations = servers.ask(&applicant).await.ok_or(ProtocolError::AuthFailed)?;
        if authorizations.count() == 0 {
            return Err(ProtocolError::NoAuthorizations);
        }
        let answer = json!({
            "identity": authorizations.identity,
            "identity_url": authorizations.identity_url,
            "permission_count": authorizations.count(),
        });
        self.shared.clients.update(self.id, |stats| {
            stats.authed = true;
            stats.auth_identity.clone_from(&authorizations.identity);
            stats.auth_identity_url.clone_from(&authorizations.identity_url);
        });
        self.grant = Some(Box::new(Grant { applicant, authorizations, granted_at: Instant::now() }));
        Ok(answer.to_string().into_bytes())
    }

    /// Whether the connection may do this; what it was granted is asked for again when its time is over.
    pub(super) async fn authorize(
        &mut self,
        command: CommandName,
        topic: &TopicName,
        channel: Option<&ChannelName>,
    ) -> Result<(), ProtocolError> {
        let Some(servers) = &self.shared.context.auth else { return Ok(()) };
        let grant = self.grant.as_mut().ok_or(ProtocolError::AuthFirst(command))?;
        if grant.granted_at.elapsed() >= grant.authorizations.ttl {
            let asked_at = Instant::now();
            grant.authorizations = servers.ask(&grant.applicant).await.ok_or(ProtocolError::AuthFailed)?;
            grant.granted_at = asked_at;
        }
        let permission =
            if command == CommandName::Sub { Permission::Subscribe } else { Permission::Publish };
        let channel_name = channel.map_or("", ChannelName::as_str);
        if grant.authorizations.allow(permission, topic.as_str(), channel_name) {
            return Ok(());
        }
        Err(ProtocolError::Unauthorized { command, topic: topic.clone(), channel: channel.cloned() })
    }
}
