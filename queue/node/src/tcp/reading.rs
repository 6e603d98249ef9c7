//! From a connection's bytes to its commands.

use punctual_queue_wire::command::{BodyOf, Command, CommandName, Head, PendingBody, Standing};
use punctual_queue_wire::error::ProtocolError;
use punctual_queue_wire::name::TopicName;

use super::connection::{Connection, End, MIN_READ_BYTES};
use crate::options::TlsRequired;

/// What is read at a time from a busy connection.
const MAX_READ_BYTES: usize = 256 * 1024;

impl Connection {
    pub(super) async fn on_read(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            if let Some(error) = self.pending.as_ref().map(PendingBody::at_end) {
                self.answers.error(&error, &mut self.output);
                return Box::pin(self.finish()).await;
            }
            return Err(End::Closed);
        }
        self.read_bytes = match bytes {
            _ if bytes >= self.read_bytes => (self.read_bytes * 4).min(MAX_READ_BYTES),
            _ if bytes < self.read_bytes / 8 => (self.read_bytes / 4).max(MIN_READ_BYTES),
            _ => self.read_bytes,
        };
        if self.execute_all().await? {
            self.listen_anew();
        }
        Ok(())
    }

    /// Carries out all commands that have arrived; says whether there was one.
    pub(super) async fn execute_all(&mut self) -> Result<bool, End> {
        let mut any = false;
        while !self.answers.fatal && self.upgrade.is_none() {
            match self.next_command().await {
                Ok(Some(command)) => {
                    any = true;
                    self.execute(command).await;
                }
                Ok(None) => break,
                Err(error) => {
                    self.carry_out_gathered();
                    self.answers.error(&error, &mut self.output);
                    if error.answer().is_none() {
                        return Err(End::Closed);
                    }
                }
            }
        }
        self.carry_out_gathered();
        Ok(any)
    }

    /// Takes the next command off the input; `None` until it is complete.
    async fn next_command(&mut self) -> Result<Option<Command>, ProtocolError> {
        let standing = self.standing();
        let mut body = match self.pending.take() {
            Some(body) => body,
            None => match Head::take(&mut self.input, standing, &self.shared.context.limits)? {
                None => return Ok(None),
                Some(Head::Whole(command)) => return Ok(Some(command)),
                Some(Head::Body(body)) => {
                    if let BodyOf::Mpub { topic } = body.of() {
                        self.prepare_mpub(topic).await?;
                    }
                    body
                }
            },
        };
        let command = body.take(&mut self.input, &self.shared.context.limits)?;
        if command.is_none() {
            self.pending = Some(body);
        }
        Ok(command)
    }

    /// Who may not publish many messages is told so before they are awaited, and their topic is made.
    async fn prepare_mpub(&mut self, topic: &TopicName) -> Result<(), ProtocolError> {
        if self.shared.context.auth.is_some() {
            Box::pin(self.authorize(CommandName::Mpub, topic, None)).await?;
        }
        let is_current = self.topic.as_ref().is_some_and(|current| current.name == *topic);
        if !is_current && !self.shared.context.drain.is_on() {
            // What stands in the way is answered once the messages are there.
            let _made = Box::pin(self.shared.topics.get_or_create(topic)).await;
        }
        Ok(())
    }

    fn standing(&self) -> Standing {
        let demanded = self.shared.context.options.tls.required() != TlsRequired::False;
        Standing {
            state: self.state,
            heartbeats: self.settings.heartbeat_interval.is_some(),
            lacks_tls: demanded && self.transport.tls().is_none(),
        }
    }
}
