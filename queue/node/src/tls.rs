//! The node's TLS: what it offers, and who was let in with which certificate.

use std::sync::Arc;

use punctual_service::tls::ClientCertificates;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::NodeError;
use crate::options::{ClientAuthPolicy, NodeTlsOptions, TlsMinVersion, TlsRequired};

const ROOTS_FLAG: &str = "--tls-root-ca-file";

/// How each interface talks TLS.
#[derive(Debug, Clone)]
pub(crate) struct NodeTls {
    pub(crate) tcp: Arc<ServerConfig>,
    pub(crate) https: Arc<ServerConfig>,
}

impl NodeTls {
    /// `None` without a certificate.
    pub(crate) fn load(options: &NodeTlsOptions) -> Result<Option<Self>, NodeError> {
        let Some(identity) = options.identity.load()? else {
            return match options.required() {
                TlsRequired::False => Ok(None),
                TlsRequired::True | TlsRequired::TcpHttps => Err(NodeError::NoCertificate),
            };
        };
        let clients = match (options.tls_client_auth_policy, &options.tls_root_ca_file) {
            (None, _) => ClientCertificates::NotAsked,
            (Some(ClientAuthPolicy::Require), _) => ClientCertificates::Required,
            (Some(ClientAuthPolicy::RequireVerify), Some(roots)) => {
                ClientCertificates::Verified { roots: roots.clone(), flag: ROOTS_FLAG }
            }
            (Some(ClientAuthPolicy::RequireVerify), None) => return Err(NodeError::NoAuthorities),
        };
        let versions: &[_] = match options.tls_min_version {
            TlsMinVersion::Tls13 => &[&TLS13],
            TlsMinVersion::Tls10 | TlsMinVersion::Tls11 | TlsMinVersion::Tls12 => &[&TLS12, &TLS13],
        };
        Ok(Some(Self {
            tcp: identity.server_config_asking(&[], &clients, versions)?,
            https: identity.server_config_asking(&["http/1.1"], &clients, versions)?,
        }))
    }
}

/// What `/stats` says of a connection's TLS, in Go's words.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsFacts {
    pub(crate) version: &'static str,
    pub(crate) cipher_suite: String,
    /// The name in the certificate that the client showed; empty without one.
    pub(crate) common_name: String,
}

impl TlsFacts {
    pub(crate) fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS1.2",
            _ => "",
        };
        let suite = connection.negotiated_cipher_suite();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            version,
            // Go, like the registry, has no "13" in the names of TLS 1.3's.
            cipher_suite: suite
                .and_then(|suite| suite.suite().as_str())
                .map_or_else(String::new, |name| name.replacen("TLS13_", "TLS_", 1)),
            common_name: certificate.map(common_name).unwrap_or_default(),
        }
    }
}

/// The common name of a certificate's subject; empty where there is none.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> String {
    let parsed = X509Certificate::from_der(certificate);
    let name = |certificate: &X509Certificate<'_>| {
        certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(str::to_owned)
    };
    parsed.ok().and_then(|(_, certificate)| name(&certificate)).unwrap_or_default()
}
