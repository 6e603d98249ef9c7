//! Every error a node may answer with, as NSQ's clients know them.

use std::{fmt, time::Duration};

use crate::{
    command::CommandName,
    message::MessageId,
    name::{ChannelName, TopicName},
    quote::Quoted,
};

/// The first word of an error answer: what clients decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the codes are NSQ's; `as_str` gives the text each stands for")]
pub enum ErrorCode {
    Invalid,
    BadProtocol,
    BadBody,
    BadTopic,
    BadChannel,
    BadMessage,
    IdentifyFailed,
    AuthDisabled,
    AuthFailed,
    AuthFirst,
    AuthError,
    Unauthorized,
    SubFailed,
    PubFailed,
    MpubFailed,
    DpubFailed,
    FinFailed,
    ReqFailed,
    TouchFailed,
}

impl ErrorCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "E_INVALID",
            Self::BadProtocol => "E_BAD_PROTOCOL",
            Self::BadBody => "E_BAD_BODY",
            Self::BadTopic => "E_BAD_TOPIC",
            Self::BadChannel => "E_BAD_CHANNEL",
            Self::BadMessage => "E_BAD_MESSAGE",
            Self::IdentifyFailed => "E_IDENTIFY_FAILED",
            Self::AuthDisabled => "E_AUTH_DISABLED",
            Self::AuthFailed => "E_AUTH_FAILED",
            Self::AuthFirst => "E_AUTH_FIRST",
            Self::AuthError => "E_AUTH_ERROR",
            Self::Unauthorized => "E_UNAUTHORIZED",
            Self::SubFailed => "E_SUB_FAILED",
            Self::PubFailed => "E_PUB_FAILED",
            Self::MpubFailed => "E_MPUB_FAILED",
            Self::DpubFailed => "E_DPUB_FAILED",
            Self::FinFailed => "E_FIN_FAILED",
            Self::ReqFailed => "E_REQ_FAILED",
            Self::TouchFailed => "E_TOUCH_FAILED",
        }
    }

    /// Whether the node closes the connection after this answer.
    pub fn is_fatal(self) -> bool {
        !matches!(self, Self::FinFailed | Self::ReqFailed | Self::TouchFailed)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why FIN, REQ or TOUCH had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Finished, requeued or timed out before, or never delivered.
    #[error("ID not in flight")]
    NotInFlight,
    /// It was delivered to another connection.
    #[error("client does not own message")]
    OtherOwner,
}

/// Why a subscription was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeRefusal {
    /// The channel has as many consumers as it may.
    #[error("consumers for {topic}:{channel} exceeds limit of {limit}")]
    TooManyConsumers {
        /// The topic.
        topic: TopicName,
        /// The channel that is full.
        channel: ChannelName,
        /// How many consumers one channel may have.
        limit: usize,
    },
    /// The node is stopping.
    #[error("exiting")]
    Exiting,
    /// The topic or channel was deleted while the subscription was made, twice in a row.
    #[error("to deleted topic/channel")]
    Deleted,
}

/// What a client did wrong, or what the node could not do for it.
///
/// `Display` is the description alone; [`answer`](Self::answer) is what goes into the error frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The connection began with other bytes than the magic.
    #[error("the connection did not begin with the protocol's magic")]
    BadProtocol,
    /// A command line went on for more than 16,384 bytes. The connection is closed without an answer.
    #[error("the command line is too long")]
    LineTooLong,
    /// No such command.
    #[error("invalid command {0}")]
    UnknownCommand(String),
    /// The command is not allowed before, or after, SUB or CLS.
    #[error("cannot {0} in current state")]
    WrongState(CommandName),
    /// The node demands TLS before anything but IDENTIFY. Carries the command's name as it was sent.
    #[error("cannot {0} in current state (TLS required)")]
    TlsRequired(String),
    /// A connection without heartbeats may publish only.
    #[error("cannot SUB with heartbeats disabled")]
    HeartbeatsDisabled,
    /// Parameters are missing on the line.
    #[error("{0} insufficient number of {noun}", noun = .0.parameters_noun())]
    MissingParameters(CommandName),
    /// AUTH takes none.
    #[error("AUTH invalid number of parameters")]
    SurplusAuthParameters,
    /// Not a topic's name.
    #[error("{prefix}{command} topic name {} is not valid", Quoted(.name), prefix = .command.bad_topic_prefix())]
    BadTopic {
        /// SUB, PUB, MPUB or DPUB.
        command: CommandName,
        /// What stood in its place.
        name: Vec<u8>,
    },
    /// Not a channel's name.
    #[error("SUB channel name {} is not valid", Quoted(.name))]
    BadChannel {
        /// What stood in its place.
        name: Vec<u8>,
    },
    /// A message id has 16 bytes.
    #[error("invalid message ID")]
    BadMessageId,
    /// RDY's count is not a number.
    #[error("RDY could not parse count {0}")]
    BadReadyCount(String),
    /// RDY's count is above the node's limit.
    #[error("RDY count {count} out of range 0-{max}")]
    ReadyCountOutOfRange {
        /// What was asked for.
        count: u64,
        /// The node's limit.
        max: u32,
    },
    /// The delay of REQ or DPUB is not a number of milliseconds.
    #[error("{command} could not parse timeout {text}")]
    BadDelay {
        /// REQ or DPUB.
        command: CommandName,
        /// What stood in its place.
        text: String,
    },
    /// The delay of DPUB is above the node's limit.
    #[error("DPUB timeout {delay_ms} out of range 0-{}", .max.as_millis())]
    DelayOutOfRange {
        /// What was asked for.
        delay_ms: u64,
        /// The node's limit.
        max: Duration,
    },
    /// The input ended where the body's size should stand (IDENTIFY, AUTH, MPUB).
    #[error("{0} failed to read body size")]
    BodySizeMissing(CommandName),
    /// The body's size is not above zero (IDENTIFY, AUTH, MPUB).
    #[error("{command} invalid body size {size}")]
    BadBodySize {
        /// The command.
        command: CommandName,
        /// The size it gave.
        size: i32,
    },
    /// The body is above the node's limit (IDENTIFY, AUTH, MPUB).
    #[error("{command} body too big {size} > {max}")]
    BodyTooBig {
        /// The command.
        command: CommandName,
        /// The size it gave.
        size: u64,
        /// The node's limit.
        max: u32,
    },
    /// The input ended within the body (IDENTIFY, AUTH).
    #[error("{0} failed to read body")]
    BodyMissing(CommandName),
    /// The input ended where the number of messages should stand.
    #[error("MPUB failed to read message count")]
    MessageCountMissing,
    /// No message, or more than a body of the largest size can hold.
    #[error("MPUB invalid message count {0}")]
    BadMessageCount(i32),
    /// The input ended where a message's size should stand (PUB, DPUB, an item of MPUB).
    #[error("{command} failed to read message{} body size", Item(*.item))]
    MessageSizeMissing {
        /// The command.
        command: CommandName,
        /// Which of MPUB's messages, from 0.
        item: Option<u32>,
    },
    /// A message's size is not above zero (PUB, DPUB, an item of MPUB).
    #[error("{command} invalid message{} body size {size}", Item(*.item))]
    BadMessageSize {
        /// The command.
        command: CommandName,
        /// Which of MPUB's messages, from 0.
        item: Option<u32>,
        /// The size it gave.
        size: i32,
    },
    /// A message is above the node's limit.
    #[error("{command} message too big {size} > {max}")]
    MessageTooBig {
        /// The command.
        command: CommandName,
        /// The size it gave.
        size: u64,
        /// The node's limit.
        max: u32,
    },
    /// The input ended within a message.
    #[error("{0} failed to read message body")]
    MessageMissing(CommandName),
    /// IDENTIFY's body is not an object with the fields' types.
    #[error("IDENTIFY failed to decode JSON body")]
    BadIdentifyJson,
    /// A value IDENTIFY asks for is out of range.
    #[error("IDENTIFY {what} ({value}) is invalid")]
    BadIdentifyValue {
        /// The setting, in words.
        what: &'static str,
        /// What was asked for.
        value: i64,
    },
    /// A connection has one compression at most.
    #[error("cannot enable both deflate and snappy compression")]
    BothCompressions,
    /// TLS or compression could not be started.
    #[error("IDENTIFY failed {0}")]
    UpgradeFailed(String),
    /// The node has no authentication.
    #[error("AUTH disabled")]
    AuthDisabled,
    /// The connection is authenticated already.
    #[error("AUTH already set")]
    AuthRepeated,
    /// The authentication server could not be asked, or refused.
    #[error("AUTH failed")]
    AuthFailed,
    /// The secret is known and allows nothing.
    #[error("AUTH no authorizations found")]
    NoAuthorizations,
    /// The answer to AUTH could not be made.
    #[error("AUTH error {0}")]
    AuthError(String),
    /// The node demands AUTH first.
    #[error("AUTH required before {0}")]
    AuthFirst(CommandName),
    /// The connection's secret does not allow this.
    #[error("AUTH failed for {command} on {} {}", Quoted(.topic.as_str().as_bytes()), Quoted(channel_bytes(.channel)))]
    Unauthorized {
        /// SUB, PUB, MPUB or DPUB.
        command: CommandName,
        /// The topic.
        topic: TopicName,
        /// The channel, when subscribing.
        channel: Option<ChannelName>,
    },
    /// The subscription was refused.
    #[error("SUB failed {0}")]
    SubscribeFailed(#[source] SubscribeRefusal),
    /// The messages could not be stored: none of them is acknowledged.
    #[error("{command} failed {reason}")]
    PublishFailed {
        /// PUB, MPUB or DPUB.
        command: CommandName,
        /// Why, in words.
        reason: String,
    },
    /// FIN, REQ or TOUCH came too late or from the wrong connection. The connection stays open.
    #[error("{command} {id} failed {reason}")]
    NotHeld {
        /// FIN, REQ or TOUCH.
        command: CommandName,
        /// The message.
        id: MessageId,
        /// Why it had no effect.
        reason: NotHeld,
    },
}

impl ProtocolError {
    /// The answer's first word; `None` for [`LineTooLong`](Self::LineTooLong), which has no answer.
    pub fn code(&self) -> Option<ErrorCode> {
        Some(match self {
            Self::BadProtocol => ErrorCode::BadProtocol,
            Self::LineTooLong => return None,
            Self::UnknownCommand(_)
            | Self::WrongState(_)
            | Self::TlsRequired(_)
            | Self::HeartbeatsDisabled
            | Self::MissingParameters(_)
            | Self::SurplusAuthParameters
            | Self::BadMessageId
            | Self::BadReadyCount(_)
            | Self::ReadyCountOutOfRange { .. }
            | Self::BadDelay { .. }
            | Self::DelayOutOfRange { .. }
            | Self::AuthRepeated => ErrorCode::Invalid,
            Self::BadTopic { .. } => ErrorCode::BadTopic,
            Self::BadChannel { .. } => ErrorCode::BadChannel,
            Self::BodySizeMissing(_)
            | Self::BadBodySize { .. }
            | Self::BodyTooBig { .. }
            | Self::BodyMissing(_)
            | Self::MessageCountMissing
            | Self::BadMessageCount(_)
            | Self::BadIdentifyJson
            | Self::BadIdentifyValue { .. } => ErrorCode::BadBody,
            Self::MessageSizeMissing { .. }
            | Self::BadMessageSize { .. }
            | Self::MessageTooBig { .. }
            | Self::MessageMissing(_) => ErrorCode::BadMessage,
            Self::BothCompressions | Self::UpgradeFailed(_) => ErrorCode::IdentifyFailed,
            Self::AuthDisabled => ErrorCode::AuthDisabled,
            Self::AuthFailed => ErrorCode::AuthFailed,
            Self::AuthError(_) => ErrorCode::AuthError,
            Self::AuthFirst(_) => ErrorCode::AuthFirst,
            Self::NoAuthorizations | Self::Unauthorized { .. } => ErrorCode::Unauthorized,
            Self::SubscribeFailed(_) => ErrorCode::SubFailed,
            Self::PublishFailed { command, .. } => match command {
                CommandName::Mpub => ErrorCode::MpubFailed,
                CommandName::Dpub => ErrorCode::DpubFailed,
                _ => ErrorCode::PubFailed,
            },
            Self::NotHeld { command, .. } => match command {
                CommandName::Req => ErrorCode::ReqFailed,
                CommandName::Touch => ErrorCode::TouchFailed,
                _ => ErrorCode::FinFailed,
            },
        })
    }

    /// Whether the connection is closed after the answer.
    pub fn is_fatal(&self) -> bool {
        self.code().is_none_or(ErrorCode::is_fatal)
    }

    /// The error frame's data: the code and the description. `None` when the connection is closed without an answer.
    pub fn answer(&self) -> Option<String> {
        let code = self.code()?;
        Some(match self {
            Self::BadProtocol => code.to_string(),
            described => format!("{code} {described}"),
        })
    }
}

/// `(3)` after the word `message` in MPUB's texts, nothing in those of the other commands.
struct Item(Option<u32>);

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |item| write!(f, "({item})"))
    }
}

fn channel_bytes(channel: &Option<ChannelName>) -> &[u8] {
    channel.as_ref().map_or(&[], |channel| channel.as_str().as_bytes())
}

#[cfg(test)]
mod tests;
