//! Whom to trust over https.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, Error, RootCertStore};
use tracing::warn;

/// TLS 1.2 and 1.3 with the authorities that the system trusts; they are read only if they are `needed`.
///
/// # Errors
/// The crypto provider cannot do what is asked of it.
pub(super) fn tls(needed: bool) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if needed {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            warn!(errors = ?found.errors, "the system trusts no authority: https will not work");
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}
