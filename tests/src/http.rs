//! A client for what servers answer over HTTP.

use std::time::Duration;

/// One that waits for an answer as long as `patience`.
///
/// # Errors
/// It cannot be made.
pub fn client(patience: Duration) -> reqwest::Result<reqwest::Client> {
    // It wants a crypto provider though nothing here is asked over TLS. Another's is as good.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(patience).build()
}
