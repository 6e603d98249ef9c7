//! What a node says to a lookup.

use bytes::{BufMut, BytesMut};

use super::{PeerInfo, Registration, RegistrationError};
use crate::{
    name::{ChannelName, TopicName},
    split,
};

/// One command of the registration protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationCommand {
    /// Who the node is; once, before the other two.
    Identify(PeerInfo),
    /// The node has this topic or channel.
    Register(Registration),
    /// The node has it no more.
    Unregister(Registration),
    /// The node lives.
    Ping,
}

impl RegistrationCommand {
    /// Appends the command as it stands on the wire.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Identify(peer) => {
                out.put_slice(b"IDENTIFY\n");
                super::encode_answer(&peer.to_json(), out);
            }
            Self::Register(registration) => put_registration("REGISTER", registration, out),
            Self::Unregister(registration) => put_registration("UNREGISTER", registration, out),
            Self::Ping => out.put_slice(b"PING\n"),
        }
    }
}

fn put_registration(command: &str, registration: &Registration, out: &mut BytesMut) {
    out.put_slice(command.as_bytes());
    out.put_u8(b' ');
    out.put_slice(registration.topic.as_str().as_bytes());
    if let Some(channel) = &registration.channel {
        out.put_u8(b' ');
        out.put_slice(channel.as_str().as_bytes());
    }
    out.put_u8(b'\n');
}

/// Reads a node's commands from its connection's bytes.
#[derive(Debug)]
pub struct RegistrationReader {
    max_body_bytes: usize,
    identified: bool,
    /// IDENTIFY's line has been read, its body has not; with the size once that is known.
    identifying: Option<Option<usize>>,
}

impl RegistrationReader {
    /// A reader that refuses bodies of IDENTIFY above `max_body_bytes`.
    pub fn new(max_body_bytes: usize) -> Self {
        Self { max_body_bytes, identified: false, identifying: None }
    }

    /// Takes the next command off the front of `input`; `None` until it is complete.
    ///
    /// # Errors
    /// What stands there is not a command, or not one allowed now; nothing more may be read.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<RegistrationCommand>, RegistrationError> {
        if let Some(size) = self.identifying {
            return self.identify(size, input);
        }
        let line = match split::take_line(input) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(None),
            Err(split::LineTooLong) => return Err(RegistrationError::UnknownCommand(String::new())),
        };
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        match words.next().unwrap_or_default() {
            b"PING" => Ok(Some(RegistrationCommand::Ping)),
            b"IDENTIFY" if self.identified => Err(RegistrationError::IdentifiedTwice),
            b"IDENTIFY" => self.identify(None, input),
            b"REGISTER" => self.registration("REGISTER", words).map(RegistrationCommand::Register).map(Some),
            b"UNREGISTER" => {
                self.registration("UNREGISTER", words).map(RegistrationCommand::Unregister).map(Some)
            }
            unknown => Err(RegistrationError::UnknownCommand(text(unknown))),
        }
    }

    /// What is wrong when the connection's input ends here; nothing, unless it ends within IDENTIFY. A line that is
    /// cut off is no command.
    pub fn end(&self) -> Option<RegistrationError> {
        self.identifying.map(|size| match size {
            None => RegistrationError::SizeCutOff,
            Some(_) => RegistrationError::BodyCutOff,
        })
    }

    fn identify(
        &mut self,
        size: Option<usize>,
        input: &mut BytesMut,
    ) -> Result<Option<RegistrationCommand>, RegistrationError> {
        self.identifying = Some(size);
        let size = match size.map(Ok).or_else(|| split::take_i32(input).map(|size| self.body_size(size))) {
            Some(size) => size?,
            None => return Ok(None),
        };
        self.identifying = Some(Some(size));
        let Some(body) = split::take_bytes(input, size) else { return Ok(None) };
        self.identifying = None;
        self.identified = true;
        PeerInfo::from_json(&body).map(RegistrationCommand::Identify).map(Some)
    }

    fn body_size(&self, size: i32) -> Result<usize, RegistrationError> {
        usize::try_from(size)
            .ok()
            .filter(|bytes| *bytes <= self.max_body_bytes)
            .ok_or(RegistrationError::BadBodySize(size))
    }

    fn registration<'a>(
        &self,
        command: &'static str,
        mut words: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Registration, RegistrationError> {
        if !self.identified {
            return Err(RegistrationError::NotIdentified);
        }
        let topic = words.next().ok_or(RegistrationError::MissingTopic(command))?;
        let channel = words.next().filter(|channel| !channel.is_empty());
        Ok(Registration {
            topic: TopicName::from_bytes(topic)
                .map_err(|_| RegistrationError::BadTopic { command, name: text(topic) })?,
            channel: channel
                .map(|channel| {
                    ChannelName::from_bytes(channel)
                        .map_err(|_| RegistrationError::BadChannel { command, name: text(channel) })
                })
                .transpose()?,
        })
    }
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
