//! The body of a command.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::{Command, CommandName, Limits};
use crate::{
    bodies::{Bodies, SIZE_BYTES},
    error::ProtocolError,
    name::TopicName,
    split,
};

/// An MPUB's messages of at least so many bytes share the input's memory. Fewer are copied: they may be kept for long,
/// and would keep all that was read with them.
const SHARED_BYTES: usize = 8 * 1024;

/// What a body belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the command of that name, with what its line said")]
pub enum BodyOf {
    Identify,
    Auth,
    Pub { topic: TopicName },
    Mpub { topic: TopicName },
    Dpub { topic: TopicName, delay: Duration },
}

impl BodyOf {
    /// The command's name.
    pub fn command(&self) -> CommandName {
        match self {
            Self::Identify => CommandName::Identify,
            Self::Auth => CommandName::Auth,
            Self::Pub { .. } => CommandName::Pub,
            Self::Mpub { .. } => CommandName::Mpub,
            Self::Dpub { .. } => CommandName::Dpub,
        }
    }
}

/// A command whose body has not arrived, or not entirely.
#[derive(Debug, PartialEq, Eq)]
pub struct PendingBody {
    of: BodyOf,
    progress: Progress,
}

/// The next thing to arrive.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Size,
    Bytes(usize),
    Count(TopicName),
    Items(TopicName, Items),
}

/// What has arrived of an MPUB's messages. They stay where they are until the last is there, so as to be one piece.
#[derive(Debug, PartialEq, Eq)]
struct Items {
    expected: u32,
    /// How many have arrived whole.
    seen: u32,
    /// Bytes up to the one that has not, or up to its body where its size is known.
    scanned: usize,
    /// The size of the one that has not.
    size: Option<usize>,
}

impl PendingBody {
    pub(super) fn new(of: BodyOf) -> Self {
        Self { of, progress: Progress::Size }
    }

    /// Which command it is, for what has to be checked before its body is awaited.
    pub fn of(&self) -> &BodyOf {
        &self.of
    }

    /// Takes what has arrived off the front of `input` and gives the command once it is whole. Large bodies share
    /// `input`'s memory; nothing is reserved for a size that is only claimed.
    ///
    /// An MPUB's size is checked but does not decide where the command ends: its count of messages does, as in NSQ.
    ///
    /// # Errors
    /// A size or count is out of range. It is found as soon as it is read; the bytes it speaks of are not awaited.
    pub fn take(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Option<Command>, ProtocolError> {
        loop {
            let before = std::mem::replace(&mut self.progress, Progress::Size);
            match self.advance(before, input, limits)? {
                Step::Whole(command) => return Ok(Some(command)),
                Step::Read(progress) => self.progress = progress,
                Step::Short(progress) => {
                    self.progress = progress;
                    return Ok(None);
                }
            }
        }
    }

    fn advance(
        &self,
        progress: Progress,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Step, ProtocolError> {
        Ok(match progress {
            Progress::Size => match split::take_i32(input) {
                Some(size) => Step::Read(self.on_size(size, limits)?),
                None => Step::Short(Progress::Size),
            },
            Progress::Bytes(size) => match split::take_bytes(input, size) {
                Some(body) => Step::Whole(self.whole(body)),
                None => Step::Short(Progress::Bytes(size)),
            },
            Progress::Count(topic) => match split::take_i32(input) {
                Some(count) => Step::Read(Progress::Items(topic, Items::new(count, limits)?)),
                None => Step::Short(Progress::Count(topic)),
            },
            Progress::Items(topic, mut items) => match items.scan(input, limits)? {
                true => {
                    let packed = input.split_to(items.scanned).freeze();
                    Step::Whole(Command::Mpub { topic, bodies: items.whole(packed) })
                }
                false => Step::Short(Progress::Items(topic, items)),
            },
        })
    }

    /// What to answer when the input ends before the body does.
    pub fn at_end(&self) -> ProtocolError {
        let command = self.of.command();
        match (&self.progress, &self.of) {
            (Progress::Size, BodyOf::Pub { .. } | BodyOf::Dpub { .. }) => {
                ProtocolError::MessageSizeMissing { command, item: None }
            }
            (Progress::Size, BodyOf::Identify | BodyOf::Auth | BodyOf::Mpub { .. }) => {
                ProtocolError::BodySizeMissing(command)
            }
            (Progress::Bytes(_), BodyOf::Identify | BodyOf::Auth) => ProtocolError::BodyMissing(command),
            (Progress::Bytes(_), _) => ProtocolError::MessageMissing(command),
            (Progress::Count(_), _) => ProtocolError::MessageCountMissing,
            (Progress::Items(_, items), _) => items.at_end(),
        }
    }

    fn on_size(&self, size: i32, limits: &Limits) -> Result<Progress, ProtocolError> {
        let command = self.of.command();
        match &self.of {
            BodyOf::Pub { .. } | BodyOf::Dpub { .. } => {
                message_size(command, None, size, limits).map(Progress::Bytes)
            }
            BodyOf::Identify | BodyOf::Auth => body_size(command, size, limits).map(Progress::Bytes),
            BodyOf::Mpub { topic } => {
                body_size(command, size, limits).map(|_| Progress::Count(topic.clone()))
            }
        }
    }

    fn whole(&self, body: Bytes) -> Command {
        match &self.of {
            BodyOf::Identify => Command::Identify(body),
            BodyOf::Auth => Command::Auth(body),
            BodyOf::Pub { topic } => Command::Pub { topic: topic.clone(), body },
            BodyOf::Dpub { topic, delay } => Command::Dpub { topic: topic.clone(), delay: *delay, body },
            BodyOf::Mpub { topic } => {
                Command::Mpub { topic: topic.clone(), bodies: Bodies::from_iter([body]) }
            }
        }
    }
}

/// The messages of an MPUB's body that is there as a whole, without its size in front: what HTTP takes for
/// `binary=true`. What follows the last message is left out, as in NSQ.
///
/// # Errors
/// As [`PendingBody::take`], and as [`PendingBody::at_end`] where the body ends before the last message does.
pub fn mpub_bodies(mut body: Bytes, limits: &Limits) -> Result<Bodies, ProtocolError> {
    let count = body.try_get_i32().map_err(|_| ProtocolError::MessageCountMissing)?;
    let mut items = Items::new(count, limits)?;
    if !items.scan(&body, limits)? {
        return Err(items.at_end());
    }
    body.truncate(items.scanned);
    Ok(items.whole(body))
}

/// What one look at the input gave.
enum Step {
    Whole(Command),
    Read(Progress),
    Short(Progress),
}

impl Items {
    fn new(count: i32, limits: &Limits) -> Result<Self, ProtocolError> {
        let expected = u32::try_from(count)
            .ok()
            .filter(|count| (1..=limits.max_mpub_messages()).contains(count))
            .ok_or(ProtocolError::BadMessageCount(count))?;
        Ok(Self { expected, seen: 0, scanned: 0, size: None })
    }

    /// Looks at what has arrived since; says whether all messages have.
    fn scan(&mut self, input: &[u8], limits: &Limits) -> Result<bool, ProtocolError> {
        while self.seen < self.expected {
            let size = match self.size {
                Some(size) => size,
                None => {
                    let Some(size) = input.get(self.scanned..).and_then(<[u8]>::first_chunk::<SIZE_BYTES>)
                    else {
                        return Ok(false);
                    };
                    let size = self.on_size(i32::from_be_bytes(*size), limits)?;
                    self.scanned += SIZE_BYTES;
                    self.size = Some(size);
                    size
                }
            };
            if input.len() - self.scanned < size {
                return Ok(false);
            }
            self.scanned += size;
            self.seen += 1;
            self.size = None;
        }
        Ok(true)
    }

    /// `packed` is what was scanned, and that is all of them.
    fn whole(&self, packed: Bytes) -> Bodies {
        let packed = match packed.len() < SHARED_BYTES {
            true => Bytes::copy_from_slice(&packed),
            false => packed,
        };
        Bodies::checked(packed, self.expected)
    }

    /// What to answer when the input ends here.
    fn at_end(&self) -> ProtocolError {
        let command = CommandName::Mpub;
        match self.size {
            Some(_) => ProtocolError::MessageMissing(command),
            None => ProtocolError::MessageSizeMissing { command, item: Some(self.seen) },
        }
    }

    /// Checks one message, and the sum so far: the size given for the whole may have been a lie, and what is held
    /// in memory has to end somewhere.
    fn on_size(&self, size: i32, limits: &Limits) -> Result<usize, ProtocolError> {
        let command = CommandName::Mpub;
        let size = message_size(command, Some(self.seen), size, limits)?;
        let body_bytes = (4 + self.scanned + SIZE_BYTES + size) as u64;
        if body_bytes > u64::from(limits.max_body_bytes) {
            return Err(ProtocolError::BodyTooBig { command, size: body_bytes, max: limits.max_body_bytes });
        }
        Ok(size)
    }
}

fn body_size(command: CommandName, size: i32, limits: &Limits) -> Result<usize, ProtocolError> {
    let positive = u32::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or(ProtocolError::BadBodySize { command, size })?;
    if positive > limits.max_body_bytes {
        return Err(ProtocolError::BodyTooBig { command, size: positive.into(), max: limits.max_body_bytes });
    }
    Ok(positive as usize)
}

fn message_size(
    command: CommandName,
    item: Option<u32>,
    size: i32,
    limits: &Limits,
) -> Result<usize, ProtocolError> {
    let positive = u32::try_from(size)
        .ok()
        .filter(|size| *size > 0)
        .ok_or(ProtocolError::BadMessageSize { command, item, size })?;
    if positive > limits.max_message_bytes {
        return Err(ProtocolError::MessageTooBig {
            command,
            size: positive.into(),
            max: limits.max_message_bytes,
        });
    }
    Ok(positive as usize)
}
