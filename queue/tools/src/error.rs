//! Why a tool could not do its work.

use std::io;

use punctual_queue_client::discovery::DiscoveryError;
use punctual_queue_wire::name::NameError;

use crate::client_settings::ClientOptionError;
use crate::nsq_to_file::ToFileError;
use crate::nsq_to_http::ToHttpError;

/// Why a tool could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The flags do not say what to do.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A lookup's address cannot be used.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// `nsq_to_file` cannot start, or a file failed.
    #[error(transparent)]
    ToFile(#[from] ToFileError),
    /// `nsq_to_http` cannot start.
    #[error(transparent)]
    ToHttp(#[from] ToHttpError),
    /// What is printed could not be written.
    #[error("could not write the output")]
    Output(#[source] io::Error),
}

/// What is wrong with flags that are well-formed each for itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Nothing says where to consume from.
    #[error("--nsqd-tcp-address or --lookupd-http-address required")]
    NoSource,
    /// Two kinds of flags say where to consume from.
    #[error("use --nsqd-tcp-address or --lookupd-http-address not both")]
    TwoSources,
    /// A flag that must be given is not.
    #[error("--{0} required")]
    Missing(&'static str),
    /// A name that is none.
    #[error("{name:?} is no {what}'s name")]
    BadName {
        /// Of what.
        what: &'static str,
        /// What was given.
        name: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// An option for the client is wrong.
    #[error(transparent)]
    ClientOption(#[from] ClientOptionError),
}
