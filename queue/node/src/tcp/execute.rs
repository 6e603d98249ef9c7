//! What each command does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use punctual_queue_wire::bodies::{Bodies, Packing};
use punctual_queue_wire::command::{Command, CommandName, ConnectionState};
use punctual_queue_wire::error::{NotHeld, ProtocolError};
use punctual_queue_wire::frame;
use punctual_queue_wire::message::MessageId;
use punctual_queue_wire::name::{ChannelName, TopicName};

use super::connection::Connection;
use super::gathered::Gathered;
use super::subscription::{NotSubscribed, Subscription};
use crate::channel::{Channel, ConnectionId, Consumer};
use crate::error::TopicError;
use crate::health::reason;
use crate::message::Sequence;
use crate::topic::Topic;

/// PUBs that arrive together are stored together, up to this many bytes.
const GATHERED_BYTES: usize = 1024 * 1024;

impl Connection {
    /// Carries out one command, or gathers it to be carried out with those that follow.
    pub(super) async fn execute(&mut self, command: Command) {
        let name = command.name();
        let same_topic = match &command {
            Command::Pub { topic, .. } => self.topic.as_ref().is_some_and(|current| current.name == *topic),
            _ => true,
        };
        if !self.gathered.takes(name) || !same_topic {
            self.carry_out_gathered();
        }
        match command {
            Command::Nop => {}
            Command::Pub { topic, body } => self.gather_body(&topic, body).await,
            Command::Mpub { topic, bodies } => self.publish(name, &topic, bodies, Duration::ZERO).await,
            Command::Dpub { topic, delay, body } => {
                self.publish(name, &topic, Bodies::from_iter([body]), delay).await
            }
            Command::Rdy(_) | Command::Fin(_) | Command::Req { .. } | Command::Touch(_) => {
                match &mut self.gathered {
                    Gathered::ForChannel(commands) => commands.push(command),
                    other => *other = Gathered::ForChannel(vec![command]),
                }
            }
            Command::Identify(body) => self.identify(&body),
            Command::Auth(secret) => Box::pin(self.authenticate(&secret)).await,
            Command::Sub { topic, channel } => Box::pin(self.subscribe(topic, channel)).await,
            Command::Cls => self.close_wait(),
        }
    }

    /// Carries out what was gathered.
    pub(super) fn carry_out_gathered(&mut self) {
        match std::mem::take(&mut self.gathered) {
            Gathered::Nothing => {}
            Gathered::Bodies(bodies) => {
                let count = bodies.len();
                if let Some(topic) = self.topic.clone() {
                    self.hand_to(&topic, CommandName::Pub, count, bodies.finish(), Duration::ZERO);
                }
            }
            Gathered::ForChannel(commands) => self.apply_all(&commands),
        }
    }

    async fn gather_body(&mut self, topic: &TopicName, body: Bytes) {
        if self.current_topic(CommandName::Pub, topic).await.is_none() {
            return;
        }
        let full = match &mut self.gathered {
            Gathered::Bodies(bodies) => {
                bodies.push(&body);
                bodies.bytes() >= GATHERED_BYTES || bodies.len() >= 1024
            }
            other => {
                let mut bodies = Packing::default();
                bodies.push(&body);
                *other = Gathered::Bodies(bodies);
                false
            }
        };
        if full {
            self.carry_out_gathered();
        }
    }

    async fn publish(&mut self, command: CommandName, topic: &TopicName, bodies: Bodies, delay: Duration) {
        if let Some(topic) = self.current_topic(command, topic).await {
            self.hand_to(&topic, command, 1, bodies, delay);
        }
    }

    fn hand_to(
        &mut self,
        topic: &Arc<Topic>,
        command: CommandName,
        commands: usize,
        bodies: Bodies,
        delay: Duration,
    ) {
        let bytes = bodies.packed().len();
        self.shared.clients.published(self.id, &topic.name, bodies.len() as u64);
        let receipt = topic.publish(bodies, delay);
        self.answers.publish(receipt, command, commands, bytes);
    }

    /// The topic to publish to, made where there is none; the failure to do so is answered.
    async fn current_topic(&mut self, command: CommandName, name: &TopicName) -> Option<Arc<Topic>> {
        // An MPUB's was looked at before its body was read.
        if self.shared.context.auth.is_some()
            && command != CommandName::Mpub
            && let Err(error) = Box::pin(self.authorize(command, name, None)).await
        {
            self.carry_out_gathered();
            self.error(&error);
            return None;
        }
        let draining = self.shared.context.drain.is_on();
        if !draining
            && let Some(topic) = &self.topic
            && topic.name == *name
            && !topic.is_retired()
        {
            return Some(Arc::clone(topic));
        }
        self.carry_out_gathered();
        let found = match draining {
            true => Err(TopicError::Draining),
            false => Box::pin(self.shared.topics.get_or_create(name)).await,
        };
        match found {
            Ok(topic) => {
                self.topic = Some(Arc::clone(&topic));
                Some(topic)
            }
            Err(e) => {
                self.error(&ProtocolError::PublishFailed { command, reason: reason(&e) });
                None
            }
        }
    }

    async fn subscribe(&mut self, topic: TopicName, channel: ChannelName) {
        if self.shared.context.auth.is_some()
            && let Err(error) = Box::pin(self.authorize(CommandName::Sub, &topic, Some(&channel))).await
        {
            return self.error(&error);
        }
        let names = (&topic, &channel);
        let consumer = Consumer::new(self.settings.message_timeout, self.settings.sample_rate);
        let consumer = consumer.near(self.nearness);
        match Subscription::join(&self.shared, self.id, names, consumer, &self.mailbox).await {
            Ok(subscription) => {
                self.subscription = Some(subscription);
                self.set_state(ConnectionState::Subscribed, 3);
                self.answers.response(frame::OK, &mut self.output);
            }
            Err(NotSubscribed::Refused(refusal)) => self.error(&ProtocolError::SubscribeFailed(refusal)),
            Err(NotSubscribed::Failed(e)) => self.subscribe_failed(&e),
        }
    }

    /// The disk would not take the new topic or channel. NSQ has no word for it.
    fn subscribe_failed(&mut self, error: &TopicError) {
        tracing::warn!(error = reason(error), "could not make what a client subscribed to");
        let exiting = punctual_queue_wire::error::SubscribeRefusal::Exiting;
        self.error(&ProtocolError::SubscribeFailed(exiting));
    }

    fn close_wait(&mut self) {
        self.set_state(ConnectionState::Closing, 4);
        if let Some(subscription) = &self.subscription {
            subscription.channel.with(|channel, _| channel.set_ready_count(self.id, 0));
        }
        self.answers.response(frame::CLOSE_WAIT, &mut self.output);
    }

    fn apply_all(&mut self, commands: &[Command]) {
        let Some(subscription) = &self.subscription else { return };
        let id = self.id;
        let errors: Vec<_> = subscription.channel.with(|channel, now| {
            commands.iter().filter_map(|command| apply(channel, id, command, now).err()).collect()
        });
        for error in errors {
            self.error(&error);
        }
    }

    fn set_state(&mut self, state: ConnectionState, shown_as: u8) {
        self.state = state;
        self.shared.clients.update(self.id, |stats| stats.state = shown_as);
    }

    pub(super) fn error(&mut self, error: &ProtocolError) {
        self.answers.error(error, &mut self.output);
    }
}

/// RDY, FIN, REQ and TOUCH.
fn apply(
    channel: &mut Channel,
    id: ConnectionId,
    command: &Command,
    now: Instant,
) -> Result<(), ProtocolError> {
    let of = |message: MessageId| Sequence::from_id(message).ok_or(NotHeld::NotInFlight);
    let (message, result) = match *command {
        Command::Rdy(count) => {
            channel.set_ready_count(id, count);
            return Ok(());
        }
        Command::Fin(message) => (message, of(message).and_then(|number| channel.finish(id, number, now))),
        Command::Req { id: message, delay } => {
            (message, of(message).and_then(|number| channel.requeue(id, number, delay, now)))
        }
        Command::Touch(message) => (message, of(message).and_then(|number| channel.touch(id, number, now))),
        _ => return Ok(()),
    };
    result.map_err(|reason| ProtocolError::NotHeld { command: command.name(), id: message, reason })
}
