//! An authority made for one test, and the certificates it issues.

use std::{path::PathBuf, sync::Arc};

use punctual_queue_client::tls::{ClientTls, TlsOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// Its files: `ca.pem`, and for each name it issued something to, `name.pem` and `name.key`.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self { dir: TempDir::new()?, issuer };
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem())?;
        Ok(authority)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues a certificate, and leaves it and its key in files.
    pub(crate) fn issue(&self, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        let (cert_file, key_file) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        std::fs::write(&cert_file, certificate.pem())?;
        std::fs::write(&key_file, key.serialize_pem())?;
        Ok((cert_file, key_file))
    }

    /// A server with a certificate for this name.
    pub(crate) fn server(&self, name: &str) -> anyhow::Result<TlsAcceptor> {
        self.acceptor(name, false)
    }

    /// The same, which lets nobody in without a certificate of this authority.
    pub(crate) fn demanding_server(&self, name: &str) -> anyhow::Result<TlsAcceptor> {
        self.acceptor(name, true)
    }

    fn acceptor(&self, name: &str, demanding: bool) -> anyhow::Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if demanding {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.issue(name)?;
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
        let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What a client needs that trusts this authority alone.
    pub(crate) fn trusted(&self) -> TlsOptions {
        TlsOptions { root_ca: Some(self.file("ca.pem")), ..TlsOptions::default() }
    }

    pub(crate) fn client(&self) -> anyhow::Result<ClientTls> {
        Ok(ClientTls::load(&self.trusted())?)
    }
}
