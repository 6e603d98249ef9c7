//! What can go wrong with a node as a whole.

use std::io;
use std::path::PathBuf;

use punctual_queue_log::error::{AppendError, LogError, SyncFailure};
use punctual_queue_wire::name::TopicName;
use punctual_service::bind::BindError;
use punctual_service::dir_lock::LockError;
use punctual_service::tls::TlsError;

pub use crate::auth::AuthSetupError;

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Another node uses the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The certificate, its key or the authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS is demanded and cannot be offered.
    #[error("--tls-required and --tls-client-auth-policy need --tls-cert and --tls-key")]
    NoCertificate,
    /// Certificates are to be checked against nothing.
    #[error("--tls-client-auth-policy=require-verify needs --tls-root-ca-file")]
    NoAuthorities,
    /// TLS towards lookups lacks a flag.
    #[error("{given} needs {missing} beside it")]
    HalfLookupTls {
        /// The flag that was given.
        given: &'static str,
        /// The flag that was not.
        missing: &'static str,
    },
    /// Consumers of other machines are to be told of a socket file.
    #[error("--lookupd-tcp-address needs --broadcast-tcp-port when --tcp-address is a socket file")]
    NothingToRegister,
    /// The authentication servers cannot be asked.
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    /// A file of the data directory could not be used.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("could not start the thread that writes")]
    Thread(#[source] io::Error),
    /// What an earlier process left in the journal could not be put into the logs.
    #[error("could not recover from the journal")]
    Journal(#[source] LogError),
    /// A topic's log could not be opened or read.
    #[error("could not recover topic {topic}")]
    Topic {
        /// Which.
        topic: TopicName,
        /// Why.
        #[source]
        source: TopicError,
    },
    /// A sync failed: what was written since the last one may be lost, so nothing is acknowledged any more.
    #[error("the disk failed to sync; the node stops so that nothing is acknowledged that may be lost")]
    SyncFailed(#[source] SyncFailure),
    /// A listener broke.
    #[error("could not accept connections any more")]
    Accept(#[source] io::Error),
}

/// Why something could not be done to a topic.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    /// Its log failed.
    #[error("its log failed")]
    Log(#[source] std::sync::Arc<LogError>),
    /// A record could not be added.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A file beside the log failed.
    #[error("could not {action} its files")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// What the system said.
        #[source]
        source: std::sync::Arc<io::Error>,
    },
    /// It was deleted meanwhile.
    #[error("it was deleted")]
    Deleted,
    /// Too many ask for the same at once.
    #[error("busy")]
    Busy,
    /// As many messages wait as may.
    #[error("the topic is full")]
    TopicFull,
    /// The node is being emptied: others take messages.
    #[error("draining")]
    Draining,
    /// The node is stopping.
    #[error("exiting")]
    Exiting,
}

impl From<LogError> for TopicError {
    fn from(error: LogError) -> Self {
        Self::Log(std::sync::Arc::new(error))
    }
}

impl TopicError {
    /// Whether there was no room, on the disk or in a quota.
    pub(crate) fn is_full(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            Self::Append(error) => error.is_full(),
            Self::Io { source, .. } => full(source.kind()),
            Self::Log(error) => matches!(&**error, LogError::Io { source, .. } if full(source.kind())),
            Self::Deleted | Self::Busy | Self::TopicFull | Self::Draining | Self::Exiting => false,
        }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source: std::sync::Arc::new(source) }
    }
}
