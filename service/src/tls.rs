//! TLS: the one crypto provider, a server's certificate and key, what it asks of its clients, and what it shows where
//! it is a client itself.

mod client_certificates;
mod outgoing;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use client_certificates::ClientCertificates;
pub use outgoing::{FlaggedFile, client_config};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};

/// Makes ring the crypto provider of this process. Call it first in `main` and in tests that use TLS; again is
/// harmless.
pub fn install_crypto_provider() {
    // An error says that a provider is installed already, which is what is wanted.
    let _already_there = ring::default_provider().install_default();
}

/// Flags of a server's TLS.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// Certificate chain to serve TLS with (PEM)
    #[arg(long, env = "PUNCTUAL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, env = "PUNCTUAL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Reads and checks the certificate and its key; `None` when neither is given.
    ///
    /// # Errors
    /// When only one of them is given, a file cannot be read or parsed, or they do not belong together.
    pub fn load(&self) -> Result<Option<ServerIdentity>, TlsError> {
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(TlsError::Lone { given: "--tls-cert", missing: "--tls-key" }),
            (None, Some(_)) => Err(TlsError::Lone { given: "--tls-key", missing: "--tls-cert" }),
            (Some(cert), Some(key)) => ServerIdentity::load(cert, key).map(Some),
        }
    }
}

/// A certificate chain and its private key, as read: PEM. They have been checked to belong together.
#[derive(Clone)]
pub struct ServerIdentity {
    cert_pem: Vec<u8>,
    key_pem: Vec<u8>,
    config: ServerConfig,
}

impl ServerIdentity {
    fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let (cert_pem, key_pem) = (read("--tls-cert", cert)?, read("--tls-key", key)?);
        let chain = CertificateDer::pem_slice_iter(&cert_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::Pem { flag: "--tls-cert", path: cert.to_owned(), source })?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: cert.to_owned() });
        }
        let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|source| TlsError::Pem {
            flag: "--tls-key",
            path: key.to_owned(),
            source,
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|source| TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned(), source })?;
        Ok(Self { cert_pem, key_pem, config })
    }

    /// The certificate chain, PEM.
    pub fn cert_pem(&self) -> &[u8] {
        &self.cert_pem
    }

    /// The private key, PEM. Secret.
    pub fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }

    /// A configuration that serves this identity and offers `protocols` (such as `h2`, `http/1.1`) by ALPN, best
    /// first.
    pub fn server_config(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The same that asks clients for certificates, and talks `versions` of TLS only.
    ///
    /// # Errors
    /// The file with the authorities cannot be used.
    pub fn server_config_asking(
        &self,
        protocols: &[&str],
        clients: &ClientCertificates,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(TlsError::Versions)?;
        let builder = match clients.verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&self.config.cert_resolver));
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerIdentity")
    }
}

fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { flag, path: path.to_owned(), source })
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the two flags is missing.
    #[error("{given} needs {missing} beside it")]
    Lone {
        /// The flag that was given.
        given: &'static str,
        /// The flag that was not.
        missing: &'static str,
    },
    /// A file could not be read.
    #[error("could not read {} ({flag})", path.display())]
    Read {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{} ({flag}) is not the PEM file it should be", path.display())]
    Pem {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The certificate file has no certificate.
    #[error("{} (--tls-cert) holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of authorities has none.
    #[error("{} ({flag}) holds no certificate", path.display())]
    NoRoot {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be an authority.
    #[error("{} holds a certificate that cannot be trusted as an authority", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// Clients' certificates could not be checked with these authorities.
    #[error("the authorities in {} cannot check certificates", path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// The versions asked for cannot be talked.
    #[error("these versions of TLS cannot be offered")]
    Versions(#[source] rustls::Error),
    /// Certificate and key cannot be used together.
    #[error("certificate {} and key {} cannot be used together", cert.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

#[cfg(test)]
mod tests;
