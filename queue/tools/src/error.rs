//! Why a tool could not do its work.

use std::io;

use punctual_queue_client::{
    address::NodeAddress, connection::ConnectionError, discovery::DiscoveryError, producer::PublishOutcome,
};
use punctual_queue_wire::name::NameError;

use crate::client_settings::ClientOptionError;
use crate::http::HttpError;
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
    /// A node cannot be connected to.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A node did not take a message.
    #[error("{node} did not take a message: {}", why(outcome))]
    NotPublished {
        /// Which node.
        node: NodeAddress,
        /// What became of it.
        outcome: PublishOutcome,
    },
    /// A lookup or node could not be asked over HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// No node has the channel.
    #[error("failed to find channel({channel}) in stats metadata for topic({topic})")]
    NoSuchChannel {
        /// The topic asked for.
        topic: String,
        /// The channel asked for.
        channel: String,
    },
    /// What is to be published could not be read.
    #[error("could not read the input")]
    Input(#[source] io::Error),
    /// What is printed could not be written.
    #[error("could not write the output")]
    Output(#[source] io::Error),
}

fn why(outcome: &PublishOutcome) -> String {
    match outcome {
        PublishOutcome::Acknowledged => "it did".to_owned(),
        PublishOutcome::Refused { code, text } => format!("{code} {text}"),
        PublishOutcome::NotSent(reason) => reason.to_string(),
        PublishOutcome::Unknown(reason) => format!("it is not known whether it has it, {reason}"),
    }
}

/// What is wrong with flags that are well-formed each for itself.
#[derive(Debug, thiserror::Error)]
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
    /// Of two flags that must be given, one is not.
    #[error("--topic and --channel are required")]
    MissingTopicOrChannel,
    /// A number or time that must be above zero is not.
    #[error("--{0} should be positive")]
    NotPositive(&'static str),
    /// More or less than the one byte that separates records.
    #[error("--delimiter must be a single byte")]
    BadDelimiter,
    /// Nothing says what to ask over HTTP.
    #[error("--nsqd-http-address or --lookupd-http-address required")]
    NoHttpSource,
    /// Two kinds of flags say what to ask over HTTP.
    #[error("use --nsqd-http-address or --lookupd-http-address not both")]
    TwoHttpSources,
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
