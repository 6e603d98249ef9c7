//! Flags of TLS towards lookups.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use punctual_service::tls::{FlaggedFile, client_config};
use rustls::ClientConfig;

use crate::error::NodeError;

const ROOTS_FLAG: &str = "--lookupd-tls-root-ca-file";
const CERT_FLAG: &str = "--lookupd-tls-cert";
const KEY_FLAG: &str = "--lookupd-tls-key";

/// TLS towards lookups.
#[derive(Debug, Clone, Default, Args)]
pub struct LookupTlsOptions {
    /// Register with the lookups over TLS, with all of them
    #[arg(long, env = "PUNCTUAL_QUEUE_LOOKUPD_TLS")]
    pub lookupd_tls: bool,

    /// The authorities (PEM) that issued the lookups' certificates
    #[arg(long, env = "PUNCTUAL_QUEUE_LOOKUPD_TLS_ROOT_CA_FILE", value_name = "FILE")]
    pub lookupd_tls_root_ca_file: Option<PathBuf>,

    /// Certificate chain (PEM) to show to the lookups
    #[arg(long, env = "PUNCTUAL_QUEUE_LOOKUPD_TLS_CERT", value_name = "FILE")]
    pub lookupd_tls_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate
    #[arg(long, env = "PUNCTUAL_QUEUE_LOOKUPD_TLS_KEY", value_name = "FILE")]
    pub lookupd_tls_key: Option<PathBuf>,
}

impl LookupTlsOptions {
    /// Reads the files and checks them; `None` without `--lookupd-tls`.
    pub(crate) fn load(&self) -> Result<Option<Arc<ClientConfig>>, NodeError> {
        let file = |flag, path: &Option<PathBuf>| path.clone().map(|path| FlaggedFile { flag, path });
        let roots = file(ROOTS_FLAG, &self.lookupd_tls_root_ca_file);
        let cert = file(CERT_FLAG, &self.lookupd_tls_cert);
        let key = file(KEY_FLAG, &self.lookupd_tls_key);
        let half = |given, missing| NodeError::HalfLookupTls { given, missing };
        if !self.lookupd_tls {
            let given = [roots, cert, key].into_iter().flatten().next();
            return given.map_or(Ok(None), |given| Err(half(given.flag, "--lookupd-tls")));
        }
        let roots = roots.ok_or(half("--lookupd-tls", ROOTS_FLAG))?;
        let shown = match (&cert, &key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => return Err(half(CERT_FLAG, KEY_FLAG)),
            (None, Some(_)) => return Err(half(KEY_FLAG, CERT_FLAG)),
        };
        Ok(Some(client_config(&roots, shown)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &LookupTlsOptions, expect: &str) {
        let error = options.load().expect_err("it is half a configuration");
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn half_a_configuration_is_refused() {
        let (on, off) =
            (LookupTlsOptions { lookupd_tls: true, ..Default::default() }, LookupTlsOptions::default());
        let file = Some(PathBuf::from("/nowhere.pem"));
        assert!(off.load().unwrap().is_none());
        check(&on, "--lookupd-tls needs --lookupd-tls-root-ca-file beside it");
        let roots = LookupTlsOptions { lookupd_tls_root_ca_file: file.clone(), ..off };
        check(&roots, "--lookupd-tls-root-ca-file needs --lookupd-tls beside it");
        let on = LookupTlsOptions { lookupd_tls: true, ..roots };
        check(&on, "could not read /nowhere.pem (--lookupd-tls-root-ca-file)");
        let cert = LookupTlsOptions { lookupd_tls_cert: file.clone(), ..on.clone() };
        check(&cert, "--lookupd-tls-cert needs --lookupd-tls-key beside it");
        let key = LookupTlsOptions { lookupd_tls_key: file, ..on };
        check(&key, "--lookupd-tls-key needs --lookupd-tls-cert beside it");
    }
}
