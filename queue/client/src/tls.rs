//! TLS towards nodes and lookups.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
};

use crate::address::NodeAddress;

mod any_certificate;

use any_certificate::AnyCertificate;

/// What to trust, and what to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The authorities (PEM) that may have issued the servers' certificates; without it, those that the system trusts.
    pub root_ca: Option<PathBuf>,
    /// A certificate chain (PEM) to show to nodes that ask for one.
    pub certificate: Option<PathBuf>,
    /// The private key (PEM) of that certificate.
    pub key: Option<PathBuf>,
    /// The name that nodes' certificates must have; without it, the host that is dialled.
    pub server_name: Option<String>,
    /// Talk to whoever answers, whatever its certificate. Keeps listeners out, not impostors: for tests.
    pub insecure_skip_verify: bool,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate and its key are of use together only")]
    Lone,
    /// A file could not be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{} is not the PEM file it should be", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// A file that should hold certificates has none.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The system trusts nobody, and no authorities were given.
    #[error("the system has no certificates of authorities: name a file with some")]
    NoSystemRoots,
    /// Not a name that a certificate can have.
    #[error("{name:?} is not the name of a server")]
    BadServerName {
        /// What was given.
        name: String,
        /// What is wrong with it.
        #[source]
        source: InvalidDnsNameError,
    },
    /// An authority cannot be used, or certificate and key do not belong together.
    #[error("these certificates cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// TLS that is ready to be used, its files read. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files and checks them. TLS 1.2 and 1.3 are talked.
    ///
    /// # Errors
    /// See [`TlsSetupError`].
    pub fn load(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Unusable)?;
        let builder = if options.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        } else {
            let roots = options.root_ca.as_deref().map_or_else(system_roots, roots_in)?;
            builder.with_root_certificates(roots)
        };
        let config = match (&options.certificate, &options.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let key_der = PrivateKeyDer::from_pem_slice(&read(key)?)
                    .map_err(|source| TlsSetupError::Pem { path: key.clone(), source })?;
                builder
                    .with_client_auth_cert(certificates_in(certificate)?, key_der)
                    .map_err(TlsSetupError::Unusable)?
            }
            (Some(_), None) | (None, Some(_)) => return Err(TlsSetupError::Lone),
        };
        let server_name = options.server_name.as_deref().map(parse_name).transpose()?;
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// For connections to nodes.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// For HTTP. The name to check is the one in the URL.
    pub(crate) fn http_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// Trusts no server: for HTTP without TLS, which wants some setting all the same.
    pub(crate) fn distrustful() -> Result<Self, TlsSetupError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Unusable)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), server_name: None })
    }

    /// The name that a node's certificate must have.
    pub(crate) fn name_of(&self, node: &NodeAddress) -> Result<ServerName<'static>, TlsSetupError> {
        self.server_name.clone().map_or_else(|| parse_name(host_of(node.tcp())), Ok)
    }
}

/// The process's own choice if it has made one; nothing need be installed.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsSetupError> {
    let bad = |source| TlsSetupError::BadServerName { name: name.to_owned(), source };
    ServerName::try_from(name.to_owned()).map_err(bad)
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _port)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn roots_in(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    for root in certificates_in(path)? {
        roots.add(root).map_err(TlsSetupError::Unusable)?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    // Systems have the odd certificate that nobody can read, and some have none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsSetupError::NoSystemRoots) } else { Ok(roots) }
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsSetupError::Pem { path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(TlsSetupError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsSetupError> {
    std::fs::read(path).map_err(|source| TlsSetupError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_checked_by_its_host_unless_a_name_is_given() {
        let skip = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
        let named = TlsOptions { server_name: Some("nsq.example".to_owned()), ..skip.clone() };
        #[track_caller]
        fn check(options: &TlsOptions, node: &str, expect: &str) {
            let name = ClientTls::load(options).unwrap().name_of(&NodeAddress::new(node)).unwrap();
            assert_eq!(name.to_str(), expect);
        }
        check(&skip, "node-1.example:4150", "node-1.example");
        check(&skip, "10.0.0.7:4150", "10.0.0.7");
        check(&skip, "[fd00::7]:4150", "fd00::7");
        check(&named, "10.0.0.7:4150", "nsq.example");
    }

    #[test]
    fn what_is_half_given_or_unreadable_is_refused() {
        #[track_caller]
        fn check(options: TlsOptions, expect: &str) {
            let error = ClientTls::load(&options).unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        }
        let (nowhere, here) = (PathBuf::from("/nowhere/ca.pem"), PathBuf::from(file!()));
        let none = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
        check(TlsOptions { certificate: Some(nowhere.clone()), ..none.clone() }, "together only");
        check(TlsOptions { key: Some(nowhere.clone()), ..none.clone() }, "together only");
        check(TlsOptions { root_ca: Some(nowhere), ..TlsOptions::default() }, "could not read /nowhere");
        check(TlsOptions { server_name: Some("not a name".to_owned()), ..none }, "is not the name");
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join(here.file_name().unwrap());
        std::fs::write(&empty, "").unwrap();
        check(TlsOptions { root_ca: Some(empty), ..TlsOptions::default() }, "holds no certificate");
    }
}
