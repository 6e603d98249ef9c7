//! The line of a command, and all that is checked before its body is awaited.

use std::time::Duration;

use bytes::BytesMut;

use super::{BodyOf, Command, CommandName, ConnectionState, Limits, PendingBody, Standing};
use crate::{
    error::ProtocolError,
    message::MessageId,
    name::{ChannelName, TopicName},
    split,
};

/// A command as far as its line tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// It has no body: the line was all.
    Whole(Command),
    /// Its body follows.
    Body(PendingBody),
}

impl Head {
    /// Takes a command's line off the front of `input`; `None` until it is complete.
    ///
    /// # Errors
    /// The connection's standing, the command's name, or its parameters, checked in NSQ's order.
    pub fn take(
        input: &mut BytesMut,
        standing: Standing,
        limits: &Limits,
    ) -> Result<Option<Self>, ProtocolError> {
        match split::take_line(input) {
            Ok(Some(line)) => {
                Self::parse(line.strip_suffix(b"\r").unwrap_or(&line), standing, limits).map(Some)
            }
            Ok(None) => Ok(None),
            Err(split::LineTooLong) => Err(ProtocolError::LineTooLong),
        }
    }

    fn parse(line: &[u8], standing: Standing, limits: &Limits) -> Result<Self, ProtocolError> {
        let mut words = line.split(|byte| *byte == b' ');
        let word = words.next().unwrap_or_default();
        let name = CommandName::from_bytes(word);
        if standing.lacks_tls && name != Some(CommandName::Identify) {
            return Err(ProtocolError::TlsRequired(text(word)));
        }
        let name = name.ok_or_else(|| ProtocolError::UnknownCommand(text(word)))?;
        check_state(name, standing)?;
        let mut parameters = Parameters { command: name, words };
        Ok(match name {
            CommandName::Identify => Self::Body(PendingBody::new(BodyOf::Identify)),
            CommandName::Auth => {
                parameters.none()?;
                Self::Body(PendingBody::new(BodyOf::Auth))
            }
            CommandName::Pub => Self::Body(PendingBody::new(BodyOf::Pub { topic: parameters.topic()? })),
            CommandName::Mpub => Self::Body(PendingBody::new(BodyOf::Mpub { topic: parameters.topic()? })),
            CommandName::Dpub => Self::Body(PendingBody::new(parameters.deferred(limits)?)),
            CommandName::Sub => Self::Whole(parameters.subscription()?),
            CommandName::Rdy if standing.state == ConnectionState::Closing => Self::Whole(Command::Nop),
            CommandName::Rdy => Self::Whole(Command::Rdy(parameters.ready_count(limits)?)),
            CommandName::Fin => Self::Whole(Command::Fin(parameters.message_id()?)),
            CommandName::Touch => Self::Whole(Command::Touch(parameters.message_id()?)),
            CommandName::Req => Self::Whole(parameters.requeue(limits)?),
            CommandName::Cls => Self::Whole(Command::Cls),
            CommandName::Nop => Self::Whole(Command::Nop),
        })
    }
}

fn check_state(command: CommandName, standing: Standing) -> Result<(), ProtocolError> {
    use ConnectionState::{Closing, Connected, Subscribed};
    let allowed = match command {
        CommandName::Pub | CommandName::Mpub | CommandName::Dpub | CommandName::Nop => true,
        CommandName::Identify | CommandName::Auth | CommandName::Sub => standing.state == Connected,
        CommandName::Rdy | CommandName::Fin | CommandName::Req | CommandName::Touch => {
            matches!(standing.state, Subscribed | Closing)
        }
        CommandName::Cls => standing.state == Subscribed,
    };
    if !allowed {
        return Err(ProtocolError::WrongState(command));
    }
    if command == CommandName::Sub && !standing.heartbeats {
        return Err(ProtocolError::HeartbeatsDisabled);
    }
    Ok(())
}

/// The words after the command's name. Surplus ones are ignored, as NSQ does.
struct Parameters<'a, W: Iterator<Item = &'a [u8]>> {
    command: CommandName,
    words: W,
}

impl<'a, W: Iterator<Item = &'a [u8]>> Parameters<'a, W> {
    fn none(&mut self) -> Result<(), ProtocolError> {
        self.words.next().map_or(Ok(()), |_| Err(ProtocolError::SurplusAuthParameters))
    }

    fn next(&mut self) -> Result<&'a [u8], ProtocolError> {
        self.words.next().ok_or(ProtocolError::MissingParameters(self.command))
    }

    /// Two words, so that a missing second one is found before the first is looked at.
    fn two(&mut self) -> Result<(&'a [u8], &'a [u8]), ProtocolError> {
        Ok((self.next()?, self.next()?))
    }

    fn topic(&mut self) -> Result<TopicName, ProtocolError> {
        let word = self.next()?;
        self.parse_topic(word)
    }

    fn parse_topic(&self, word: &[u8]) -> Result<TopicName, ProtocolError> {
        TopicName::from_bytes(word)
            .map_err(|_| ProtocolError::BadTopic { command: self.command, name: word.to_vec() })
    }

    fn subscription(&mut self) -> Result<Command, ProtocolError> {
        let (topic, channel) = self.two()?;
        Ok(Command::Sub {
            topic: self.parse_topic(topic)?,
            channel: ChannelName::from_bytes(channel)
                .map_err(|_| ProtocolError::BadChannel { name: channel.to_vec() })?,
        })
    }

    fn deferred(&mut self, limits: &Limits) -> Result<BodyOf, ProtocolError> {
        let (topic, delay) = self.two()?;
        let topic = self.parse_topic(topic)?;
        let delay = self.parse_delay(delay)?;
        if delay > limits.max_publish_delay {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            return Err(ProtocolError::DelayOutOfRange { delay_ms, max: limits.max_publish_delay });
        }
        Ok(BodyOf::Dpub { topic, delay })
    }

    fn ready_count(&mut self, limits: &Limits) -> Result<u32, ProtocolError> {
        // A bare RDY means one.
        let Some(word) = self.words.next() else { return Ok(1) };
        let count = parse_number(word).ok_or_else(|| ProtocolError::BadReadyCount(text(word)))?;
        u32::try_from(count)
            .ok()
            .filter(|count| *count <= limits.max_ready_count)
            .ok_or(ProtocolError::ReadyCountOutOfRange { count, max: limits.max_ready_count })
    }

    fn message_id(&mut self) -> Result<MessageId, ProtocolError> {
        parse_message_id(self.next()?)
    }

    fn requeue(&mut self, limits: &Limits) -> Result<Command, ProtocolError> {
        let (id, delay) = self.two()?;
        let id = parse_message_id(id)?;
        Ok(Command::Req { id, delay: self.parse_delay(delay)?.min(limits.max_requeue_delay) })
    }

    fn parse_delay(&self, word: &[u8]) -> Result<Duration, ProtocolError> {
        parse_number(word)
            .map(Duration::from_millis)
            .ok_or_else(|| ProtocolError::BadDelay { command: self.command, text: text(word) })
    }
}

fn parse_message_id(word: &[u8]) -> Result<MessageId, ProtocolError> {
    MessageId::from_bytes(word).map_err(|_| ProtocolError::BadMessageId)
}

/// Digits alone, no sign; an empty word is zero, as in NSQ.
fn parse_number(word: &[u8]) -> Option<u64> {
    word.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
