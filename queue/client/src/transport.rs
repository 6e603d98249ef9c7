//! What stands between a client and a node: TLS, compression, and the secret that the node asks for.

use std::fmt;

pub use punctual_queue_wire::compress::Compression;

use crate::tls::ClientTls;

/// How connections to nodes are protected and compressed, and what the client shows to be let in. The same for
/// producers, pools, publishers and consumers, as part of their
/// [`ConnectionOptions`](crate::connection::ConnectionOptions).
///
/// By default connections are plain TCP, without compression, and without a secret.
#[derive(Debug, Clone, Default)]
pub struct TransportOptions {
    /// Speak TLS. A node that does not offer it is an
    /// [error](crate::connection::ConnectionError::TlsNotOffered), never a reason to go on without. Lookups are asked
    /// with the same certificates where their address begins with `https://`.
    pub tls: Option<ClientTls>,
    /// Compress both ways. A node that does not offer this compression is spoken to without: what a connection
    /// [came to](crate::connection::Connection::answer) is in its answer.
    pub compression: Option<Compression>,
    /// Shown with AUTH to nodes that ask for one, and only to those. Without TLS it crosses the network in the clear.
    pub secret: Option<Secret>,
}

/// A secret for AUTH. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret, which must not be empty: NSQ has no empty ones.
    pub fn new(secret: impl Into<String>) -> Option<Self> {
        Some(secret.into()).filter(|secret| !secret.is_empty()).map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_and_is_not_empty() {
        let options = TransportOptions { secret: Secret::new("hush"), ..TransportOptions::default() };
        assert!(options.secret.is_some());
        assert!(!format!("{options:?}").contains("hush"));
        assert_eq!(Secret::new(""), None);
    }
}
