//! TLS that a server of ours begins itself, towards a server that it was told of.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, provider, read};
use crate::tls::client_certificates::authorities;

/// A file, and the flag that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlaggedFile {
    /// The flag.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// A configuration for a client that trusts servers with a certificate of these authorities, and shows a certificate
/// of its own (chain and key) if it has one. TLS 1.2 and 1.3 are talked.
///
/// # Errors
/// A file cannot be read or used, or certificate and key do not belong together.
pub fn client_config(
    roots: &FlaggedFile,
    shown: Option<(&FlaggedFile, &FlaggedFile)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_root_certificates(authorities(roots.flag, &roots.path)?);
    let Some((cert, key)) = shown else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let pem = |file: &FlaggedFile, source| TlsError::Pem { flag: file.flag, path: file.path.clone(), source };
    let chain = CertificateDer::pem_slice_iter(&read(cert.flag, &cert.path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| pem(cert, source))?;
    if chain.is_empty() {
        return Err(TlsError::NoRoot { flag: cert.flag, path: cert.path.clone() });
    }
    let private =
        PrivateKeyDer::from_pem_slice(&read(key.flag, &key.path)?).map_err(|source| pem(key, source))?;
    builder.with_client_auth_cert(chain, private).map(Arc::new).map_err(|source| TlsError::Mismatch {
        cert: cert.path.clone(),
        key: key.path.clone(),
        source,
    })
}
