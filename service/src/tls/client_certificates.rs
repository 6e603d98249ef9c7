//! What a TLS server asks of its clients' certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::{TlsError, provider, read};

/// What a server asks of its clients' certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    NotAsked,
    /// That there is one and that the client has its key; whoever issued it.
    Required,
    /// That one of the authorities in this file (PEM) issued it.
    Verified {
        /// The file.
        roots: PathBuf,
        /// The flag that names it.
        flag: &'static str,
    },
}

impl ClientCertificates {
    /// What looks at the certificates; `None` when none is asked for.
    pub(super) fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        match self {
            Self::NotAsked => Ok(None),
            Self::Required => Ok(Some(Arc::new(AnyCertificate(provider())))),
            Self::Verified { roots, flag } => {
                let store = authorities(flag, roots)?;
                WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
                    .build()
                    .map(|verifier| Some(verifier as Arc<dyn ClientCertVerifier>))
                    .map_err(|source| TlsError::Verifier { path: roots.clone(), source })
            }
        }
    }
}

/// The authorities in a file (PEM).
pub(super) fn authorities(flag: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&read(flag, path)?) {
        let root = root.map_err(|source| TlsError::Pem { flag, path: path.to_owned(), source })?;
        store.add(root).map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
    }
    if store.is_empty() { Err(TlsError::NoRoot { flag, path: path.to_owned() }) } else { Ok(store) }
}

/// Takes every certificate whose key the client has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
