//! Flags of TLS where queue nodes register.

use std::{path::PathBuf, sync::Arc};

use punctual_service::tls::{ClientCertificates, TlsArgs, TlsError};
use rustls::{
    ServerConfig,
    version::{TLS12, TLS13},
};

const ROOTS_FLAG: &str = "--tls-root-ca-file";

/// TLS where queue nodes register. The HTTP interface stays as it is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LookupTlsOptions {
    /// Certificate chain (PEM). With it, queue nodes have to register over TLS
    #[arg(long, env = "PUNCTUAL_LOOKUP_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, env = "PUNCTUAL_LOOKUP_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The authorities (PEM) that must have issued queue nodes' certificates; without it, nodes need none
    #[arg(long, env = "PUNCTUAL_LOOKUP_TLS_ROOT_CA_FILE", value_name = "FILE")]
    pub tls_root_ca_file: Option<PathBuf>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LookupTlsError {
    /// A file cannot be used, or one of certificate and key is missing.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// Nodes are to show certificates, and there is no TLS to show them in.
    #[error("--tls-root-ca-file needs --tls-cert and --tls-key beside it")]
    NoCertificate,
}

impl LookupTlsOptions {
    /// Reads the files and checks them; `None` when there are none.
    pub(crate) fn load(&self) -> Result<Option<Arc<ServerConfig>>, LookupTlsError> {
        let identity = TlsArgs { tls_cert: self.tls_cert.clone(), tls_key: self.tls_key.clone() }.load()?;
        let (identity, clients) = match (identity, &self.tls_root_ca_file) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(LookupTlsError::NoCertificate),
            (Some(identity), None) => (identity, ClientCertificates::NotAsked),
            (Some(identity), Some(roots)) => {
                (identity, ClientCertificates::Verified { roots: roots.clone(), flag: ROOTS_FLAG })
            }
        };
        Ok(Some(identity.server_config_asking(&[], &clients, &[&TLS12, &TLS13])?))
    }

    /// Whether nodes have to show who they are.
    pub(crate) fn authenticates(&self) -> bool {
        self.tls_root_ca_file.is_some()
    }
}
