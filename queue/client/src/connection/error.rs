//! Why there is no connection, or none any more.

use std::{io, time::Duration};

use punctual_queue_wire::{compress::CompressionError, frame::FrameError};
use rustls::AlertDescription;

use crate::{address::NodeAddress, tls::TlsSetupError};

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody answers at the address.
    #[error("could not connect to {node}")]
    Dial {
        /// Who was dialled.
        node: NodeAddress,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The node took longer than allowed.
    #[error("{node} did not answer within {limit:?}")]
    TimedOut {
        /// Who was asked.
        node: NodeAddress,
        /// How long was waited.
        limit: Duration,
    },
    /// TLS is wanted, and the node has none.
    #[error("{node} does not offer TLS, which is demanded here")]
    TlsNotOffered {
        /// Who answered.
        node: NodeAddress,
    },
    /// The node's host is no name that a certificate can have.
    #[error("{node} cannot be checked by its certificate")]
    TlsName {
        /// Who was dialled.
        node: NodeAddress,
        /// What is wrong with its name.
        #[source]
        source: TlsSetupError,
    },
    /// The node's certificate is not from an authority that is trusted, not for this host, or out of date.
    #[error("the certificate of {node} is not trusted")]
    NotTrusted {
        /// Who showed it.
        node: NodeAddress,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The node wants another certificate than this client shows, or one at all.
    #[error("{node} does not let in who shows this certificate, or none")]
    CertificateRefused {
        /// Who refused it.
        node: NodeAddress,
        /// What it said.
        #[source]
        source: rustls::Error,
    },
    /// The handshake failed for another reason.
    #[error("{node} and this client could not agree on TLS")]
    Tls {
        /// Who answered.
        node: NodeAddress,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The node wants a secret, and there is none to show.
    #[error("{node} asks for AUTH, and no secret was given")]
    SecretMissing {
        /// Who asks.
        node: NodeAddress,
    },
    /// The node does not take the secret.
    #[error("{node} refused the secret: {code} {text}")]
    SecretRefused {
        /// Who refused.
        node: NodeAddress,
        /// NSQ's error code.
        code: String,
        /// NSQ's description.
        text: String,
    },
    /// The node refused to go on.
    #[error("{node} answered {code} {text}")]
    Refused {
        /// Who answered.
        node: NodeAddress,
        /// NSQ's error code.
        code: String,
        /// NSQ's description.
        text: String,
    },
    /// The node speaks something else, or answers what was not asked.
    #[error("{node} does not speak NSQ's protocol: {reason}")]
    Protocol {
        /// Who answered.
        node: NodeAddress,
        /// What was wrong.
        reason: ProtocolViolation,
    },
    /// Reading or writing failed.
    #[error("the connection to {node} broke")]
    Broken {
        /// Who was connected.
        node: NodeAddress,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The node closed the connection.
    #[error("{node} closed the connection")]
    Closed {
        /// Who was connected.
        node: NodeAddress,
    },
}

impl ConnectionError {
    /// What went wrong while TLS was begun.
    pub(super) fn of_tls(node: &NodeAddress, error: io::Error) -> Self {
        let node = node.clone();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(source @ rustls::Error::InvalidCertificate(_)) => {
                Self::NotTrusted { node, source: source.clone() }
            }
            Some(source @ rustls::Error::AlertReceived(alert)) if is_about_certificates(*alert) => {
                Self::CertificateRefused { node, source: source.clone() }
            }
            _ => Self::Tls { node, source: error },
        }
    }

    /// What went wrong before the node said that TLS is begun. It judges a client's certificate only once the client
    /// takes the handshake for done.
    pub(super) fn before_tls_is_confirmed(self) -> Self {
        match self {
            Self::Broken { node, source } => Self::of_tls(&node, source),
            other => other,
        }
    }
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// What a node did that NSQ's protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolViolation {
    /// The bytes are not a frame.
    #[error(transparent)]
    Frame(FrameError),
    /// It is a web server: the port is that of the node's HTTP interface, perhaps.
    #[error("it answers in HTTP")]
    Http,
    /// IDENTIFY was answered neither by the JSON that was asked for nor by `OK`.
    #[error("it did not negotiate")]
    NotNegotiated,
    /// It starts TLS or a compression that it was not asked for.
    #[error("it starts what it was not asked for")]
    Unasked,
    /// It promised TLS, and went on without.
    #[error("it sent bytes in the clear where TLS begins")]
    BytesBeforeTls,
    /// What it sends cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// An upgrade was followed by something else than `OK`.
    #[error("it did not say that the upgrade is done")]
    NotUpgraded,
    /// An answer came that belongs to no command, or is another command's.
    #[error("it answered what was not asked")]
    UnexpectedAnswer,
}

impl From<FrameError> for ProtocolViolation {
    fn from(error: FrameError) -> Self {
        /// `HTTP`, read as a frame's size.
        const HTTP: i32 = i32::from_be_bytes(*b"HTTP");
        match error {
            FrameError::TooBig { size: HTTP, .. } => Self::Http,
            other => Self::Frame(other),
        }
    }
}
