//! Commands: what a client sends to a node.
//!
//! Reading happens in two steps, because NSQ refuses what it can before it waits for a body: [`Head::take`] reads
//! the command's line and makes every check that needs no body; [`PendingBody::take`] reads the rest.
//! [`CommandReader`] is both in one, for a node that has nothing to check in between.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};

use crate::{
    bodies::Bodies,
    error::ProtocolError,
    message::MessageId,
    name::{ChannelName, TopicName},
};

mod body;
mod encode;
mod head;

pub use body::{BodyOf, PendingBody, mpub_bodies};
pub use head::Head;

/// The longest command line in bytes, its `\n` included.
pub const MAX_LINE_BYTES: usize = crate::split::MAX_LINE_BYTES;

/// The commands' names, as they stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the NSQ command of that name, described at `Command`")]
pub enum CommandName {
    Identify,
    Auth,
    Sub,
    Pub,
    Mpub,
    Dpub,
    Rdy,
    Fin,
    Req,
    Touch,
    Cls,
    Nop,
}

impl CommandName {
    /// The command with this name; names are case-sensitive.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"IDENTIFY" => Self::Identify,
            b"AUTH" => Self::Auth,
            b"SUB" => Self::Sub,
            b"PUB" => Self::Pub,
            b"MPUB" => Self::Mpub,
            b"DPUB" => Self::Dpub,
            b"RDY" => Self::Rdy,
            b"FIN" => Self::Fin,
            b"REQ" => Self::Req,
            b"TOUCH" => Self::Touch,
            b"CLS" => Self::Cls,
            b"NOP" => Self::Nop,
            _ => return None,
        })
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "IDENTIFY",
            Self::Auth => "AUTH",
            Self::Sub => "SUB",
            Self::Pub => "PUB",
            Self::Mpub => "MPUB",
            Self::Dpub => "DPUB",
            Self::Rdy => "RDY",
            Self::Fin => "FIN",
            Self::Req => "REQ",
            Self::Touch => "TOUCH",
            Self::Cls => "CLS",
            Self::Nop => "NOP",
        }
    }

    /// NSQ abbreviates the word for the commands about one message, and only there.
    pub(crate) fn parameters_noun(self) -> &'static str {
        if matches!(self, Self::Fin | Self::Req | Self::Touch) { "params" } else { "parameters" }
    }

    /// NSQ writes the code twice for MPUB; clients compare whole texts, so it stays.
    pub(crate) fn bad_topic_prefix(self) -> &'static str {
        if self == Self::Mpub { "E_BAD_TOPIC " } else { "" }
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A command that has been read whole and found well-formed and allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Says who the client is and negotiates the connection's settings; the body is for
    /// [`IdentifyRequest::from_json`](crate::identify::IdentifyRequest::from_json).
    Identify(Bytes),
    /// Authenticates the connection with a secret.
    Auth(Bytes),
    /// Subscribes the connection to a channel, which is created if need be, as is its topic.
    Sub {
        /// The topic.
        topic: TopicName,
        /// The channel.
        channel: ChannelName,
    },
    /// Publishes one message.
    Pub {
        /// Where to.
        topic: TopicName,
        /// The message, at least one byte.
        body: Bytes,
    },
    /// Publishes several messages, all or none.
    Mpub {
        /// Where to.
        topic: TopicName,
        /// The messages, at least one, none of them empty.
        bodies: Bodies,
    },
    /// Publishes one message to be delivered later.
    Dpub {
        /// Where to.
        topic: TopicName,
        /// How much later, whole milliseconds.
        delay: Duration,
        /// The message, at least one byte.
        body: Bytes,
    },
    /// Sets how many messages may be in flight on the connection: a ceiling, not a budget.
    Rdy(u32),
    /// The message is done.
    Fin(MessageId),
    /// The message is given back.
    Req {
        /// The message.
        id: MessageId,
        /// How long it stays away, whole milliseconds, at most [`Limits::max_requeue_delay`]; zero for not at all.
        delay: Duration,
    },
    /// The message's time-out starts anew.
    Touch(MessageId),
    /// No more deliveries, please; asks for `CLOSE_WAIT`.
    Cls,
    /// Nothing but a sign of life. RDY on a closing connection, which NSQ ignores whatever it says, is read as this.
    Nop,
}

impl Command {
    /// Its name.
    pub fn name(&self) -> CommandName {
        match self {
            Self::Identify(_) => CommandName::Identify,
            Self::Auth(_) => CommandName::Auth,
            Self::Sub { .. } => CommandName::Sub,
            Self::Pub { .. } => CommandName::Pub,
            Self::Mpub { .. } => CommandName::Mpub,
            Self::Dpub { .. } => CommandName::Dpub,
            Self::Rdy(_) => CommandName::Rdy,
            Self::Fin(_) => CommandName::Fin,
            Self::Req { .. } => CommandName::Req,
            Self::Touch(_) => CommandName::Touch,
            Self::Cls => CommandName::Cls,
            Self::Nop => CommandName::Nop,
        }
    }
}

/// What a node accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message.
    pub max_message_bytes: u32,
    /// Bytes of the body of IDENTIFY, AUTH and MPUB.
    pub max_body_bytes: u32,
    /// The highest count RDY may set.
    pub max_ready_count: u32,
    /// REQ's delay is cut down to this.
    pub max_requeue_delay: Duration,
    /// DPUB's delay is refused above this.
    pub max_publish_delay: Duration,
}

impl Default for Limits {
    /// nsqd's defaults.
    fn default() -> Self {
        Self {
            max_message_bytes: 1024 * 1024,
            max_body_bytes: 5 * 1024 * 1024,
            max_ready_count: 2_500,
            max_requeue_delay: Duration::from_secs(3_600),
            max_publish_delay: Duration::from_secs(3_600),
        }
    }
}

impl Limits {
    /// How many messages an MPUB may hold: what fits into the largest body at one byte each.
    pub fn max_mpub_messages(&self) -> u32 {
        self.max_body_bytes.saturating_sub(4) / 5
    }
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Not subscribed; the only state for IDENTIFY, AUTH and SUB.
    Connected,
    /// Subscribed.
    Subscribed,
    /// CLS was sent: no more deliveries, but FIN, REQ and TOUCH still work.
    Closing,
}

/// What the connection's standing allows; checked before anything else about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far it has come.
    pub state: ConnectionState,
    /// Heartbeats are on; without them SUB is refused.
    pub heartbeats: bool,
    /// The node demands TLS and the connection has none: only IDENTIFY is allowed.
    pub lacks_tls: bool,
}

impl Default for Standing {
    /// A fresh connection to a node that does not demand TLS.
    fn default() -> Self {
        Self { state: ConnectionState::Connected, heartbeats: true, lacks_tls: false }
    }
}

/// Reads commands from a connection's bytes, remembering a body it waits for.
#[derive(Debug, Default)]
pub struct CommandReader {
    pending: Option<PendingBody>,
}

impl CommandReader {
    /// Takes the next command off the front of `input`; `None` until it is complete.
    ///
    /// # Errors
    /// See [`Head::take`] and [`PendingBody::take`]. After a fatal one nothing more may be read.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        standing: Standing,
        limits: &Limits,
    ) -> Result<Option<Command>, ProtocolError> {
        let mut body = match self.pending.take() {
            Some(body) => body,
            None => match Head::take(input, standing, limits)? {
                None => return Ok(None),
                Some(Head::Whole(command)) => return Ok(Some(command)),
                Some(Head::Body(body)) => body,
            },
        };
        let command = body.take(input, limits)?;
        if command.is_none() {
            self.pending = Some(body);
        }
        Ok(command)
    }

    /// What to answer when the input ends here: an error when it ends within a body, `None` between commands.
    pub fn at_end(&self) -> Option<ProtocolError> {
        self.pending.as_ref().map(PendingBody::at_end)
    }
}

#[cfg(test)]
mod tests;
